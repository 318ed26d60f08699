import json
from pathlib import Path

import numpy as np
import pytest

from facetool.embedding.people import pair_threshold, read_people
from facetool.errors import FacetoolError, FormatError
from facetool.files.represent_description import RepresentDescription
from facetool.networks.pair_threshold import PairThreshold


def write(folder: Path, images: list[str], provenance: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "reps.npy", np.arange(len(images) * 4, dtype=np.float32).reshape(-1, 4) + 1)
    (folder / "labels.csv").write_text("".join(f"1,{image}\n" for image in images))
    if provenance is not None:
        (folder / "represent.json").write_text(json.dumps(provenance))
    return folder


def test_people_are_named_by_their_folders(tmp_path):
    images = ["x/B/1.png", "./A/1.png", "x/B/2.png"]
    people = read_people(write(tmp_path, images, {"unit_length": True}))
    assert people.names == ["A", "B"] and people.labels.tolist() == [1, 0, 1]
    assert people.provenance.network == "" and people.provenance.unit_length
    some = people.only(people.having({"B"}))
    assert some.names == ["B"] and some.labels.tolist() == [0, 0]
    assert some.images == ["x/B/1.png", "x/B/2.png"]
    assert some.vectors[1].tolist() == [9, 10, 11, 12]
    np.testing.assert_allclose(np.linalg.norm(people.prepared(), axis=1), 1)


def test_two_people_of_one_name_keep_their_path(tmp_path):
    images = ["x/B/1.png", "y/B/1.png", "y/C/1.png"]
    people = read_people(write(tmp_path, images, {"unit_length": True}))
    assert people.names == ["C", "x/B", "y/B"]


def test_missed_faces_are_left_out(tmp_path):
    provenance = {"missed_faces": ["A/1.png"], "unit_length": False}
    people = read_people(write(tmp_path, ["A/1.png", "B/1.png"], provenance))
    assert people.names == ["B"] and people.missed == 1
    assert people.prepared().tolist() == [[5, 6, 7, 8]]
    with pytest.raises(FacetoolError, match="no image with a face"):
        read_people(write(tmp_path, ["A/1.png"], provenance))


def test_images_in_nobodys_folder(tmp_path):
    with pytest.raises(FormatError, match=r"1\.png lies in no person's folder"):
        read_people(write(tmp_path, ["1.png", "B/1.png"]))


describe = RepresentDescription.from_dict


def test_published_thresholds_apply_to_plain_embeddings_only():
    provenance = {"network": "dlib-resnet", "weights": {"name": "dlib-resnet.v1"}}
    assert pair_threshold(describe(provenance)).squared_l2 == 0.36
    assert pair_threshold(describe({**provenance, "flip": "sum"})) is None
    assert pair_threshold(describe({})) is None


def test_a_threshold_that_the_folder_states_goes_first():
    stated = PairThreshold(0.5, "ours", far=0.25, normalized=True)
    folder = {"weights": {"name": "dlib-resnet.v1"}, "threshold": stated.as_dict()}
    assert pair_threshold(describe(folder)) == stated
    assert describe(folder).change(describe({**folder, "threshold": None})) is None
    folder["threshold"] = {**stated.as_dict(), "squared_l2": float("nan")}
    with pytest.raises(FormatError, match="threshold"):
        pair_threshold(describe(folder))
