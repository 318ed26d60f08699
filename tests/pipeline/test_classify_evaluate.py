import json
from pathlib import Path

import pytest

from facetool.errors import FacetoolError, UsageError
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network
from tests.pipeline.people_reps import PROVENANCE, write_people


@pytest.fixture
def trained(tmp_path):
    reps = write_people(tmp_path / "train", range(12), range(5))
    return train_classifier(reps, tmp_path / "classifier", ClassifierSettings()).as_dict()


@pytest.fixture
def blank_pictures(monkeypatch):
    """Drawing takes longer than everything else together."""
    monkeypatch.setattr("facetool.plots.style.save_plot", lambda figure, path, dpi: path.touch())


@pytest.mark.usefixtures("trained")
def test_evaluate_a_file(tmp_path):
    reps = write_people(tmp_path / "test", range(5, 200), range(5, 9))
    result = evaluate_classifier(
        reps, classifier=tmp_path / "classifier", output=tmp_path / "out"
    ).as_dict()
    assert result == json.loads((tmp_path / "out" / "classification.json").read_text())
    assert (tmp_path / "out" / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    assert result["people"] == 12 and result["images"] == 7 * 4
    assert result["accuracy"] == 1.0 and result["at_threshold"]["dir"] > 0.9
    strangers = result["strangers"]
    assert strangers["images"] == 188 * 4 and strangers["fpir"] < 0.03
    assert [one["fpir"] for one in strangers["dir_at_fpir"]] == [0.001, 0.01, 0.1]


@pytest.mark.usefixtures("trained", "blank_pictures")
def test_strangers_of_another_folder(tmp_path):
    reps = write_people(tmp_path / "test", range(6), range(5, 9))
    others = write_people(tmp_path / "others", range(10, 40), range(3))
    result = evaluate_classifier(reps, classifier=tmp_path / "classifier", unknown=others).as_dict()
    assert result["strangers"]["images"] == 28 * 3
    left_out = "left out of the strangers: 6 images of 2 known people (P010, P011)"
    assert result["warnings"] == [left_out]
    assert (
        evaluate_classifier(reps, classifier=tmp_path / "classifier").as_dict()["strangers"] is None
    )
    with pytest.raises(UsageError, match="everybody in it is known"):
        evaluate_classifier(
            reps,
            classifier=tmp_path / "classifier",
            unknown=write_people(tmp_path / "same", range(3), range(2)),
        )


@pytest.mark.usefixtures("blank_pictures")
def test_cross_validation_with_a_list_of_strangers(tmp_path):
    reps = write_people(tmp_path / "reps", range(20), range(5))
    (tmp_path / "list").write_text("P003\n\nP007/\n")
    result = evaluate_classifier(
        reps, unknown=tmp_path / "list", settings=ClassifierSettings(kind="nearest-mean")
    ).as_dict()
    assert result["how"] == "5-fold cross-validation"
    assert result["people"] == 18 and result["images"] == 90
    assert result["strangers"]["images"] == 5 * 10  # all of them, in each of five folds
    (tmp_path / "list").write_text("P003\nNobody\n")
    with pytest.raises(UsageError, match="'Nobody' is nobody in this folder"):
        evaluate_classifier(reps, unknown=tmp_path / "list")
    with pytest.raises(FacetoolError, match="nobody has two images"):
        evaluate_classifier(write_people(tmp_path / "single", range(6), range(1)))


@pytest.mark.slow
def test_the_plot_of_an_earlier_result_does_not_stay(tmp_path):
    few = write_people(tmp_path / "few", range(4), range(3))
    many = write_people(tmp_path / "many", range(60), range(2))
    out, settings = tmp_path / "out", ClassifierSettings(kind="nearest-mean")
    out.mkdir()
    evaluate_classifier(few, settings=settings, output=tmp_path / "other")
    (out / "confusion.png").write_bytes((tmp_path / "other" / "confusion.png").read_bytes())
    evaluate_classifier(many, settings=settings, output=out)
    assert (out / "confusion.png").exists()  # it was no earlier result's
    evaluate_classifier(few, settings=settings, output=out)
    assert (out / "confusion.png").exists()
    evaluate_classifier(many, settings=settings, output=out)
    assert [path.name for path in out.iterdir()] == ["classification.json"]


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "other"}, "was trained on embeddings of n.v1"),
        ({"weights": {"name": "n.v2", "sha256": "cd" * 32}}, "comes from n.v2"),
        ({"flip": "sum"}, "made with flip='sum'"),
        (None, "does not name"),
    ],
)
def test_another_network_is_refused(change, message, tmp_path):
    provenance = {**PROVENANCE, **change} if change is not None else None
    reps = write_people(tmp_path / "test", range(5), range(2), provenance)
    with pytest.raises(UsageError, match=message):
        evaluate_classifier(reps, classifier=tmp_path / "classifier")


@pytest.mark.usefixtures("trained")
def test_nobody_known(tmp_path):
    with pytest.raises(FacetoolError, match="none of the people"):
        evaluate_classifier(
            write_people(tmp_path / "test", range(50, 60), range(2)),
            classifier=tmp_path / "classifier",
        )


@pytest.mark.slow
def test_ten_people_in_colour_and_strangers(shared: Path, tmp_path: Path) -> None:
    """The default network and classifier, trained on five photos each, tested on the others."""
    photos = shared / "photos" / "lfw-colour"
    known = sorted(path.name for path in photos.iterdir())
    parts: dict[str, Path] = {}
    for part, rest in (("train", 1), ("test", 0)):
        parts[part] = tmp_path / part
        for person in known:
            (parts[part] / person).mkdir(parents=True)
            for number, photo in enumerate(sorted((photos / person).iterdir())):
                if (number < 5) == bool(rest):
                    (parts[part] / person / photo.name).symlink_to(photo)
    parts["strangers"] = tmp_path / "strangers"
    strangers = sorted((shared / "lfw-a" / "images").iterdir())[::29]
    for stranger in strangers:
        if stranger.name not in known:
            (parts["strangers"] / stranger.name).mkdir(parents=True)
            photo = sorted(stranger.iterdir())[0]
            (parts["strangers"] / stranger.name / photo.name).symlink_to(photo)
    network = load_network("dlib-resnet")
    for part, folder in parts.items():
        align(folder, tmp_path / f"{part}-crops", AlignSettings(crop=network.recipe.crop))
        represent(
            tmp_path / f"{part}-crops", tmp_path / f"{part}-reps", network, RepresentSettings()
        )
    train_classifier(tmp_path / "train-reps", tmp_path / "c", ClassifierSettings())
    result = evaluate_classifier(
        tmp_path / "test-reps", classifier=tmp_path / "c", unknown=tmp_path / "strangers-reps"
    ).as_dict()
    assert result["images"] == 50 and result["accuracy"] >= 0.99
    assert result["at_threshold"]["dir"] >= 0.95
    assert result["strangers"]["images"] > 190
    assert result["strangers"]["fpir"] <= 0.015
