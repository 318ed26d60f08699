"""Identification from represent folders and feature files."""

import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FacetoolError, UsageError
from facetool.files.megaface_features import write_feature
from facetool.pipeline.identify import identify, identities


def draw(people: int, images: int, spread: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.standard_normal((people, 32)), images, axis=0)
    return (centres + spread * rng.standard_normal(centres.shape)).astype(np.float32)


def represented(folder: Path, names: list[str], vectors: np.ndarray, **provenance: str) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "reps.npy", vectors)
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder


def name(people: int, images: int) -> list[str]:
    return [f"P{p}/P{p}_{i}.png" for p in range(people) for i in range(images)]


@pytest.fixture
def scrub(tmp_path: Path) -> Path:
    return represented(tmp_path / "scrub", name(5, 4), draw(5, 4))


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """Distractors as feature files."""
    vectors = np.random.default_rng(5).standard_normal((150, 32)).astype(np.float32)
    for row, vector in enumerate(vectors):
        path = tmp_path / "crowd" / f"{row % 3}" / "x@N01" / f"{row}.jpg_facetool.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_feature(file, vector)
    return tmp_path / "crowd"


@pytest.mark.slow
def test_good_embeddings_are_identified(scrub: Path, crowd: Path, tmp_path: Path) -> None:
    result = identify(scrub, scrub, [crowd], output=tmp_path / "out").as_dict()
    assert result["pairs"] == 5 * 4 * 3
    assert [one["distractors"] for one in result["identification"]] == [10, 100, 150]
    assert [one["rank1"] for one in result["identification"]] == [1.0, 1.0, 1.0]
    assert result["verification"]["impostors"] == 20 * 150
    rate = result["verification"]["tar_at_far"][-1]
    assert (rate["target"], rate["tar"]) == (0.1, 1.0)
    assert json.loads((tmp_path / "out" / "identify.json").read_text()) == result
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert (tmp_path / "out" / f"identify.{kind}").read_bytes().startswith(start)


def rank_one(vectors: np.ndarray, images: int, crowd: np.ndarray) -> float:
    """Rank-1 rate among the pairs of a folder with itself, by brute force."""
    unit, others = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors, crowd))
    people = np.arange(len(vectors)) // images
    mate = (people[:, None] == people) & ~np.eye(len(vectors), dtype=bool)
    hardest = (unit @ others.T).max(axis=1)
    return float(((unit @ unit.T) >= hardest[:, None])[mate].mean())


def test_lookalikes_among_the_distractors(scrub: Path, tmp_path: Path) -> None:
    vectors = draw(5, 4)
    lookalikes = vectors[[0, 19]] + 0.1 * draw(2, 1, seed=8)
    crowd = represented(tmp_path / "copies", ["Q/1.png", "Q/2.png"], 3 * lookalikes)
    result = identify(scrub, scrub, [crowd]).as_dict()
    rate = result["identification"][0]["rank1"]
    assert rate == pytest.approx(rank_one(vectors, 4, lookalikes))
    assert 0.5 < rate < 1
    assert result["identification"][0]["cmc"][2] == 1.0


def test_gallery_and_probes_apart(scrub: Path, crowd: Path, tmp_path: Path) -> None:
    rows = [row for row in range(20) if row % 4]
    names = name(5, 4)
    probes = represented(
        tmp_path / "probes", [f"./crops/{names[row]}" for row in rows], draw(5, 4)[rows]
    )
    result = identify(scrub, probes, [crowd]).as_dict()
    assert result["pairs"] == 15 * 4  # the same image in another folder is a mate like any other


def test_without_distractors_the_other_people_of_the_gallery_serve(scrub: Path) -> None:
    result = identify(scrub, scrub).as_dict()
    assert result["distractors"]["images"] is None
    assert result["verification"]["impostors"] == 20 * 16
    assert result["identification"][0]["rank1"] == 1.0


