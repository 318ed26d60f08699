"""People in videos, named once for each time they are in sight."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from facetool.classification.classifier import Classifier
from facetool.classification.classifier_file import load_classifier
from facetool.cli.main import cli
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.classify_infer import InferSettings, name_people
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.reports.classify_infer import classify_infer_report
from facetool.weights.load import load_network
from tests.drawn_videos import scene, write_video
from tests.remarks import remarks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def classifier(
    crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("named")
    represent(crops, folder / "reps", network, RepresentSettings())
    settings = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    train_classifier(folder / "reps", folder / "classifier", settings)
    return folder / "classifier"


@pytest.fixture(scope="module")
def made(classifier: Path) -> Classifier:
    return load_classifier(classifier)


@pytest.fixture(scope="module")
def people(album: Path) -> list[str]:
    """In the order in which they are drawn."""
    from facetool.sample.names import draw_names

    return list(draw_names(6, 7))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the album's people for a second and a half, then one of them elsewhere."""
    frames = [*scene((0, 0, 5), (1, 310, -5), frames=6), *scene((0, 40, 0), frames=4, gray=250)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


def test_each_track_has_a_name(
    made: Classifier, network: EmbeddingNetwork, clip: Path, people: list[str], tmp_path: Path
) -> None:
    settings = InferSettings(multi=True, keep_crops=True, annotate=tmp_path / "copies", xmp=True)
    with remarks() as said:
        (found,), report = name_people(made, [clip], network, settings)
    assert report.exit_code == 0 and found.error == ""
    assert said == [
        f"1 video, such as {clip}: no annotated copy and no XMP of videos; their faces are named "
        "with the second"
    ]
    assert sorted((face.name, *face.times[1:]) for face in found.faces if face.times) == sorted(
        [(people[0], 0, 1), (people[1], 0, 1), (people[0], 1.5, 2)]
    )
    face = found.as_dict()["faces"][0]
    assert set(face) == {"name", "confidence", "box", "likeness", "time", "first", "last"}
    assert not list((tmp_path / "copies").glob("*.png"))
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]
    classify_infer_report([found], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 3 and "(1.5 to 2)" in page


def test_videos_and_photos_of_a_folder(
    made: Classifier, network: EmbeddingNetwork, clip: Path, album: Path, tmp_path: Path
) -> None:
    photo = sorted(album.glob("*/*_0001.jpg"))[0]
    shutil.copy(photo, tmp_path / "a.jpg")
    for number in (1, 2):
        shutil.copy(clip, tmp_path / f"b{number}.mp4")
    found, report = name_people(made, [tmp_path], network, InferSettings())
    assert [Path(one.image).name for one in found] == ["a.jpg"]
    assert len(report.failures) == 1
    assert "2 videos: not read (b1.mp4 among them)" in ": ".join(report.failures[0])
    found, report = name_people(made, [tmp_path], network, InferSettings(every="scene"))
    assert [Path(one.image).name for one in found] == ["a.jpg", "b1.mp4", "b2.mp4"]
    assert report.exit_code == 0
    assert [face.as_dict() for face in found[1].faces] == [f.as_dict() for f in found[2].faces]
    assert [face.times and face.times.best for face in found[1].faces] == [0, 1.5]


def test_a_video_with_the_name_of_a_photo_is_one(
    made: Classifier, network: EmbeddingNetwork, clip: Path, tmp_path: Path
) -> None:
    shutil.copy(clip, tmp_path / "clip.jpg")
    (found,), report = name_people(made, [tmp_path / "clip.jpg"], network, InferSettings())
    assert report.exit_code == 0 and all(face.times for face in found.faces)
    (found,), report = name_people(made, [tmp_path], network, InferSettings())
    assert "a video, which is not read" in found.error and "(every=SECONDS)" in found.error
    (found,), report = name_people(made, [tmp_path], network, InferSettings(every=1.0))
    assert report.exit_code == 0 and [face.times and face.times.best for face in found.faces]


def test_a_video_that_cannot_be_read(
    made: Classifier, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(50))
    (found,), report = name_people(made, [tmp_path / "a.mp4"], network, InferSettings())
    assert found.error == "damaged video, or a file without one" and report.exit_code == 1


def test_the_command(classifier: Path, clip: Path, tmp_path: Path) -> None:
    command = ["classify", "infer", str(classifier), str(clip), "--device", "cpu", "--every"]
    runner = CliRunner()
    table = runner.invoke(cli, [*command, "1"])
    assert table.exit_code == 0, table.output
    assert f"{clip}, " in table.stdout and " s (0 to 1)" in table.stdout
    copied = runner.invoke(cli, [*command, "1", "--annotate", str(tmp_path / "drawn")])
    assert (
        "no annotated copy of videos" in copied.stderr and "annotated copies:" not in copied.stderr
    )
    (line,) = runner.invoke(cli, [*command, "1", "--json-lines"]).stdout.splitlines()
    faces = json.loads(line)["faces"]
    assert [(face["first"], face["last"]) for face in faces] == [(0, 1), (2, 2)]
    for wrong, reason in (("0", "x>0"), ("often", "not a valid number of seconds, nor 'scene'")):
        refused = runner.invoke(cli, [*command, wrong])
        assert refused.exit_code == 2 and reason in refused.stderr
