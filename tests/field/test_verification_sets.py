"""``.bin`` sets as today's Python and NumPy write them, and sets of unusual pairs."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.cli.tables.bin_eval import bin_eval_table
from facetool.errors import FormatError, UsageError
from facetool.images.verification_set import read_bin, write_bin
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.pipeline.bin_eval import bin_eval, evaluate_set

FILES = [b"one", b"two", b"three", b"four"]


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).copy()


IMAGES: dict[str, object] = {
    "bytes": FILES,
    "bytearrays": [bytearray(one) for one in FILES],
    "arrays": [array(one) for one in FILES],
    "columns": [array(one)[:, None] for one in FILES],
    "strided": [np.repeat(array(one), 2)[::2] for one in FILES],
    "tuple": tuple(FILES),
    "array of objects": np.array(FILES, object),
}
FLAGS: dict[str, object] = {
    "bool": [True, False],
    "int": [1, 0],
    "tuple": (True, False),
    "numpy.bool": list(np.array([True, False])),
    "numpy.int64": list(np.array([1, 0])),
    "numpy.int32": list(np.array([1, 0], np.int32)),
    "numpy.uint8": list(np.array([1, 0], np.uint8)),
    "numpy.float32": list(np.array([1, 0], np.float32)),
    "array of bool": np.array([True, False]),
    "array of int": np.array([1, 0]),
    "array of big endian": np.array([1, 0], ">i4"),
    "array of float": np.array([1.0, 0.0]),
    "column": np.array([[1], [0]]),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", IMAGES)
def test_images(tmp_path: Path, form: str, protocol: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(pickle.dumps((IMAGES[form], [True, False]), protocol))
    found = read_bin(path)
    assert found.images == FILES
    assert found.same.tolist() == [True, False]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", FLAGS)
def test_flags(tmp_path: Path, form: str, protocol: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(pickle.dumps([FILES, FLAGS[form]], protocol))
    assert read_bin(path).same.tolist() == [True, False]


@pytest.mark.parametrize(
    "content",
    [
        (FILES, np.array([2, 0])),
        (FILES, [0.5, 1]),
        (FILES, np.array(["a", "b"])),
        (FILES, np.array([1, 0], np.complex64)),
        (FILES, {True, False}),
        (np.arange(4), [True, False]),
        (np.array([1.5, 2.5]), [True]),
        ([np.arange(3)] * 2, [True]),
        (FILES, np.array([], bool)),
        (FILES, [np.array([], bool)] * 2),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_what_is_no_set_is_refused(tmp_path: Path, content: object, protocol: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(FormatError, match=r"a\.bin") as caught:
        read_bin(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.",  # a bytearray larger than any memory
        b"\x80\x04cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",  # bytearray(2**31 - 1)
        b"\x80\x04cnumpy.core.numeric\n_frombuffer\n(NNNNtR.",
        b"\x80\x04cnumpy.core.multiarray\nscalar\nN\x85R.",
        b"\x80\x04cnumpy\ndtype\n\x8c\x02O4\x89\x88\x87R.",
        b"\x80\x05\x97.",  # a buffer out of band
    ],
)
def test_nothing_else_is_let_through(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_bin(path)


def test_the_samples(shared: Path) -> None:
    folder = shared / "cases" / "bins"
    for name, same in (
        ("np1_cv2_highest", 30),
        ("np2_cv2_highest", 30),
        ("np2_npint_flags", 30),
        ("small_lfw", 10),
    ):
        found = read_bin(folder / f"{name}.bin")
        assert found.same.sum() == same
        assert all(found.read(n).shape == (112, 112, 3) for n in range(len(found.images)))


# Pairs that are not mixed

Evaluate = Callable[[list[bool]], dict]


@pytest.fixture
def evaluate() -> Evaluate:
    def run(same: list[bool]) -> dict:
        rng = np.random.default_rng(0)
        people = rng.standard_normal((len(same), 8))
        other = np.where(np.array(same)[:, None], people, rng.standard_normal(people.shape))
        vectors = np.stack([people, other + 0.1 * rng.standard_normal(people.shape)], 1)
        vectors = vectors.reshape(-1, 8).astype(np.float32)
        doubled = np.concatenate([vectors, vectors], axis=1)
        return evaluate_set(doubled, np.array(same), np.ones(2 * len(same), bool))

    return run


def test_sorted_pairs_get_figures(evaluate: Evaluate) -> None:
    found = evaluate([True] * 50 + [False] * 50)
    assert found["flip"]["accuracy"]["mean"] > 0.9
    assert 0.9 < found["flip"]["auc"]["value"] <= 1
    assert found["flip"]["tar_at_far"][2]["genuine"] == 50
    assert "one kind only" in found["note"]


@pytest.mark.parametrize("kind", [True, False])
def test_pairs_of_one_kind_get_what_can_be_said(evaluate: Evaluate, kind: bool) -> None:
    found = evaluate([kind] * 20)
    assert found["flip"]["accuracy"]["mean"] >= 0.9
    assert found["flip"]["auc"]["value"] is None and found["flip"]["tar_at_far"] == []
    assert "no ROC curve" in found["note"]


def test_mixed_pairs_have_no_note(evaluate: Evaluate) -> None:
    assert evaluate([True, False] * 30)["note"] is None


@pytest.mark.slow
def test_insightfaces_small_set_has_a_table(shared: Path) -> None:
    network: EmbeddingNetwork = create("mobilefacenet").eval()
    file = shared / "cases" / "bins" / "small_lfw.bin"
    result = bin_eval([file], network, torch.device("cpu"))
    assert result.report.exit_code == 0
    text = bin_eval_table(result.as_dict())
    assert "small_lfw: all pairs are genuine" in text
    assert "represent more" not in text and "TAR at FAR" not in text


def test_written_sets_read_back(tmp_path: Path) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        write_bin(file, FILES, [True, False])
    assert read_bin(tmp_path / "a.bin").images == FILES


@pytest.mark.slow
def test_a_folder_of_sets(tmp_path: Path, shared: Path) -> None:
    network: EmbeddingNetwork = create("mobilefacenet").eval()
    with pytest.raises(UsageError, match=r"no \.bin file"):
        bin_eval([tmp_path], network, torch.device("cpu"))
    data = (shared / "cases" / "bins" / "small_lfw.bin").read_bytes()
    for name in ("lfw.bin", "cfp_fp.bin"):
        (tmp_path / name).write_bytes(data)
    result = bin_eval([tmp_path], network, torch.device("cpu"))
    assert [one["set"] for one in result.sets] == ["cfp_fp", "lfw"]
