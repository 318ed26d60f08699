"""Pairs of photos and pairs.txt."""

from itertools import combinations

import pytest

from facetool.sample.pairs import choose_pairs, pairs_text

ALBUMS = [(2, 2), (3, 2), (4, 3), (19, 4), (20, 2), (25, 8), (60, 10), (300, 40)]


@pytest.mark.parametrize(("people", "images"), ALBUMS)
def test_pairs_are_what_they_claim(people: int, images: int) -> None:
    folds = choose_pairs(people, images, seed=5)
    same = [pair for fold in folds for pair in fold.same]
    different = [pair for fold in folds for pair in fold.different]
    assert len({len(f.same) for f in folds} | {len(f.different) for f in folds}) == 1
    assert len(set(same)) == len(same)
    assert len({frozenset((d[:2], d[2:])) for d in different}) == len(different)
    assert all(a < b < images and p < people for p, a, b in same)
    assert all(p != q and max(p, q) < people and max(a, b) < images for p, a, q, b in different)
    assert all(min(pair) >= 0 for pair in same + different)


@pytest.mark.parametrize(
    ("people", "images", "folds", "each"),
    [
        (2, 1, 0, 0),
        (60, 1, 0, 0),
        (2, 2, 2, 1),  # two pairs of one person are all there are
        (4, 3, 10, 1),
        (19, 4, 10, 11),  # 19 * 6 = 114
        (20, 2, 10, 2),
        (25, 8, 10, 56),  # the smallest fold has two people of 28 pairs each
        (60, 10, 10, 270),
        (300, 40, 10, 300),  # no more than LFW has
    ],
)
def test_as_many_as_the_album_allows(people: int, images: int, folds: int, each: int) -> None:
    chosen = choose_pairs(people, images, seed=0)
    assert len(chosen) == folds
    assert all(len(fold.same) == len(fold.different) == each for fold in chosen)


@pytest.mark.parametrize(("people", "images"), [(20, 2), (25, 8), (60, 10)])
def test_nobody_is_in_two_folds(people: int, images: int) -> None:
    folds = choose_pairs(people, images, seed=1)
    members = [{p for p, _, _ in f.same} | {p for d in f.different for p in d[::2]} for f in folds]
    assert all(not one & other for one, other in combinations(members, 2))


def test_the_seed_decides() -> None:
    assert choose_pairs(60, 10, seed=1) == choose_pairs(60, 10, seed=1)
    assert choose_pairs(60, 10, seed=1) != choose_pairs(60, 10, seed=2)


def test_text_is_lfw_view_2() -> None:
    names = ["Ann_A", "Bob_B"]
    folds = choose_pairs(2, 2, seed=0)
    lines = pairs_text(folds, names).split("\n")
    assert lines[0] == "2\t1"
    assert lines[-1] == ""
    same, different = lines[1].split("\t"), lines[2].split("\t")
    assert (same[0] in names, same[1:]) == (True, ["1", "2"])
    assert {different[0], different[2]} == set(names)
    assert {different[1], different[3]} <= {"1", "2"}
    assert len(lines) == 1 + 2 * 2 + 1


def test_no_pairs_at_all() -> None:
    assert pairs_text([], ["Ann_A"]) == "0\t0\n"
