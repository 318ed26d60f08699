"""Names from a photo manager to a classifier, and from a classifier to the photo manager."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.classification.classifier_file import load_classifier
from facetool.errors import OutputError, UsageError
from facetool.files.align_manifest import AlignRow, read_manifest
from facetool.files.xmp import FaceRegion, sidecar_of, write_regions
from facetool.images.named_faces import BoxedName, read_names, write_names
from facetool.images.read import read_image
from facetool.jobs.report import Report
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.classify_infer import InferSettings, NamedPhoto, name_people
from facetool.pipeline.classify_train import ClassifierSettings, find_kind, train_classifier
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network

SETTINGS = ClassifierSettings(kind=find_kind("nearest-mean"))


@pytest.fixture(scope="module")
def unsorted(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album's photos in one folder, crops and embeddings beside it."""
    place = tmp_path_factory.mktemp("unsorted")
    (place / "photos").mkdir()
    for photo in album.glob("*/*.jpg"):
        shutil.copy(photo, place / "photos")
    align(place / "photos", place / "crops", AlignSettings(crop=DLIB_CHIP))
    represent(place / "crops", place / "reps", load_network("dlib-resnet"), RepresentSettings())
    return place


def found(place: Path) -> list[AlignRow]:
    """Where hog finds the face of each photo."""
    return [row for row in read_manifest(place / "crops" / "align.csv") if row.output]


def person(photo: str) -> str:
    return photo.rpartition("_")[0].replace("_", " ")


@pytest.fixture
def named(unsorted: Path, tmp_path: Path) -> Path:
    """Sidecars beside all photos but one."""
    place = tmp_path / "place"
    shutil.copytree(unsorted, place)
    for path in (place / "crops" / "align.json", place / "reps" / "represent.json"):
        path.write_text(path.read_text().replace(str(unsorted), str(place)))
    for row in found(place)[1:]:
        box = (float(row.left), float(row.top), float(row.right), float(row.bottom))
        photo = place / "photos" / row.input
        write_names(photo, [BoxedName(person(row.input), box)])
        by_hand = sidecar_of(photo).read_text("utf-8").replace('"facetool: "', '""')
        sidecar_of(photo).write_text(by_hand, "utf-8")
    return place


@pytest.mark.slow
def test_people_are_named_as_their_regions(named: Path) -> None:
    result = train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    photos = [row.input for row in found(named)[1:]]
    assert result.images == len(photos)
    assert list(result.classifier.people) == sorted({person(photo) for photo in photos})
    assert result.classifier.cross_validation.accuracy == 1


@pytest.mark.slow
def test_a_region_elsewhere_in_the_photo_names_nobody(named: Path) -> None:
    photo = named / "photos" / found(named)[1].input
    write_regions(sidecar_of(photo), [FaceRegion("Elsewhere", 0.05, 0.05, 0.05, 0.05)], 1, 1)
    result = train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    assert "Elsewhere" not in result.classifier.people


@pytest.mark.slow
def test_what_facetool_named_itself_is_not_learned(named: Path) -> None:
    train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    bare = named / "photos" / found(named)[0].input
    photos = [named / "photos" / row.input for row in found(named)]
    before = {each: each.read_bytes() for each in (named / "photos").iterdir()}
    made = load_classifier(named / "xmp.classifier")
    network = load_network("dlib-resnet")
    _, report = name_people(made, photos, network, InferSettings(xmp=True))
    assert len(report.failures) == len(photos) - 1
    after = {each: each.read_bytes() for each in (named / "photos").iterdir()}
    assert after.keys() - before.keys() == {sidecar_of(bare)}
    result = train_classifier(named / "reps", named / "again.classifier", SETTINGS, xmp=True)
    assert result.images == len(photos) - 1
    for photo in photos[1:]:
        sidecar_of(photo).unlink()
    name_people(made, photos, network, InferSettings(xmp=True))
    with pytest.raises(UsageError, match=r"has a name .* besides what facetool wrote there"):
        train_classifier(named / "reps", named / "again.classifier", SETTINGS, xmp=True)


@pytest.mark.slow
def test_without_any_name_the_reason_is_said(unsorted: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of its .* faces has a name"):
        train_classifier(unsorted / "reps", tmp_path / "x", SETTINGS, xmp=True)


@pytest.mark.slow
def test_names_go_into_sidecars_and_photos_stay(named: Path) -> None:
    train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    photos = [named / "photos" / row.input for row in found(named)]
    bare, kept = photos[:2]
    write_regions(sidecar_of(kept), [FaceRegion("By hand", 0.5, 0.5, 0.3, 0.3)], 250, 250)
    before = [photo.read_bytes() for photo in photos]
    answers, report = name_people(
        load_classifier(named / "xmp.classifier"),
        [bare, kept],
        load_network("dlib-resnet"),
        InferSettings(xmp=True),
    )
    assert [face.name for face in read_names(bare)] == [person(bare.name)]
    assert [face.name for face in read_names(kept)] == ["By hand"]
    assert report.exit_code == 1
    assert "named elsewhere" in answers[1].error
    assert [photo.read_bytes() for photo in photos] == before


@pytest.mark.slow
@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_cannot_be_written_fails_alone(
    inside: bool, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    photos = [named / "photos" / row.input for row in found(named)[:3]]
    for photo in photos[1:]:
        sidecar_of(photo).unlink()
    refused, code = photos[0] if inside else sidecar_of(photos[0]), errno.EPERM
    replace = Path.replace

    def replace_others(self: Path, target: Path) -> Path:
        if target == refused:
            raise OSError(code, os.strerror(code))
        return replace(self, target)

    def infer() -> tuple[list[NamedPhoto], Report]:
        return name_people(
            load_classifier(named / "xmp.classifier"),
            photos,
            load_network("dlib-resnet"),
            InferSettings(xmp=not inside, xmp_inside=inside),
        )

    if not inside:
        refused.mkdir()
        assert "Is a directory" in infer()[1].failures[0][1]
        refused.rmdir()
    monkeypatch.setattr(Path, "replace", replace_others)
    before = photos[0].read_bytes()
    answers, report = infer()
    reason = f"cannot write {refused}: Operation not permitted"
    assert report.failures == [(str(photos[0]), reason)] and report.exit_code == 1
    assert [answer.error for answer in answers] == [reason, "", ""]
    assert [len(read_names(photo)) for photo in photos] == [0, 1, 1]
    assert photos[0].read_bytes() == before
    code = errno.ENOSPC
    with pytest.raises(OutputError, match="No space left"):
        infer()


def test_names_go_into_photos_on_request_only(named: Path) -> None:
    train_classifier(named / "reps", named / "xmp.classifier", SETTINGS, xmp=True)
    photo, other = (named / "photos" / row.input for row in found(named)[:2])
    pixels, before = read_image(photo), other.read_bytes()
    _, report = name_people(
        load_classifier(named / "xmp.classifier"),
        [photo],
        load_network("dlib-resnet"),
        InferSettings(xmp_inside=True),
    )
    assert report.exit_code == 0 and not sidecar_of(photo).exists()
    assert [face.name for face in read_names(photo)] == [person(photo.name)]
    assert np.array_equal(read_image(photo), pixels) and other.read_bytes() == before
