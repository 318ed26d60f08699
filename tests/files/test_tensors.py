import numpy as np
import pytest
import torch

from facetool.files.tensors import as_tensor

VALUES = np.arange(12, dtype=np.float64).reshape(3, 4) / 3


@pytest.mark.parametrize(
    "array",
    [
        VALUES,
        np.asfortranarray(VALUES),
        VALUES.astype(">f4"),
        np.frombuffer(b"x" + VALUES.astype("<f4").tobytes(), "<f4", offset=1).reshape(3, 4),
    ],
    ids=["double", "columns first", "big-endian", "unaligned and read-only"],
)
def test_a_copy_of_any_array(array: np.ndarray) -> None:
    tensor = as_tensor(array)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert tensor.data_ptr() % 64 == 0
    np.testing.assert_array_equal(tensor.numpy(), VALUES.astype(np.float32))


def test_a_single_number() -> None:
    assert as_tensor(np.array(2.5)).item() == 2.5


def test_where_networks_are_built_without_memory() -> None:
    with torch.device("meta"):
        assert as_tensor(VALUES).device.type == "cpu"
