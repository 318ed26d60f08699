"""What the pages of each command show."""

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.classification.classifier import UNKNOWN
from facetool.detection.face import Box
from facetool.errors import UsageError
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_infer import NamedFace, NamedPhoto
from facetool.pipeline.classify_train import ClassifierSettings
from facetool.pipeline.cluster import cluster
from facetool.pipeline.lfw_eval import lfw_eval
from facetool.pipeline.outliers import outliers
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import SearchSettings, search
from facetool.reports.align import align_report
from facetool.reports.classify_evaluate import classify_evaluate_report
from facetool.reports.classify_infer import classify_infer_report
from facetool.reports.cluster import cluster_report
from facetool.reports.lfw_eval import lfw_eval_report
from facetool.reports.outliers import outliers_report
from facetool.reports.search import search_report
from facetool.weights.load import load_network


@pytest.fixture(scope="module")
def photos(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with one face, one with two, one with none, and a damaged one."""
    folder = tmp_path_factory.mktemp("photos")
    first, second = sorted(album.glob("*/*_0001.jpg"))[:2]
    shutil.copy(first, folder / "one.jpg")
    pair = np.hstack([np.asarray(Image.open(path)) for path in (first, second)])
    Image.fromarray(pair).save(folder / "two.jpg")
    Image.new("RGB", (200, 150), "navy").save(folder / "none.jpg")
    (folder / "damaged.jpg").write_bytes(first.read_bytes()[:300])
    return folder


def page_at(path: Path) -> str:
    """A page without the places where its lines may break."""
    return path.read_text("utf-8").replace("<wbr>", "")


def cards(page: str) -> dict[str, str]:
    """The HTML of each card by its title."""
    found = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    return {match[1]: card for card in found if (match := re.search(r"<b>(.*?)</b>", card))}


def test_align_shows_what_needs_a_look(photos: Path, tmp_path: Path) -> None:
    align(photos, tmp_path / "crops", AlignSettings(crop=DLIB_CHIP))
    align_report(tmp_path / "crops", tmp_path / "align.html")
    page = page_at(tmp_path / "align.html")
    shown = cards(page)
    assert set(shown) == {"two.jpg", "none.jpg", "damaged.jpg"}
    assert "no image" in shown["damaged.jpg"]
    assert "data:image/jpeg" in shown["none.jpg"]
    assert "2 faces" in shown["two.jpg"]
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert sections == ["Failed", "No face found", "Several faces"]


def test_align_shows_photos_of_several_inputs(photos: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    align(photos, crops, AlignSettings(crop=DLIB_CHIP), into="first")
    align_report(crops, tmp_path / "align.html")
    shown = cards(page_at(tmp_path / "align.html"))
    assert "data:image/jpeg" in shown["first/none.jpg"]


def test_a_folder_of_photos_is_no_aligned_folder(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder of crops"):
        align_report(photos, tmp_path / "align.html")


def test_infer_shows_faces_by_name(photos: Path, tmp_path: Path) -> None:
    box = Box(50, 50, 150, 150)
    named = [
        NamedPhoto(str(photos / "one.jpg"), [NamedFace("Ann", 0.9, 0.9, box)]),
        NamedPhoto(str(photos / "two.jpg"), [NamedFace("Ann", 0.5, 0.9, box)]),
        NamedPhoto(str(photos / "two.jpg"), [NamedFace(UNKNOWN, 0.7, 0.1, box)]),
        NamedPhoto(str(photos / "none.jpg"), error="no face found"),
    ]
    classify_infer_report(named, tmp_path / "infer.html")
    page = page_at(tmp_path / "infer.html")
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Ann", "unknown", "No name"]
    assert page.index("0.500") < page.index("0.900")  # the least certain first
    assert page.count("data:image/jpeg") == 4
    assert "no face found" in page


@pytest.fixture(scope="module")
def reps(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reps")
    represent(crops, folder, load_network("dlib-resnet"), RepresentSettings())
    return folder


def test_cluster_shows_every_face_in_its_group(reps: Path, tmp_path: Path) -> None:
    result = cluster(reps)
    cluster_report(result, reps, tmp_path / "groups.html")
    text = page_at(tmp_path / "groups.html")
    sizes = np.bincount(result.groups)
    several = [str(number + 1) for number in np.flatnonzero(sizes > 1)]
    assert several
    assert re.findall(r"<h3>Group (\d+)</h3>", text) == several
    assert text.count("<figure") == text.count("data:image/jpeg") == len(result.images)


def test_crops_are_found_from_any_folder(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only from that in which their relative name was given."""
    monkeypatch.chdir(crops.parent)
    represent(Path(crops.name), tmp_path / "reps", load_network("dlib-resnet"), RepresentSettings())
    monkeypatch.chdir(tmp_path)
    cluster_report(cluster(Path("reps")), Path("reps"), tmp_path / "groups.html")
    page = page_at(tmp_path / "groups.html")
    assert "data:image/jpeg" in page and "no image" not in page


def test_outliers_stand_beside_their_people(reps: Path, tmp_path: Path) -> None:
    result = outliers(reps, 0.05)
    outliers_report(result, reps, tmp_path / "outliers.html")
    text = page_at(tmp_path / "outliers.html")
    assert result.outliers
    assert text.count('class="bad"') == len(result.outliers)
    assert all(one.image in text for one in result.outliers)


def test_crops_that_are_gone_leave_their_places_empty(reps: Path, tmp_path: Path) -> None:
    copy = tmp_path / "reps"
    shutil.copytree(reps, copy)
    description = (copy / "represent.json").read_text()
    crops = json.loads(description)["input"]
    (copy / "represent.json").write_text(description.replace(crops, str(tmp_path / "gone")))
    cluster_report(cluster(copy), copy, tmp_path / "groups.html")
    text = page_at(tmp_path / "groups.html")
    assert text.count("no image") == text.count("<figure")


@pytest.mark.slow
def test_search_shows_probe_and_faces(reps: Path, album: Path, tmp_path: Path) -> None:
    probe = sorted(album.glob("*/*_0001.jpg"))[0]
    settings = SearchSettings(top=5)
    result = search([reps], [probe], load_network("dlib-resnet"), settings)
    search_report(result, tmp_path / "search.html")
    page = page_at(tmp_path / "search.html")
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Searched for", "Found"]
    assert page.count("data:image/jpeg") == 6
    assert page.count('class="good"') == sum(match.same is True for match in result.matches) > 0
    titles = re.findall("<b>(.*?)</b>", page)[1:]
    assert f"<p>Photos in {album}</p>" in page
    assert titles == [str(Path(str(match.photo)).relative_to(album)) for match in result.matches]


def test_errors_of_a_classifier_stand_beside_whom_they_were_taken_for(
    reps: Path, tmp_path: Path
) -> None:
    settings = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    result = evaluate_classifier(reps, settings=settings, output=tmp_path)
    outcome = result.outcome
    first, other = (
        outcome.truth[0],
        next(name for name in outcome.truth if name != outcome.truth[0]),
    )
    wrong = [other, *outcome.truth[1:-1], UNKNOWN]
    errors = replace(result, outcome=replace(outcome, answers=wrong))
    classify_evaluate_report(errors, reps, tmp_path / "errors.html")
    page = page_at(tmp_path / "errors.html")
    assert f"<b>{first}</b>{outcome.images[0]}" in page
    assert f"taken for {other}" in page
    assert page.count("data:image/jpeg") == 3  # the wrong one, its example, and the stranger
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == [
        "Taken for somebody else", "Taken for strangers",
    ]  # fmt: skip


def test_of_a_classifier_without_errors_no_heading_is_left(reps: Path, tmp_path: Path) -> None:
    settings = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    result = evaluate_classifier(reps, settings=settings, output=tmp_path)
    right = replace(result, outcome=replace(result.outcome, answers=list(result.outcome.truth)))
    classify_evaluate_report(right, reps, tmp_path / "page.html")
    page = page_at(tmp_path / "page.html")
    assert "<h2" not in page and "0 taken for somebody else" in page


@pytest.mark.slow
def test_errors_of_a_verification_stand_side_by_side(reps: Path, tmp_path: Path) -> None:
    names = [line.split(",")[1] for line in (reps / "labels.csv").read_text().splitlines()]
    images = [name.removesuffix(".png") for name in names]
    rows = [f"{a},{b},{int(a[:4] == b[:4])}" for a, b in pairwise(images)]
    # Labelled wrongly: the first is a false reject or, of two people, a false accept.
    rows[0] = rows[0][:-1] + "0"
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    result = lfw_eval(reps, tmp_path / "pairs.csv", output=tmp_path)
    lfw_eval_report(result, reps, tmp_path, tmp_path / "lfw.html")
    page = page_at(tmp_path / "lfw.html")
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert sections == ["ROC", "False accepts", "False rejects", "True accepts", "True rejects"]
    assert page.count("data:image/png") == 1
    (accept, *_) = result.scored.errors(accepted=True)
    wrong = re.findall(r'<figure class="bad".*?</figure>', page, re.DOTALL)
    first, second = (Path(name).stem for name in (accept.first, accept.second))
    assert f"<b>{first} | {second}</b>cosine {accept.similarity:.4f}" in wrong[0]
    errors = [*result.scored.errors(accepted=True), *result.scored.errors(accepted=False)]
    assert len(wrong) == len(errors)
    assert "data:image/jpeg" in wrong[0]


def test_align_shows_photos_that_lack_their_end(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("one.jpg", "two.jpg"):
        data = (photos / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) * 97 // 100])
    align(folder, tmp_path / "crops", AlignSettings(crop=DLIB_CHIP))
    align_report(tmp_path / "crops", tmp_path / "align.html")
    page = page_at(tmp_path / "align.html")
    assert "<tr><td>truncated</td><td>2</td></tr>" in page
    shown = cards(page)
    assert set(shown) == {"one.jpg", "two.jpg"}
    assert all("data:image/jpeg" in card and "truncated" in card for card in shown.values())
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert sections == ["Several faces", "With a remark"]
