"""Represent folders that other programs wrote or touched: read, or said what they are."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from facetool.embedding.people import read_people
from facetool.errors import FormatError
from facetool.files.embeddings import read_embeddings

VECTORS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
NAMES = ["Ann/1.png", "Ann/2.png", "Bo/1.png", "Bo/2.png"]
LABELS = "".join(f"{number},{name}\n" for number, name in enumerate(NAMES, 1))


def text(separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(f"{v:.9g}" for v in row) + end for row in VECTORS.tolist())


def write(folder: Path, reps: str | bytes, labels: str | bytes = LABELS) -> Path:
    for name, content in (("reps.csv", reps), ("labels.csv", labels)):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    return folder


FORMS: dict[str, str | bytes] = {
    "commas": text(),
    "byte order mark": b"\xef\xbb\xbf" + text().encode(),
    "UTF-16": text(end="\r\n").encode("utf-16"),
    "Windows' line ends": text(end="\r\n"),
    "semicolons": text(";"),
    "decimal commas": text(";").replace(".", ","),
    "tabs": text("\t"),
    "spaces": text(" "),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_are_read(tmp_path: Path, form: str) -> None:
    found = read_embeddings(write(tmp_path, FORMS[form]))
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.names == NAMES


@pytest.mark.parametrize(
    "labels",
    [
        b"\xef\xbb\xbf" + LABELS.encode(),
        LABELS.replace("\n", "\r\n"),
        LABELS.replace(",", ";"),
        LABELS.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_labels_that_are_read(tmp_path: Path, labels: str | bytes) -> None:
    found = read_embeddings(write(tmp_path, text(), labels))
    assert found.names == NAMES and found.labels.tolist() == [1, 2, 3, 4]


def test_names_with_semicolons_stay_whole(tmp_path: Path) -> None:
    labels = LABELS.replace("Ann/1", "Ann;/1, 2;3")
    assert read_embeddings(write(tmp_path, text(), labels)).names[0] == "Ann;/1, 2;3.png"


def columns(*parts: ArrayLike) -> str:
    rows = np.hstack([np.asarray(part, np.float32) for part in parts]).tolist()
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows)


NUMBERS = [[1], [2], [3], [4]]
PEOPLE = [[0], [0], [1], [1]]
DEAD = [[0.0]] * 4


@pytest.mark.parametrize(
    "vectors",
    [
        np.hstack([DEAD, VECTORS]),
        np.hstack([VECTORS, DEAD]),
        np.hstack([VECTORS[:, :1], NUMBERS, VECTORS[:, 1:]]),
        np.rint(10 * VECTORS),
        np.hstack([DEAD, np.rint(10 * VECTORS)]),
    ],
    ids=["first unit dead", "last unit dead", "one in the middle", "whole", "whole and dead"],
)
def test_whole_numbers_that_are_embeddings(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    found = read_embeddings(write(tmp_path, columns(vectors)))
    np.testing.assert_array_equal(found.vectors, vectors.astype(np.float32))


def test_two_rows_are_too_few_to_tell_an_index(tmp_path: Path) -> None:
    labels = "".join(LABELS.splitlines(keepends=True)[:2])
    rows = columns(NUMBERS[:2], VECTORS[:2])
    assert read_embeddings(write(tmp_path, rows, labels)).vectors.shape == (2, 4)


INDEX = "".join(f"{row},{line}\n" for row, line in enumerate(text().splitlines()))


@pytest.mark.parametrize(
    ("reps", "message"),
    [
        (INDEX, "first column counts the rows, as pandas' index does; .*index=False"),
        (columns(NUMBERS, VECTORS), "its first column holds whole numbers only.*index=False"),
        (columns(VECTORS, NUMBERS), "its last column holds whole numbers only"),
        (columns(NUMBERS, VECTORS, DEAD), "its first column holds"),
        (columns(PEOPLE, VECTORS), "its first column holds"),
        (columns(VECTORS, PEOPLE), "its last column holds"),
        (columns(NUMBERS, VECTORS, PEOPLE), "its first column holds"),
        ("0,1,2\n" + text(), "line 1 counts the columns, as pandas' header does"),
        (",0,1,2\n" + INDEX, "line 1: '' is not a number; from pandas write it with"),
        ("e0,e1,e2\n" + text(), "line 1: 'e0' is not a number; columns' names have to go"),
        ("1\n2\n3\n5\n", "one number a row is no embedding"),
        (text(";").replace(";", ":"), "line 1: .* is not a number"),
    ],
)
def test_what_is_no_embeddings_is_said(tmp_path: Path, reps: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_embeddings(write(tmp_path, reps))


@pytest.mark.parametrize("name", ["reps.npy", "reps.csv"])
def test_embeddings_alone_are_said_to_be_alone(tmp_path: Path, name: str) -> None:
    if name == "reps.npy":
        np.save(tmp_path / name, VECTORS)
    else:
        (tmp_path / name).write_text(text())
    with pytest.raises(FormatError, match=rf"{name} holds 4 embeddings, but there is no labels"):
        read_embeddings(tmp_path)


def test_one_person_in_two_spellings_is_one_person(tmp_path: Path) -> None:
    """macOS takes é apart; the same album comes back from it under other names."""
    composed, apart = "José", unicodedata.normalize("NFD", "José")
    names = [f"{composed}/1.png", f"{apart}/2.png", "Bo/1.png", "Bo/2.png"]
    labels = "".join(f"{number},{name}\n" for number, name in enumerate(names, 1))
    (tmp_path / "represent.json").write_text('{"unit_length": false}')
    people = read_people(write(tmp_path, text(), labels))
    assert people.names == ["Bo", composed]
    assert people.labels.tolist() == [1, 1, 0, 0]
    assert people.images == names  # as they are on the disk


def test_the_samples(shared: Path) -> None:
    folder = shared / "cases" / "embeddings"
    plain = read_embeddings(shared / "openface-reps")
    for name in ("bom", "semicolon"):
        found = read_embeddings(folder / name)
        np.testing.assert_array_equal(found.vectors, plain.vectors[: len(found.vectors)])
    for name, message in (
        ("npy_only", "no labels.csv"),
        ("one_dim", "one number a row"),
        ("pandas_index", "pandas' index"),
    ):
        with pytest.raises(FormatError, match=message):
            read_embeddings(folder / name)