def test_noise_is_removed(scrub: Path, tmp_path: Path) -> None:
    vectors = draw(5, 4)
    wrong = vectors.copy()
    wrong[4] = -vectors[4]
    noisy = represented(tmp_path / "noisy", name(5, 4), wrong)
    lookalikes = vectors[[0, 5]] + 0.1 * draw(2, 1, seed=8)
    crowd = represented(tmp_path / "crowd", ["375/a@N0/1.png", "Q/2.png"], lookalikes)
    noise = tmp_path / "noise.txt"
    noise.write_text("# comment\nP1_0.png\n375/a@N0/1.jpg\n")
    before = identify(noisy, noisy, [crowd]).as_dict()
    after = identify(noisy, noisy, [crowd], remove=[noise]).as_dict()
    assert after["noise"] == {
        "listed": 2,
        "distractors_removed": 1,
        "images_replaced": 1,
        "lists": [{"path": str(noise), "listed": 2, "found": 2}],
    }
    assert after["pairs"] == before["pairs"] == 60
    assert after["distractors"]["images"] == 1
    centred = vectors.copy()
    unit = vectors[5:8] / np.linalg.norm(vectors[5:8], axis=1, keepdims=True)
    centred[4] = unit.sum(axis=0)
    rates = [one["identification"][0]["rank1"] for one in (before, after)]
    expected = rank_one(wrong, 4, lookalikes), rank_one(centred, 4, lookalikes[1:])
    assert rates == pytest.approx(expected)
    assert rates[0] < rates[1] < 1


def test_what_nothing_can_be_measured_on(tmp_path: Path) -> None:
    alone = represented(tmp_path / "alone", name(1, 3), draw(1, 3))
    with pytest.raises(UsageError, match=r"alone holds one person, .* give distractors=REPS"):
        identify(alone, alone)
    assert identify(alone, alone, [represented(tmp_path / "d", name(2, 2), draw(2, 2))]).rank1
    two = represented(tmp_path / "two", name(2, 2), draw(2, 2))
    with pytest.raises(UsageError, match="two is the gallery, whose people cannot be distractors"):
        identify(two, two, [two])
    for value in (0, 1):
        same = represented(
            tmp_path / f"same{value}", name(2, 2), np.full((4, 8), value, np.float32)
        )
        with pytest.raises(FacetoolError, match=f"same{value} are the same: nothing can be"):
            identify(same, same)


def test_what_does_not_go_together(scrub: Path, tmp_path: Path) -> None:
    small = represented(tmp_path / "small", ["A/1.png"], np.ones((1, 3), np.float32))
    with pytest.raises(UsageError, match="32 dimensions"):
        identify(scrub, scrub, [small])
    one = represented(tmp_path / "one", name(2, 2), draw(2, 2), network="a")
    two = represented(tmp_path / "two", name(2, 2), draw(2, 2), network="b")
    with pytest.raises(UsageError, match="network a and b"):
        identify(one, two)
    strangers = represented(tmp_path / "strangers", ["Z/1.png"], draw(1, 1))
    with pytest.raises(FacetoolError, match="no probe has a mate"):
        identify(scrub, strangers)
    loose = represented(tmp_path / "loose", ["1.png", "2.png"], draw(1, 2))
    with pytest.raises(UsageError, match="no person's folder"):
        identify(loose, loose)
    every = tmp_path / "every.txt"
    every.write_text("Z/1.png\n")
    with pytest.raises(UsageError, match="no distractor is left"):
        identify(scrub, scrub, [strangers], remove=[every])


@pytest.mark.parametrize("spelled", ["same", "dots", "link"])
def test_a_folder_is_given_for_one_thing(
    spelled: str, scrub: Path, crowd: Path, tmp_path: Path
) -> None:
    """However its path is written."""

    def again(folder: Path) -> Path:
        link = tmp_path / f"{folder.name}-link"
        link.symlink_to(folder)
        return {"same": folder, "dots": folder / ".." / folder.name, "link": link}[spelled]

    probes = represented(tmp_path / "probes", name(5, 2), draw(5, 2))
    with pytest.raises(UsageError, match=r"crowd.* are given twice; give them once"):
        identify(scrub, probes, [crowd, again(crowd)])
    with pytest.raises(UsageError, match="probes holds the probes, each of which would be its own"):
        identify(scrub, probes, [crowd, again(probes)])
    with pytest.raises(UsageError, match="scrub is the gallery, whose people cannot be"):
        identify(scrub, probes, [again(scrub)])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A/1.png", "B/2.png"], ["A", "B"]),
        (["/data/crops/A/1.png", "/data/crops/B/2.png"], ["A", "B"]),
        (["./x/A/1.png"], ["A"]),
        (["x/A/1.png", "y/A/2.png"], ["x/A", "y/A"]),
        (["A/1.png", "/B/2.png"], ["A", "B"]),
        (["1.png", "A/2.png"], ["", "A"]),
        ([], []),
    ],
)
def test_identities(names: list[str], expected: list[str]) -> None:
    assert identities(names) == expected
