import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.evaluation.pair_images import ImageIndex, LfwImage
from facetool.files.embeddings import map_embeddings, map_whole, read_embeddings

NAMES = ["Ann_Lee/Ann_Lee_0001.png", "Ann_Lee/Ann_Lee_0002.png", "Bo_Kim/Bo_Kim_0001.png"]


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, vectors: np.ndarray) -> Path:
    np.savetxt(tmp_path / "reps.csv", vectors, fmt="%.9g", delimiter=",")
    write_labels(tmp_path, NAMES)
    return tmp_path


def write_labels(folder: Path, names: list[str]) -> None:
    text = "".join(f"{number},{name}\n" for number, name in enumerate(names, start=1))
    (folder / "labels.csv").write_bytes(text.encode("utf-8", "surrogateescape"))


def test_text_reads_back_to_the_same_float32(folder: Path, vectors: np.ndarray) -> None:
    embeddings = read_embeddings(folder)
    assert embeddings.vectors.dtype == np.float32
    np.testing.assert_array_equal(embeddings.vectors, vectors)
    assert embeddings.names == NAMES
    assert embeddings.labels.tolist() == [1, 2, 3]
    assert embeddings.description.as_dict() == {} and embeddings.missed_faces == set()


def test_npy_is_preferred(folder: Path, vectors: np.ndarray) -> None:
    np.save(folder / "reps.npy", vectors + 1)
    np.testing.assert_array_equal(read_embeddings(folder).vectors, vectors + 1)


def test_provenance(folder: Path) -> None:
    document = {"network": "nn4.small2", "missed_faces": NAMES[:1]}
    (folder / "represent.json").write_text(json.dumps(document))
    embeddings = read_embeddings(folder)
    assert embeddings.description.as_dict() == document
    assert embeddings.missed_faces == {NAMES[0]}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a, b/c_0001.png", "a, b/c_0001.png"),
        ('"a, ""b""/c_0001.png"', 'a, "b"/c_0001.png'),
        ('a/the "boss"', 'a/the "boss"'),
        ('"', '"'),
        ("Zoë 王/Zoë 王_0001.png", "Zoë 王/Zoë 王_0001.png"),
        ("not\udcffutf8_0001.png", "not\udcffutf8_0001.png"),
    ],
)
def test_unusual_names(folder: Path, written: str, name: str) -> None:
    write_labels(folder, [written, *NAMES[1:]])
    assert read_embeddings(folder).names[0] == name


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("reps.csv", "1,2,3,4\n1,2,x,4\n1,2,3,4\n", r"reps\.csv line 2: 'x' is not a number"),
        ("reps.csv", "1,2,3,4\n1,2,3,4\n1,2,3\n", r"reps\.csv line 3: 3 numbers where line 1 has"),
        ("reps.csv", "1,2,3,4\n\n1,2,3,4\n", r"reps\.csv line 2"),
        ("reps.csv", "", r"reps\.csv: the file is empty"),
        ("reps.csv", "1,2\n1,2\n", r"2 rows, but labels\.csv beside it names 3 images"),
        ("reps.csv", "1,2\n1,nan\n1,2\n", r"row 2 has a value that is not finite"),
        ("reps.csv", "1,2\n1,2\ninf,2\n", r"row 3 has a value that is not finite"),
        ("labels.csv", "1,a\nb\n3,c\n", r"labels\.csv line 2: expected <label number>,<image"),
        ("labels.csv", "1,a\n2,b\nthree,c\n", r"labels\.csv line 3"),
        ("labels.csv", f"1,a\n2,b\n{10**30},c\n", r"labels\.csv line 3"),
        ("represent.json", '{\n"a": \n', r"represent\.json line \d: not JSON"),
        ("represent.json", "[1]", r"represent\.json: expected a JSON object, found list"),
        ("reps.npy", "text", r"reps\.npy: not a whole NumPy array file"),
    ],
)
def test_damage_is_named(folder: Path, file: str, text: str, message: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(FormatError, match=message):
        read_embeddings(folder)


def test_npy_of_another_kind(folder: Path, vectors: np.ndarray) -> None:
    np.save(folder / "reps.npy", vectors[0])
    with pytest.raises(FormatError, match=r"shape \(N, D\), found float32 of shape \(4,\)"):
        read_embeddings(folder)
    np.save(folder / "reps.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    for read in (read_embeddings, map_embeddings):
        with pytest.raises(FormatError, match="not a whole NumPy array file") as raised:
            read(folder)
        assert "allow_pickle" not in str(raised.value)
    np.save(folder / "reps.npy", vectors)
    whole = (folder / "reps.npy").read_bytes()
    (folder / "reps.npy").write_bytes(whole[:-8])
    with pytest.raises(FormatError, match="not a whole NumPy array file"):
        read_embeddings(folder)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"neither reps\.npy nor reps\.csv"):
        read_embeddings(tmp_path)
    np.save(tmp_path / "reps.npy", np.ones((2, 2), np.float32))
    with pytest.raises(FormatError, match=r"no labels\.csv beside it"):
        read_embeddings(tmp_path)


def test_missed_faces_of_another_kind(folder: Path) -> None:
    (folder / "represent.json").write_text('{"missed_faces": 3}')
    with pytest.raises(FormatError, match="not a list of image names"):
        read_embeddings(folder)


def test_openfaces_own_output(shared: Path) -> None:
    embeddings = read_embeddings(shared / "openface-reps")
    assert embeddings.vectors.shape == (1000, 128)
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)
    assert ImageIndex(embeddings.names).find(LfwImage("Aaron_Eckhart", 1)) == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_a_folder_that_lost_its_rows_is_not_whole(
    folder: Path, vectors: np.ndarray, rows: int
) -> None:
    np.save(folder / "reps.npy", vectors)
    names, _ = map_embeddings(folder)
    assert map_whole(folder, vectors.shape[1], None)[0] == names
    np.save(folder / "reps.npy", vectors[:rows])
    labels = (folder / "labels.csv").read_text().splitlines(keepends=True)
    (folder / "labels.csv").write_text("".join(labels[:rows]))
    with pytest.raises(FormatError, match=r"reps\.csv and reps\.npy are not of the same run"):
        map_whole(folder, vectors.shape[1], None)
    (folder / "reps.csv").write_text("")
    with pytest.raises(FormatError, match="are not of the same run"):
        map_whole(folder, vectors.shape[1], None)


