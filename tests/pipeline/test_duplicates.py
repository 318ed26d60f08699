"""Copies of photos are found; other photos of the same person are not taken for them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from facetool.embedding.people import read_people
from facetool.errors import FacetoolError
from facetool.images.read import read_image
from facetool.pipeline.duplicates import find_duplicates
from facetool.reports.duplicates import duplicates_report

CHANGES = {
    "smaller": lambda crop: cv2.resize(cv2.resize(crop, (60, 60)), (150, 150)),
    "brighter": lambda crop: np.clip(crop * 1.2 + 10.0, 0, 255).astype(np.uint8),
    "copied": lambda crop: cv2.imdecode(cv2.imencode(".jpg", crop, [1, 40])[1], 1),
}


@pytest.fixture
def copies(crops: Path, tmp_path: Path) -> Path:
    """The album's crops, and copies of the first three people's first ones; embeddings near."""
    folder, reps = tmp_path / "crops", tmp_path / "reps"
    shutil.copytree(crops, folder)
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    for person, (name, change) in zip(people, CHANGES.items(), strict=False):
        first = min(person.glob("*.png"))
        other = people[3] if name == "copied" else person
        cv2.imwrite(str(other / f"{name}.png"), change(cv2.imread(str(first))))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.png"))
    rng = np.random.default_rng(0)
    means = {path.name: rng.normal(size=32) for path in people}
    means["copied"] = means[people[2].name]
    vectors = [
        means.get(Path(name).stem, means[Path(name).parent.name]) + 0.02 * rng.normal(size=32)
        for name in names
    ]
    reps.mkdir()
    np.save(reps / "reps.npy", np.array(vectors, np.float32))
    (reps / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    described = {"network": "dlib-resnet", "unit_length": False, "input": str(folder)}
    (reps / "represent.json").write_text(json.dumps(described))
    return reps


def test_copies_are_found_and_other_photos_are_not(copies: Path, tmp_path: Path) -> None:
    result = find_duplicates(copies, 0.36)
    assert result.compared == 27 and result.report.exit_code == 0
    found = [[Path(image).stem for image in one.images] for one in result.duplicates]
    assert [set(CHANGES) & set(names) for names in found[:1]] == [{"copied"}]  # two names first
    assert sorted(name for names in found for name in names if name in CHANGES) == sorted(CHANGES)
    assert [len(names) for names in found] == [2, 2, 2]
    assert len(set(result.duplicates[0].people)) == 2
    assert all(one.correlation > 0.95 and one.squared_l2 < 0.09 for one in result.duplicates)
    duplicates_report(result, copies, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<img ") == 6 and "Under several names" in page and "no image" not in page


def test_faces_that_are_not_near_are_not_read(copies: Path) -> None:
    people = read_people(copies)
    np.save(copies / "reps.npy", np.eye(len(people.images), dtype=np.float32))
    assert find_duplicates(copies, 0.36).duplicates == []


def test_crops_that_are_gone(copies: Path) -> None:
    folder = copies.parent / "crops"
    gone = next(folder.glob("*/smaller.png"))
    gone.unlink()
    result = find_duplicates(copies, 0.36)
    assert len(result.duplicates) == 2 and result.report.exit_code == 1
    assert result.as_dict()["failed"][0]["image"] == f"{gone.parent.name}/smaller.png"
    shutil.rmtree(folder)
    with pytest.raises(FacetoolError, match="cannot be read"):
        find_duplicates(copies, 0.36)


def test_crops_of_this_album_differ(crops: Path) -> None:
    """What the others rely on: no two crops of the album are nearly the same."""
    small = []
    for path in sorted(crops.glob("*/*.png")):
        gray = cv2.resize(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), (24, 24))
        small.append((gray - gray.mean()).ravel() / np.linalg.norm(gray - gray.mean()))
    correlations = np.array(small) @ np.array(small).T
    assert correlations[np.triu_indices(len(small), 1)].max() < 0.95


def test_a_photo_in_no_folder_is_nobodys(copies: Path, tmp_path: Path) -> None:
    """It does not make two names of one, and is not called "."."""
    folder, labels = copies.parent / "crops", copies / "labels.csv"
    (copied,) = folder.glob("*/smaller.png")
    name = f"{copied.parent.name}/smaller.png"
    shutil.move(copied, folder / "smaller.png")
    labels.write_text(labels.read_text().replace(name, "smaller.png"))
    result = find_duplicates(copies, 0.36)
    loose = next(one for one in result.duplicates if "smaller.png" in one.images)
    assert sorted(loose.people) == ["", copied.parent.name] and not loose.of_several_people
    assert [one.of_several_people for one in result.duplicates] == [True, False, False]
    duplicates_report(result, copies, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<b>no folder</b>" in page and "<b>.</b>" not in page
