"""Feature files for MegaFace's tools, as gen_megaface.py and remove_noises.py write them."""

import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError, UsageError
from facetool.files.align_manifest import AlignRow, write_manifest
from facetool.files.megaface_features import read_feature, read_features
from facetool.jobs.progress import Progress, follow
from facetool.pipeline.records_features import write_features

NAMES = ["Ann/Ann_1.png", "Ann/Ann_2.png", "Ann/Ann_3.png", "Bob/Bob_1.png", "Bob/Bob_2.png"]


def draw(size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((len(NAMES), size)).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def represented(
    folder: Path, vectors: np.ndarray, names: list[str] = NAMES, crops: Path | None = None
) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "reps.npy", vectors)
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    told = {"input": str(crops)} if crops else {}
    (folder / "represent.json").write_text(json.dumps(told))
    return folder


def written(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.rglob("*.bin"))
    return {file.relative_to(folder).as_posix(): read_feature(file)[0] for file in files}


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    return represented(tmp_path / "reps", draw())


def test_features_are_at_unit_length_and_come_back(reps: Path, tmp_path: Path) -> None:
    report = write_features([reps], tmp_path / "features", algorithm="x")
    assert report.counts["feature files written"] == 5
    assert (tmp_path / "features" / "Ann" / "Ann_1.png_x.bin").is_file()
    found = read_features(tmp_path / "features")
    assert found.names == NAMES
    np.testing.assert_allclose(found.vectors, unit(draw()), atol=1e-6)


@pytest.mark.parametrize("length", [1e-38, 1e-20, 1e20, 1e37])
def test_features_of_any_length_come_to_unit_length(length: float, tmp_path: Path) -> None:
    reps = represented(tmp_path / "reps", (draw().astype(float) * length).astype(np.float32))
    write_features([reps], tmp_path / "features")
    found = read_features(tmp_path / "features").vectors
    np.testing.assert_allclose(found, unit(draw()), atol=1e-6)


