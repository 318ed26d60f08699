from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.classification.classifier import Classifier
from facetool.classification.classifier_file import load_classifier
from facetool.classification.provenance import Provenance
from facetool.errors import FormatError, ImageError, UsageError
from facetool.images.read import read_photo
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.classify_infer import InferSettings, name_people, network_name
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def made(
    crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Classifier:
    folder = tmp_path_factory.mktemp("named")
    represent(crops, folder / "reps", network, RepresentSettings())
    train_classifier(
        folder / "reps", folder / "classifier", ClassifierSettings(kind="nearest-mean", fpir=0.5)
    )
    return load_classifier(folder / "classifier")


@pytest.fixture(scope="module")
def photos(album: Path) -> list[Path]:
    return sorted(album.glob("*/*_0001.*"))


@pytest.mark.slow
def test_photos_are_named_in_order(made, network, photos, capsys, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    Image.new("RGB", (80, 80)).save(tmp_path / "black.png")
    paths = [photos[0], tmp_path / "bad.jpg", *photos[1:], tmp_path / "black.png"]
    named, report = name_people(made, paths, network, InferSettings())
    assert [photo.image for photo in named] == [str(path) for path in paths]
    assert report.exit_code == 1 and len(report.failures) == 2
    assert named[1].faces == [] and "not an image" in named[1].error
    assert "no face found" in named[-1].error
    good = [photo for photo in named if not photo.error]
    assert [len(photo.faces) for photo in good] == [1] * len(photos)
    names = [photo.faces[0].name for photo in good]
    assert names == [path.parent.name for path in photos]
    document = good[0].as_dict()
    assert list(document) == ["image", "faces"]
    face = document["faces"][0]
    assert 0 <= face["confidence"] <= 1 and len(face["box"]) == 4
    assert set(named[1].as_dict()) == {"image", "faces", "error"}
    assert report.failures[0][0].endswith("bad.jpg")
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_every_face_from_left_to_right(made, network, photos, tmp_path):
    images = [np.asarray(Image.open(photo).convert("RGB")) for photo in photos[:3]]
    height = min(image.shape[0] for image in images)
    together = np.concatenate([image[:height] for image in images], axis=1)
    Image.fromarray(together).save(tmp_path / "together.png")
    settings = InferSettings(multi=True, annotate=tmp_path / "drawn")
    (named,), report = name_people(made, [tmp_path / "together.png"], network, settings)
    assert report.exit_code == 0
    assert [face.name for face in named.faces] == [photo.parent.name for photo in photos[:3]]
    assert [face.box.left for face in named.faces] == sorted(face.box.left for face in named.faces)
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "together.png"))
    assert drawn.shape == together.shape and (drawn != together).any()
    (single,), _ = name_people(made, [tmp_path / "together.png"], network, InferSettings())
    assert len(single.faces) == 1


