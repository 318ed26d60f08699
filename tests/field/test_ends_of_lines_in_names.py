"""Photos and crops whose names hold a carriage return or a line feed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.errors import FormatError
from facetool.evaluation.noise_lists import read_noise_lists
from facetool.files.crop_names import crop_stems
from facetool.files.embeddings import read_embeddings
from facetool.files.given_names import read_given_names, write_given_names
from facetool.files.megaface_features import read_listed_images
from facetool.images.png import encode_png
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network


@pytest.fixture
def photos(album: Path, tmp_path: Path) -> Path:
    """Two photos, one of them named in two lines and of a person named so."""
    one, two = sorted(album.rglob("*.*"))[:2]
    for photo, name in ((one, "Ann/1"), (two, "Bo\nb/a\r\nb")):
        target = (tmp_path / "photos" / name).with_suffix(photo.suffix)
        target.parent.mkdir(parents=True)
        shutil.copy2(photo, target)
    return tmp_path / "photos"


@pytest.mark.slow
def test_every_reader_of_lines_gets_the_rows(photos: Path, tmp_path: Path) -> None:
    crops, reps = tmp_path / "crops", tmp_path / "reps"
    settings = AlignSettings(crop=DLIB_CHIP)
    align(photos, crops, settings, jobs=1)
    assert align(photos, crops, settings, jobs=1).counts["already there"] == 2
    represent(crops, reps, load_network("dlib-resnet"), RepresentSettings())
    assert (reps / "labels.csv").read_bytes() == b"1,Ann/1.png\n2,Bo%0Ab/a%0D%0Ab.png\n"
    assert len(read_embeddings(reps).names) == 2


ODD = [f"P/a{letter}b.png" for letter in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"]
"""Names with what Python takes for ends of lines in a text, and a file does not."""


def test_lists_are_read_by_line_feeds_alone(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    write_given_names(names, [("Ann", name) for name in ODD])
    assert read_given_names(names) == dict.fromkeys(ODD, "Ann")
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{name}\n" for name in ODD), "utf-8")
    assert read_listed_images(listed) == ODD
    assert len(read_noise_lists([listed])) == len(ODD)
    assert read_noise_lists([listed]).find(ODD).all()


def test_such_crops_of_somebody_else_are_failures(tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    crops.mkdir()
    for name in ("a.png", "b\n.png"):
        (crops / name).write_bytes(_png())
    report = represent(
        crops, tmp_path / "reps", load_network("dlib-resnet"), RepresentSettings(any_crop=True)
    )
    assert report.failures == [("b\n.png", "its name holds an end of line; rename it")]
    assert read_embeddings(tmp_path / "reps").names == ["a.png"]


def test_names_in_two_lines_are_said(tmp_path: Path) -> None:
    np.save(tmp_path / "reps.npy", np.ones((2, 4), np.float32))
    (tmp_path / "labels.csv").write_text('1,a.png\n2,"b\n.png"\n')
    with pytest.raises(FormatError, match=r"labels\.csv line 2: the image's name goes on in"):
        read_embeddings(tmp_path)


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["a\n.jpg", "b\x1b.jpg"], ["a%0A", "b%1B"]),
        (["a\n.jpg", "a%0A.jpg"], ["a%250A", "a%0A"]),
        (["a\n.jpg", "a\n.png", "a%0A.png"], ["a%0A.jpg", "a%250A", "a%0A.png"]),
        (["a\u2028.jpg", "100 %.jpg", "\u00e9.jpg"], ["a%E2%80%A8", "100 %", "\u00e9"]),
    ],
)
def test_escaped_names_do_not_meet_others(names: list[str], stems: list[str]) -> None:
    assert crop_stems(names, several=False) == stems
    assert len({stem.casefold() for stem in crop_stems(names, several=True)}) == len(names)


def _png() -> bytes:
    return encode_png(np.full((150, 150, 3), 127, np.uint8))
