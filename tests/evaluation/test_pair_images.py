"""Images of pairs among the images at hand."""

import unicodedata

import pytest

from facetool.errors import FormatError
from facetool.evaluation.pair_images import ImageIndex, LfwImage, PathImage, without_suffix

NAMES = ["Ann_Lee/Ann_Lee_0001.png", "Ann_Lee/Ann_Lee_0002.png", "Bo_Kim/Bo_Kim_0001.png"]


def test_person_and_number_in_any_folder() -> None:
    index = ImageIndex(["data/lfw/dlib-affine-sz/Aaron_Eckhart/Aaron_Eckhart_0001.png", *NAMES[1:]])
    assert index.find(LfwImage("Aaron_Eckhart", 1)) == 0
    assert index.find(LfwImage("Ann_Lee", 2)) == 1
    assert index.find(LfwImage("Ann_Lee", 1)) is None


def test_the_folder_decides_between_images_of_one_name() -> None:
    index = ImageIndex(["other/Ann_Lee_0001.png", NAMES[0], NAMES[2]])
    assert index.find(LfwImage("Ann_Lee", 1)) == 1
    index = ImageIndex([NAMES[0], "Ann_Lee/Ann_Lee_0001.jpg", NAMES[2]])
    with pytest.raises(FormatError, match=r"0001\.png and Ann_Lee/Ann_Lee_0001\.jpg"):
        index.find(LfwImage("Ann_Lee", 1))


def test_a_path_is_found_by_as_many_folders_as_both_have() -> None:
    index = ImageIndex(["Ann/1.png", "Bo/1.png", "flat.png"])
    assert index.find(PathImage.of("lfw/Ann/1.jpg")) == 0
    assert index.find(PathImage.of("Bo\\1.jpg")) == 1
    assert index.find(PathImage.of("./Bo/1")) == 1
    assert index.find(PathImage.of("Cy/1.jpg")) is None
    assert index.find(PathImage.of("somewhere/flat.jpg")) == 2
    with pytest.raises(FormatError, match="more than once"):
        index.find(PathImage.of("1.jpg"))


def test_names_spelled_by_macos() -> None:
    taken_apart = unicodedata.normalize("NFD", "José/José_0001.png")
    index = ImageIndex([taken_apart])
    assert index.find(LfwImage("José", 1)) == 0
    assert index.find(LfwImage(unicodedata.normalize("NFD", "José"), 1)) == 0
    assert index.find(PathImage.of("José/José_0001.jpg")) == 0


def test_only_suffixes_of_images_go() -> None:
    assert without_suffix("a/b.JPG") == "a/b"
    assert without_suffix("john.smith_0001") == "john.smith_0001"