def test_files_are_named_after_the_photos(tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    photos = ["Ann/Ann_1.jpg", "Ann/Ann_2.JPEG", "Ann/Ann_2.JPEG", "Bob/Bob_1.png"]
    rows = [
        AlignRow(input=photo, status="aligned", output=name)
        for photo, name in zip(photos, NAMES[:4], strict=True)
    ]
    write_manifest(crops, [*rows, AlignRow(input="Bob/x.jpg", status="no-face")])
    report = write_features(
        [represented(tmp_path / "reps", draw(), crops=crops)], tmp_path / "out", algorithm="x"
    )
    assert set(written(tmp_path / "out")) == {
        "Ann/Ann_1.jpg_x.bin",
        "Ann/Ann_2.JPEG_x.bin",
        "Bob/Bob_1.png_x.bin",
        "Bob/Bob_2.png_x.bin",
    }
    assert [name for name, _ in report.failures] == ["Ann/Ann_2.JPEG"]  # a second face
    with pytest.raises(FormatError, match=r"no align\.csv"):
        write_features([tmp_path / "reps"], tmp_path / "out", crops=tmp_path / "reps")


def test_crops_that_are_gone_are_remarked_on(tmp_path: Path) -> None:
    remarks: list[str] = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            remarks.append(text)

    reps = represented(tmp_path / "reps", draw(), crops=tmp_path / "gone")
    with follow(Listener()):
        write_features([reps], tmp_path / "out")
    assert "named after crops" in remarks[0]


def test_cleaned_files_of_people_in_question(reps: Path, tmp_path: Path) -> None:
    noise = tmp_path / "facescrub_noises.txt"
    noise.write_text("# comment\nAnn_2.jpg\nBob_1.png\nBob_2.png\n")
    report = write_features([reps], tmp_path / "out", algorithm="x", remove=[noise])
    found, vectors = written(tmp_path / "out"), unit(draw())
    assert {len(vector) for vector in found.values()} == {9}
    assert all(vector[-1] == 0 for vector in found.values())
    np.testing.assert_allclose(found["Ann/Ann_1.png_x.bin"][:-1], vectors[0], atol=1e-6)
    centre = unit(vectors[0] + vectors[2])
    np.testing.assert_allclose(found["Ann/Ann_2.png_x.bin"][:-1], centre, atol=1e-6)
    assert sorted(name for name, _ in report.failures) == ["Bob/Bob_1.png", "Bob/Bob_2.png"]
    assert report.counts["images replaced by their person's centre"] == 1


def test_noisy_distractors_are_put_out_of_reach(reps: Path, tmp_path: Path) -> None:
    noise = tmp_path / "megaface_noises.txt"
    noise.write_text("Ann/Ann_2.jpg\n")
    write_features([reps], tmp_path / "out", algorithm="x", remove=[noise], distractors=True)
    found = written(tmp_path / "out")
    assert [vector[-1] for vector in found.values()] == [0, 100, 0, 0, 0]
    np.testing.assert_allclose(
        np.stack(list(found.values()))[:, :-1], unit(draw()), atol=1e-6
    )  # the embedding itself stays


def test_embeddings_of_several_networks_stand_side_by_side(tmp_path: Path) -> None:
    first = represented(tmp_path / "first", draw())
    order = [4, 2, 0, 1, 3]
    second = represented(tmp_path / "second", draw(6, 1)[order], [NAMES[row] for row in order])
    write_features([first, second], tmp_path / "out", algorithm="x")
    expected = unit(np.hstack([unit(draw()), unit(draw(6, 1))]))
    found = np.stack(list(written(tmp_path / "out").values()))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    other = represented(tmp_path / "other", draw()[:2], NAMES[:2])
    with pytest.raises(UsageError, match="not of the same images"):
        write_features([first, other], tmp_path / "out")


@pytest.mark.parametrize("under", ["", "facescrub_images/", "/data/facescrub_images/"])
def test_files_are_those_that_a_list_asks_for(reps: Path, tmp_path: Path, under: str) -> None:
    listed = tmp_path / "facescrub_lst"
    images = ["Ann/Ann_3.jpg", "Ann/Ann_1.jpg", "Cid/Ann_1.jpg", "Bob/Bob_1.png"]
    listed.write_text("".join(f"{under}{image}\n" for image in images))
    noise = tmp_path / "noise"
    noise.write_text("Ann_1.jpg\n")
    report = write_features([reps], tmp_path / "out", algorithm="x", listed=listed, remove=[noise])
    found, vectors = written(tmp_path / "out"), unit(draw())
    assert list(found) == ["Ann/Ann_1.jpg_x.bin", "Ann/Ann_3.jpg_x.bin", "Bob/Bob_1.png_x.bin"]
    # The person's centre is that of the listed images, as remove_noises.py has it.
    np.testing.assert_allclose(found["Ann/Ann_1.jpg_x.bin"][:-1], vectors[2], atol=1e-6)
    assert [name for name, _ in report.failures] == [f"{under}Cid/Ann_1.jpg"]
    assert report.counts["not in the list"] == 2


def test_a_list_of_other_images_is_refused(reps: Path, tmp_path: Path) -> None:
    listed = tmp_path / "facescrub_features_list.json"
    listed.write_text(json.dumps({"path": ["Cid/Cid_1.png", "Ann_1.png"], "id": ["Cid", "Ann"]}))
    with pytest.raises(UsageError, match=r"2 images such as Cid/Cid_1\.png.* like Ann/Ann_1\.png"):
        write_features([reps], tmp_path / "out", listed=listed)


def test_what_does_not_go_together(reps: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="goes with remove"):
        write_features([reps], tmp_path / "out", distractors=True)
    outside = represented(tmp_path / "outside", draw()[:1], ["../A/1.png"])
    with pytest.raises(UsageError, match="not relative"):
        write_features([outside], tmp_path / "features")