@pytest.mark.parametrize("labels", ["1,a\n", "1,a\n" * 4])
def test_rows_on_disk_are_counted_against_the_labels(
    folder: Path, vectors: np.ndarray, labels: str
) -> None:
    np.save(folder / "reps.npy", vectors)
    assert len(map_embeddings(folder)[0]) == 3
    (folder / "labels.csv").write_text(labels)
    with pytest.raises(FormatError, match="not of the same run"):
        map_embeddings(folder)


@pytest.mark.parametrize("old", [b"{", b"'", b"(3", b"<f4"])
@pytest.mark.parametrize("new", [b"\0", b"", b"}", b"9" * 30])
def test_a_damaged_head_of_an_array_is_named(
    folder: Path, vectors: np.ndarray, old: bytes, new: bytes
) -> None:
    np.save(folder / "reps.npy", vectors)
    data = (folder / "reps.npy").read_bytes()
    (folder / "reps.npy").write_bytes(data.replace(old, new, 1))
    for read in (read_embeddings, map_embeddings):
        with pytest.raises(FormatError) as caught:
            read(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", ["(foo(), 4)", "(2**50, 4)", "(1125899906842624, 4)", "(3, 4"])
def test_a_damaged_head_is_not_told_in_numpys_words(folder: Path, shape: str) -> None:
    """Nor is memory taken for what a file says of itself."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (folder / "reps.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + head.encode())
    for read in (read_embeddings, map_embeddings):
        with pytest.raises(FormatError, match="not a whole NumPy array file") as raised:
            read(folder)
        assert str(raised.value).endswith("is cut, damaged or of another kind, so make it again")
