"""MXNet's names of weights by prefix and epoch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facetool import load_network
from facetool.errors import UsageError
from facetool.weights.epochs import epochs, weights_file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in ("model-0001", "model-0003", "model-0012", "model-b-0002"):
        (tmp_path / f"{name}.params").touch()
    (tmp_path / "model-symbol.json").touch()
    return tmp_path


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_an_epoch_several_and_all(run: Path) -> None:
    assert weights_file(run / "model,1") == run / "model-0001.params"
    assert names(epochs(run / "model,3|12")) == ["model-0003.params", "model-0012.params"]
    assert names(epochs(run / "model")) == [
        "model-0012.params",
        "model-0003.params",
        "model-0001.params",
    ]


def test_other_paths_are_what_they_are(run: Path) -> None:
    (run / "a,1").touch()
    for path in (run / "a,1", run / "nothing", run / "none" / "x.onnx", Path("dlib-resnet")):
        assert epochs(path) == [path]
        assert weights_file(path) == path
    assert weights_file(run / "model") == run / "model"  # several: not one file


def test_weights_are_read_by_such_a_name(shared: Path) -> None:
    folder = shared / "golden" / "mxnet"
    x = torch.from_numpy(np.load(folder / "input_faces_4x3x112x112.npy"))
    with torch.inference_mode():
        found = load_network(f"{folder / 'tiny18'},0")(x)
    expected = np.load(folder / "tiny18_fc1_faces.npy")
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_an_epoch_that_is_not_there_is_named(run: Path) -> None:
    with pytest.raises(UsageError, match=r"model-0007\.params"):
        load_network(run / "model,7")
