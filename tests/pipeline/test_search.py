import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import read_people
from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.files.align_manifest import read_manifest
from facetool.files.represent_description import read_represent_description
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.align import AlignSettings
from facetool.pipeline.cluster import cluster
from facetool.pipeline.compare import compare
from facetool.pipeline.embed import EmbedSettings, embed
from facetool.pipeline.merge import merge
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import SearchSettings, _combine, gallery_network, search
from facetool.reports.cluster import cluster_report
from facetool.weights.load import load_network


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def reps(crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "reps"
    represent(crops, folder, network, RepresentSettings())
    return folder


@pytest.fixture(scope="module")
def photos(album: Path) -> list[Path]:
    person = min(path for path in album.iterdir() if path.is_dir())
    return sorted(person.iterdir())


@pytest.mark.slow
def test_what_compare_says_of_two_photos(reps, album, crops, network, photos):
    result = search([reps], photos[:1], network)
    assert result.faces == 23  # one of the 24 faces was missed
    assert len(result.matches) == 20
    nearest = result.matches[0]
    assert nearest.photo == photos[0] and nearest.squared_l2 < 1e-6 and nearest.same
    distances = [match.squared_l2 for match in result.matches]
    assert distances == sorted(distances)
    assert {match.photo for match in result.matches[:4]} == set(photos)
    other = result.matches[7]
    assert other.photo and other.box
    (pair,) = compare([photos[0], Path(other.photo)], network, threshold=None).comparisons
    assert other.squared_l2 == pytest.approx(pair.squared_l2, abs=1e-5)
    assert other.similarity == pytest.approx(pair.cosine, abs=1e-5)
    row = next(row for row in read_manifest(crops / "align.csv") if row.output == other.image)
    assert [f"{edge:g}" for edge in other.box] == [row.left, row.top, row.right, row.bottom]
    document = json.loads(json.dumps(result.as_dict()))
    assert document["matches"][0]["photo"] == str(photos[0])


@pytest.mark.slow
def test_one_to_many_is_not_one_to_one(reps, network, photos):
    result = search([reps], photos[:1], network)
    far = result.threshold.far
    assert result.false_matches == pytest.approx(23 * far)
    assert result.fpir == pytest.approx(1 - (1 - far) ** 23)
    given = search([reps], photos[:1], network, SearchSettings(threshold=1e-4))
    assert [match.photo for match in given.matches] == photos[:1]
    assert given.fpir is None and given.false_matches is None


@pytest.mark.slow
def test_several_photos_are_one_person(reps, network, photos, album):
    every = SearchSettings(top=30)
    result = search([reps], photos[:3], network, every)
    assert len(result.probes) == 3 and result.report.remarks["unlike another photo"] == 0
    # The threshold is that of two photos: a face is as far away as from the photos on average.
    single = [search([reps], [photo], network, every).matches for photo in photos[:3]]
    for value in ("squared_l2", "similarity"):
        found = {match.image: getattr(match, value) for match in result.matches}
        each = [{match.image: getattr(match, value) for match in one} for one in single]
        assert len(found) == 23 and all(found.keys() == one.keys() for one in each)
        for image, number in found.items():
            assert number == pytest.approx(np.mean([one[image] for one in each]), abs=1e-6)
    strangers = sorted(album.glob("*/*_0001.*"))[:2]
    mixed = search([reps], strangers, network, SearchSettings(threshold=1e-3))
    assert mixed.report.remarks["unlike another photo"] == 1 and mixed.matches == []


@pytest.mark.parametrize("unit_length", [True, False])
def test_a_probe_of_several_is_as_far_away_as_they_are_on_average(unit_length):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((4, 16)).astype(np.float32) * 3
    face = rng.standard_normal(16)
    face /= np.linalg.norm(face)
    mean, spread = _combine([*"abcd"], embeddings, unit_length, None, Report())
    vectors = embeddings.astype(float)
    if unit_length:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.square(vectors - face).sum(1).mean()
    assert np.square(mean - face).sum() + spread == pytest.approx(expected, rel=1e-12)


def test_several_folders_are_searched(reps, network, photos, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(reps, twin)
    result = search([reps, twin], photos[:1], network, SearchSettings(top=4))
    assert result.faces == 46 and [m.reps for m in result.matches[:2]] == [reps, twin]
    description = json.loads((twin / "represent.json").read_text())
    (twin / "represent.json").write_text(json.dumps({**description, "flip": "sum"}))
    with pytest.raises(UsageError, match="embeddings of different kinds: flip none and sum"):
        search([reps, twin], photos[:1], network)


def test_a_folder_is_searched_once(reps, network, photos):
    again = reps / ".." / reps.name
    with pytest.raises(UsageError, match="is to be searched twice; give each folder once"):
        search([reps, again], photos[:1], network)


def test_missed_faces_and_lost_crops(reps, network, photos, tmp_path):
    folder = tmp_path / "reps"
    shutil.copytree(reps, folder)
    description = json.loads((folder / "represent.json").read_text())
    image = (folder / "labels.csv").read_text().splitlines()[0].partition(",")[2]
    more = {"missed_faces": [image], "input": str(tmp_path / "gone")}
    (folder / "represent.json").write_text(json.dumps({**description, **more}))
    result = search([folder], photos[:1], network)
    assert result.faces == 23 and image not in {match.image for match in result.matches}
    assert {(match.photo, match.box) for match in result.matches} == {(None, None)}


@pytest.mark.slow
def test_what_cannot_be_searched(reps, network, photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(FacetoolError, match="none of the photos has a face") as raised:
        search([reps], [tmp_path / "bad.jpg", tmp_path / "nope.jpg"], network)
    assert f"{tmp_path / 'bad.jpg'}: " in str(raised.value)
    with pytest.raises(FacetoolError, match=r"nope\.jpg: cannot be read: No such file"):
        search([reps], [tmp_path / "nope.jpg"], network)
    result = search([reps], [tmp_path / "bad.jpg", photos[0]], network)
    assert result.report.exit_code == 1 and result.probes == [str(photos[0])]
    other = tmp_path / "reps"
    shutil.copytree(reps, other)
    description = json.loads((other / "represent.json").read_text())
    of_another = {**description, "weights": {"name": "mine.pt", "sha256": "00"}}
    (other / "represent.json").write_text(json.dumps(of_another))
    with pytest.raises(UsageError, match=r"was not made with this network: weights mine\.pt"):
        search([other], photos[:1], network)
    recipe = {**description["recipe"], "scale": 0.5}
    (other / "represent.json").write_text(json.dumps({**description, "recipe": recipe}))
    with pytest.raises(UsageError, match="was not made with this network: recipe"):
        search([other], photos[:1], network)
    (other / "represent.json").unlink()
    with pytest.raises(UsageError, match=r"does not say which network.*model=NAME"):
        search([other], photos[:1])
    np.save(other / "reps.npy", np.load(other / "reps.npy")[:, :64])
    (other / "represent.json").write_text(json.dumps(description))
    with pytest.raises(FormatError, match="64 dimensions"):
        search([other], photos[:1], network)


OTHERS: dict[str, dict[str, object] | None] = {
    "no represent.json": None,
    "nothing but its lengths": {"unit_length": False},
    "nothing of the network": {"flip": "none", "versions": {}},
    "no recipe": {"network": "dlib-resnet"},
    "no network": {"weights": {"name": "dlib-resnet.v1"}},
}


@pytest.mark.slow
@pytest.mark.parametrize("said", OTHERS)
def test_a_folder_that_does_not_name_its_network_is_searched_with_the_one_given(
    said, reps, network, photos, tmp_path
):
    other = tmp_path / "reps"
    shutil.copytree(reps, other)
    if OTHERS[said] is None:
        (other / "represent.json").unlink()
    else:
        (other / "represent.json").write_text(json.dumps(OTHERS[said]))
    with pytest.raises(UsageError, match="does not say which network"):
        search([other], photos[:1])
    found = search([other], photos[:1], network)
    every = search([reps], photos[:1], network, SearchSettings(top=30)).matches
    distances = {match.image: match.squared_l2 for match in every}
    ours = {one.image: one.squared_l2 for one in found.matches if one.image in distances}
    assert ours and ours == {image: distances[image] for image in ours}
    assert found.threshold == network.info.threshold and found.faces == 24
    strange = tmp_path / "other"
    shutil.copytree(reps, strange)
    (strange / "represent.json").write_text('{"network": "nn4.small2"}')
    with pytest.raises(UsageError, match=r"other.* network .*nn4\.small2"):
        search([other, strange], photos[:1], network)


@pytest.mark.parametrize("given", [True, False])
def test_what_is_not_there_is_said(reps, network, photos, tmp_path, given):
    used = network if given else None
    for folders in ([tmp_path / "gone"], [reps, tmp_path / "gone"], [tmp_path]):
        with pytest.raises(FormatError, match=r"neither reps\.npy nor reps\.csv is there"):
            search(folders, photos[:1], used)
    with pytest.raises(UsageError, match="give a photo"):
        search([reps], [], used)


def test_lengths_stated_otherwise_than_the_networks_are_no_folder_of_it(
    reps, network, photos, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(reps, other)
    (other / "represent.json").write_text('{"unit_length": true}')
    with pytest.raises(UsageError, match="not made with this network: unit_length True and False"):
        search([other], photos[:1], network)
    with pytest.raises(UsageError, match="of different kinds: unit_length False and True"):
        search([reps, other], photos[:1], network)


def test_another_detector_of_the_gallery_is_no_other_recipe(reps, network, photos, tmp_path):
    other = tmp_path / "reps"
    shutil.copytree(reps, other)
    description = json.loads((other / "represent.json").read_text())
    description["recipe"]["crop"]["detector"] = "mtcnn"
    (other / "represent.json").write_text(json.dumps(description))
    settings = SearchSettings(detector="hog")
    assert search([other], photos[:1], network, settings).matches[0].photo == photos[0]
    assert replace(settings, top=1).top == 1


def test_the_network_of_a_folder(reps, network):
    name, recipe = gallery_network(read_represent_description(reps), reps)
    assert (name, recipe) == ("dlib-resnet.v1", network.recipe)


@pytest.mark.slow
def test_a_folder_names_its_network(reps, network, photos, monkeypatch):
    loaded = []

    def load(*given, **stated):
        loaded.append((given, stated["recipe"].crop))
        return network

    monkeypatch.setattr("facetool.pipeline.search.load_network", load)
    found = search([reps], photos[:1], settings=SearchSettings(top=3))
    assert loaded == [(("dlib-resnet.v1",), network.recipe.crop)]
    assert found.matches == search([reps], photos[:1], network, SearchSettings(top=3)).matches
    assert len(loaded) == 1


def test_a_folder_of_weights_of_ones_own_wants_them(reps, photos, tmp_path):
    shutil.copytree(reps, tmp_path / "reps")
    path = tmp_path / "reps" / "represent.json"
    description = json.loads(path.read_text())
    description["weights"] = {"name": "mine.pt", "sha256": "00" * 32}
    path.write_text(json.dumps(description))
    with pytest.raises(UsageError, match="not made with this network"):
        search([tmp_path / "reps"], photos[:1])
    description["network"] = None
    path.write_text(json.dumps(description))
    with pytest.raises(UsageError, match="does not say which network"):
        search([tmp_path / "reps"], photos[:1])


@pytest.fixture(scope="module")
def shards(
    album: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    pytest.importorskip("pyarrow")
    settings = EmbedSettings(
        align=AlignSettings(crop=network.recipe.crop),
        represent=RepresentSettings(),
        per_shard=9,
        keep_crops=True,
    )
    out = tmp_path_factory.mktemp("shards") / "out"
    embed(album, out, network, settings)
    return out


@pytest.mark.slow
def test_an_index_finds_the_same(reps, network, photos, tmp_path, shards):
    pytest.importorskip("usearch")
    folder = tmp_path / "reps"
    shutil.copytree(reps, folder)
    ours = search([folder], photos[:1], network)
    theirs = search([folder], photos[:1], network, SearchSettings(index=True))
    assert theirs.recall == 1 and ours.recall is None
    assert theirs.matches == ours.matches and theirs.faces == ours.faces
    assert theirs.as_dict()["recall"] == 1
    with pytest.raises(UsageError, match="facetool merge, or leave index out"):
        search([shards], photos[:1], network, SearchSettings(index=True))


@pytest.mark.slow
def test_photo_and_box_of_what_embed_has_written(shards, reps, network, photos, tmp_path):
    ours = search([reps], photos[:1], network)
    theirs = search([shards], photos[:1], network)
    assert [replace(match, reps=reps, squared_l2=0, similarity=0) for match in theirs.matches] == [
        replace(match, squared_l2=0, similarity=0) for match in ours.matches
    ]
    assert theirs.matches[0].photo == photos[0] and theirs.matches[0].box
    merge(shards, tmp_path / "merged")
    merged = search([tmp_path / "merged"], photos[:1], network)
    assert [(one.photo, one.box) for one in merged.matches] == [
        (one.photo, one.box) for one in theirs.matches
    ]


@pytest.mark.slow
def test_urls_of_photos_that_lie_elsewhere(shards, network, photos, tmp_path):
    moved = tmp_path / "out"
    shutil.copytree(shards, moved)
    plan = json.loads((moved / "plan.json").read_text())
    (moved / "plan.json").write_text(json.dumps({**plan, "source": "s3://bucket/album"}))
    match = search([moved], photos[:1], network).matches[0]
    assert match.photo == f"s3://bucket/album/{photos[0].parent.name}/{photos[0].name}"
    assert match.box and match.as_dict()["photo"] == match.photo


@pytest.mark.slow
def test_poor_faces_of_what_embed_has_written_are_left_out(shards, crops):
    sizes = {row.output: float(row.size) for row in read_manifest(crops / "align.csv") if row.size}
    limit = sorted(sizes.values())[len(sizes) // 2]
    people = leave_out_poor(read_people(shards), shards, min_face=limit)
    assert people.images == sorted(name for name, size in sizes.items() if size >= limit)
    assert 0 < len(people.images) < len(sizes)


@pytest.mark.slow
def test_pages_show_faces_of_what_embed_has_written(shards, album, tmp_path):
    moved = tmp_path / "out"
    shutil.copytree(shards, moved)
    for source in (album, tmp_path / "gone"):
        plan = json.loads((moved / "plan.json").read_text())
        (moved / "plan.json").write_text(json.dumps({**plan, "source": str(source)}))
        cluster_report(cluster(moved, threshold=0.3), moved, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert page.count("<img ") == 23 and "no image" not in page
