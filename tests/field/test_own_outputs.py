"""What facetool itself wrote is no photo."""

from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.images.folder import list_images
from facetool.images.inputs import list_photos
from facetool.jobs.progress import Progress, follow
from facetool.pipeline.classify_infer import _copy_names


class Remarks(Progress):
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def remark(self, name: str, text: str) -> None:
        self.said.append((Path(name).name, text))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("manifest", ["align.json", ".align.journal.part"])
def test_crops_inside_are_passed_over_and_said(tmp_path: Path, manifest: str) -> None:
    touch(tmp_path / "Ann/1.jpg")
    touch(tmp_path / "crops/Ann/1.png")
    touch(tmp_path / "crops" / manifest)
    with follow(remarks := Remarks()):
        assert list_photos(tmp_path).names == ("Ann/1.jpg",)
    assert remarks.said == [("crops", "crops of facetool align are passed over")]
    with pytest.raises(UsageError, match="give the photos they were cut from"):
        list_photos(tmp_path / "crops")
    # Whoever takes crops still finds them.
    assert list_images(tmp_path / "crops").names == ("Ann/1.png",)


def test_plots_beside_their_results_are_passed_over(tmp_path: Path) -> None:
    for name in ("roc.png", "tsne.png", "1.jpg"):
        touch(tmp_path / name)
    assert len(list_photos(tmp_path).names) == 3
    touch(tmp_path / "represent.json")
    with follow(remarks := Remarks()):
        assert list_photos(tmp_path).names == ("1.jpg",)
    assert remarks.said[0][1] == "2 images that facetool wrote there, passed over"


def test_annotated_copies_are_passed_over_and_never_replace_others(tmp_path: Path) -> None:
    photos, copies = tmp_path / "photos", tmp_path / "photos/named"
    one, other = touch(photos / "Ann/1.jpg"), touch(photos / "Bob/1.jpg")
    copy = _copy_names([one], copies)[one]
    touch(copy)
    assert copy.name == "1.png"
    # Another run, another photo of the same name; and the first photo again.
    again = _copy_names([other, one], copies)
    assert (again[other].name, again[one].name) == ("1-2.png", "1.png")
    touch(again[other])
    touch(copies / "own.png")
    assert list_photos(photos).names == ("Ann/1.jpg", "Bob/1.jpg", "named/own.png")
    assert _copy_names([touch(photos / "own.jpg")], copies)[photos / "own.jpg"].name == "own-2.png"