@pytest.mark.slow
def test_folders_and_copies_of_one_name(made, network, photos, album, tmp_path):
    person = photos[0].parent
    twin = tmp_path / "twin" / photos[0].name
    twin.parent.mkdir()
    twin.write_bytes(photos[0].read_bytes())
    settings = InferSettings(annotate=tmp_path / "drawn")
    named, _ = name_people(made, [person, twin, photos[0]], network, settings)
    assert len(named) == 5
    stems = {path.stem for path in (tmp_path / "drawn").glob("[!.]*")}
    assert stems == {path.stem for path in person.iterdir()} | {f"{twin.stem}-2"}
    png = tmp_path / "a.png"
    Image.open(photos[0]).save(png)
    with pytest.raises(UsageError, match="would replace the photo"):
        name_people(made, [png], network, InferSettings(annotate=tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images"):
        name_people(made, [tmp_path / "empty"], network, InferSettings())


def test_another_network_is_refused(made, network, photos):
    for change in ({"sha256": "00" * 32}, {"network": "nn4.small2"}):
        other = replace(made, provenance=replace(made.provenance, **change))
        with pytest.raises(UsageError, match="but the classifier was trained on"):
            name_people(other, photos[:1], network, InferSettings())
    with pytest.raises(UsageError, match="does not know which network"):
        network_name(replace(made, provenance=Provenance()))
    assert network_name(made) == "dlib-resnet.v1"
    custom = replace(made, provenance=replace(made.provenance, weights="mine.pt"))
    assert network_name(custom) == "dlib-resnet"
    unknown = replace(made, provenance=replace(made.provenance, weights="", network="mine"))
    with pytest.raises(UsageError, match="mine"):
        name_people(unknown, photos[:1])


@pytest.mark.slow
def test_a_classifier_names_its_network(made, network, photos):
    named, report = name_people(made, photos[:2])
    assert report.exit_code == 0
    assert named == name_people(made, photos[:2], network, InferSettings())[0]
    with pytest.raises(UsageError, match="does not know which network"):
        name_people(replace(made, provenance=Provenance()), photos)


def test_a_classifier_that_contradicts_itself(made, network, photos):
    crop = {**made.provenance.recipe["crop"], "width": 99, "height": 99}
    recipe = {**made.provenance.recipe, "crop": crop}
    other = replace(made, provenance=replace(made.provenance, recipe=recipe))
    with pytest.raises(FormatError, match="trained on crops made as"):
        name_people(other, photos[:1], network, InferSettings())
    broken = replace(made, provenance=replace(made.provenance, recipe={}))
    with pytest.raises(FormatError, match="not a recipe"):
        name_people(broken, photos[:1], network, InferSettings())
    short = replace(made, means=made.means[:, :64])
    with pytest.raises(FormatError, match="embeddings of 64 dimensions"):
        name_people(short, photos[:1], network, InferSettings())


@pytest.mark.slow
def test_a_photo_that_goes_before_its_copy_is_drawn(made, network, photos, tmp_path, monkeypatch):
    def read(path):
        if path == photos[1]:
            raise ImageError("cannot be read: gone")
        return read_photo(path)

    monkeypatch.setattr("facetool.pipeline.classify_infer.read_photo", read)
    named, report = name_people(made, photos[:3], network, InferSettings(annotate=tmp_path))
    assert [photo.error for photo in named] == ["", "cannot be read: gone", ""]
    assert report.exit_code == 1
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.slow
def test_lists_of_photos_and_what_is_not_read(made, network, photos, tmp_path):
    listing = tmp_path / "photos.txt"
    listing.write_bytes(b"".join(f"{path}\0".encode() for path in photos[:2]))
    found, report = name_people(made, [listing], network, InferSettings(null=True))
    assert [Path(photo.image).name for photo in found] == sorted(p.name for p in photos[:2])
    assert report.exit_code == 0
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "a.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(40))
    found, report = name_people(made, [folder], network, InferSettings())
    assert found == [] and report.exit_code == 1
    assert "1 video: not read (a.mov)" in ": ".join(report.failures[0])
    (folder / "itself").symlink_to("itself")
    _, report = name_people(made, [folder], network, InferSettings())
    assert report.failures[0][0] == str(folder / "itself")  # several folders may be given


@pytest.mark.slow
def test_embeddings_of_openface_are_used_once_their_network_is_told(
    crops, network, photos, tmp_path
):
    """Its batch-represent wrote reps.csv and labels.csv, and nothing on the network."""
    reps = tmp_path / "reps"
    represent(crops, reps, network, RepresentSettings())
    for name in ("represent.json", "reps.npy"):
        (reps / name).unlink()
    settings = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    with pytest.raises(UsageError, match="nothing says how they are compared"):
        train_classifier(reps, tmp_path / "untold", settings)
    (reps / "represent.json").write_text('{"unit_length": false}')
    untold = train_classifier(reps, tmp_path / "untold", settings)
    (reps / "represent.json").unlink()
    assert any("model=NAME" in warning for warning in untold.warnings)
    with pytest.raises(UsageError, match="model=NAME"):
        network_name(load_classifier(tmp_path / "untold"))
    told = train_classifier(reps, tmp_path / "told", settings, network=network)
    assert not any("model=" in warning for warning in told.warnings)
    made = load_classifier(tmp_path / "told")
    assert network_name(made) == "dlib-resnet.v1"
    named, report = name_people(made, photos, network, InferSettings())
    assert report.exit_code == 0
    assert [photo.faces[0].name for photo in named] == [path.parent.name for path in photos]


def test_a_network_that_did_not_make_the_embeddings_is_refused(crops, network, tmp_path):
    represent(crops, tmp_path / "reps", network, RepresentSettings())
    settings = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    other = load_network("dlib-resnet")
    other.info = replace(other.info, architecture="nn4", embedding_size=128)
    with pytest.raises(UsageError, match="made otherwise"):
        train_classifier(tmp_path / "reps", tmp_path / "c", settings, network=other)
    other.info = replace(other.info, embedding_size=512)
    with pytest.raises(UsageError, match="128 dimensions"):
        train_classifier(tmp_path / "reps", tmp_path / "c", settings, network=other)
