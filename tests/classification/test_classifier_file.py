import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

from facetool.classification.classifier import fit_classifier
from facetool.classification.classifier_file import load_classifier, save_classifier
from facetool.classification.fit import FITTERS
from facetool.classification.provenance import Provenance
from facetool.errors import FormatError
from facetool.files.safetensors_texts import CLASSIFIER_KEY

SOURCE = Provenance("dlib-resnet", "dlib-resnet.v1", "ab" * 32, {"mean": 0}, "none", False)


@pytest.fixture
def made(draw):
    vectors, labels = draw(6, 5)
    return fit_classifier(vectors, labels, list("ABCDEF"), SOURCE)


@pytest.mark.parametrize("kind", [kind for kind in FITTERS if "grid" not in kind])
@pytest.mark.parametrize("lda_dim", [None, 4])
def test_what_is_loaded_answers_as_what_was_saved(kind, lda_dim, draw, tmp_path):
    vectors, labels = draw(6, 5)
    made = fit_classifier(vectors, labels, list("ABCDEÄ"), SOURCE, kind, lda_dim)
    save_classifier(made, tmp_path / "c")
    loaded = load_classifier(tmp_path / "c")
    test = draw(6, 20, seed=3, scatter=2)[0]
    for one, other in zip(
        vars(made.answer(test)).values(), vars(loaded.answer(test)).values(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for name in ("kind", "people", "threshold", "confidence", "provenance", "cross_validation"):
        assert getattr(loaded, name) == getattr(made, name)
    first = (tmp_path / "c").read_bytes()
    save_classifier(made, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == first


def parts(path: Path) -> tuple[dict, dict]:
    from safetensors.numpy import load_file

    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return json.loads(header["__metadata__"][CLASSIFIER_KEY]), load_file(path)


def write(path: Path, header: object, arrays: dict) -> Path:
    path.write_bytes(to_bytes(arrays, metadata={CLASSIFIER_KEY: json.dumps(header)}))
    return path


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), 99),
        (("classifier",), "os.system"),
        (("classifier",), ["svm"]),
        (("model",), "__class__"),
        (("model",), "tree"),
        (("people",), "ABCDEF"),
        (("people",), ["A", "B", "C", "D", "E", 6]),
        (("people",), ["A", "A", "C", "D", "E", "F"]),
        (("people",), ["A", "B"]),
        (("threshold",), None),
        (("threshold", "cosine"), "0.5"),
        (("threshold", "cosine"), float("nan")),
        (("threshold", "more"), 1),
        (("confidence", "temperature"), 0),
        (("confidence", "slope"), -1),
        (("source", "network"), 7),
        (("source", "recipe"), []),
        (("cross_validation", "folds"), None),
    ],
)
def test_headers_that_cannot_be(made, keys, value, tmp_path):
    save_classifier(made, tmp_path / "c")
    header, arrays = parts(tmp_path / "c")
    place = header
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(FormatError, match=r"c: .*facetool classify train"):
        load_classifier(write(tmp_path / "c", header, arrays))


@pytest.mark.parametrize(
    "change",
    [
        {"means": None},
        {"means": np.zeros(6)},
        {"means": np.zeros((7, 32))},
        {"means": np.full((6, 32), np.inf)},
        {"means": np.zeros((6, 32), np.float32)},
        {"model.weights": np.zeros((6, 31))},
        {"model.bias": np.zeros(6, np.int64)},
        {"model.__class__": np.zeros(1)},
        {"lda.mean": np.zeros(32)},
        {"lda.mean": np.zeros(32), "lda.projection": np.zeros((31, 4))},
    ],
)
def test_arrays_that_cannot_be(made, change, tmp_path):
    save_classifier(made, tmp_path / "c")
    header, arrays = parts(tmp_path / "c")
    arrays = {k: v for k, v in {**arrays, **change}.items() if v is not None}
    with pytest.raises(FormatError, match="facetool classify train"):
        load_classifier(write(tmp_path / "c", header, arrays))


def test_other_files(made, tmp_path):
    save_classifier(made, tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    path = tmp_path / "d"
    for content in (b"", b"x", pickle.dumps(print), data[:50], data[:-9], data + b"\0" * 8):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="is not a classifier"):
            load_classifier(path)
    # A header that announces more than there is costs nothing: the size is compared first.
    header = {"a": {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 1 << 43]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(FormatError):
        load_classifier(path)
    path.write_bytes(to_bytes({"a": np.zeros(3)}))
    with pytest.raises(FormatError, match="holds no classifier"):
        load_classifier(path)
    path.write_bytes(to_bytes({"a": np.zeros(3)}, metadata={CLASSIFIER_KEY: "[" * 100_000}))
    with pytest.raises(FormatError, match="not JSON"):
        load_classifier(path)


def test_a_flipped_bit_of_the_header_is_noticed_or_leaves_the_arrays(made, tmp_path):
    """Only a name, a threshold or what is said of the source can become another one unnoticed."""
    save_classifier(made, tmp_path / "c")
    data = bytearray((tmp_path / "c").read_bytes())
    rng = np.random.default_rng(0)
    (length,) = struct.unpack("<Q", data[:8])
    test = rng.normal(size=(4, 32))
    wanted = made.answer(test)
    unnoticed = 0
    for place in rng.integers(0, 8 + length, 200):
        broken = data.copy()
        broken[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "d").write_bytes(broken)
        try:
            found = load_classifier(tmp_path / "d")
        except FormatError:
            continue
        unnoticed += 1
        answer = found.answer(test)
        np.testing.assert_array_equal(answer.best, wanted.best)
        np.testing.assert_array_equal(answer.similarity, wanted.similarity)
    assert 0 < unnoticed < 60


def test_a_file_cut_anywhere_is_refused(made, tmp_path):
    save_classifier(made, tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 100):
        (tmp_path / "d").write_bytes(data[:place])
        with pytest.raises(FormatError, match="is not a classifier"):
            load_classifier(tmp_path / "d")


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_is_called_one(tmp_path, protocol):
    (tmp_path / "c").write_bytes(pickle.dumps({"people": ["A"]}, protocol))
    with pytest.raises(FormatError, match=r"is not a classifier \(a Python pickle, .* train REPS"):
        load_classifier(tmp_path / "c")
