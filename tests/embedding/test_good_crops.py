"""Poor faces are left out of what is made of a represent folder."""

from pathlib import Path

import numpy as np
import pytest

from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import read_people
from facetool.errors import FacetoolError, UsageError
from facetool.files.align_manifest import AlignRow, write_manifest
from facetool.files.represent_description import (
    RepresentDescription,
    write_represent_description,
)

QUALITY = {"A/1.png": (40, 90), "A/2.png": (80, 20), "B/1.png": (80, 90), "B/2.png": (30, 10)}


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    folder, crops = tmp_path / "reps", tmp_path / "crops"
    folder.mkdir()
    crops.mkdir()
    np.save(folder / "reps.npy", np.eye(4, dtype=np.float32))
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in QUALITY))
    write_represent_description(folder, RepresentDescription(network="n", input=str(crops)))
    rows = [
        AlignRow(name, "aligned", output=name, size=str(size), sharpness=str(sharpness))
        for name, (size, sharpness) in QUALITY.items()
    ]
    write_manifest(crops, [AlignRow("C/1.jpg", "no-face", "no face found"), *rows])
    return folder


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ((0, 0), ["A/1.png", "A/2.png", "B/1.png", "B/2.png"]),
        ((40, 0), ["A/1.png", "A/2.png", "B/1.png"]),
        ((0, 90), ["A/1.png", "B/1.png"]),
        ((41, 90), ["B/1.png"]),
    ],
)
def test_small_and_blurred_faces_are_left_out(reps, limits, left):
    people = leave_out_poor(read_people(reps), reps, *limits)
    assert people.images == left
    assert [people.names[label] for label in people.labels] == [image[0] for image in left]


def test_none_is_good_enough(reps):
    with pytest.raises(FacetoolError, match="none of its 4 faces is large and sharp enough"):
        leave_out_poor(read_people(reps), reps, min_face=1000)


def test_quality_that_is_not_known(reps):
    manifest = reps.parent / "crops" / "align.csv"
    old = manifest.read_text().splitlines()
    manifest.write_text("".join(",".join(line.split(",")[:11]) + "\n" for line in old))
    with pytest.raises(UsageError, match=r"does not say how good the face of A/1\.png is"):
        leave_out_poor(read_people(reps), reps, min_face=1)
    manifest.unlink()
    with pytest.raises(UsageError, match="which is not there"):
        leave_out_poor(read_people(reps), reps, min_sharpness=1)
