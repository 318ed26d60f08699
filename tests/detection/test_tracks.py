"""Boxes followed from frame to frame."""

import pytest

from facetool.detection.face import Box
from facetool.detection.tracks import BoxTracker, overlap


def at(left: float, top: float = 0, edge: float = 100) -> Box:
    return Box(left, top, left + edge, top + edge)


def numbers(*frames: list[Box], step: float = 0.5) -> list[list[int]]:
    """Of the tracks of the boxes in frames of one scene, so many seconds apart."""
    tracker = BoxTracker()
    return [tracker.follow(boxes, time=n * step, cut=False) for n, boxes in enumerate(frames)]


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(at(0), at(0)) == 1
    assert overlap(at(0), at(50)) == pytest.approx(1 / 3)
    assert overlap(at(0), at(100)) == overlap(at(0), at(0, 300)) == 0


def test_two_that_move_keep_their_numbers_whatever_the_order() -> None:
    assert numbers([at(0), at(300)], [at(270), at(30)], [at(60), at(240)]) == [
        [0, 1],
        [1, 0],
        [0, 1],
    ]


def test_the_best_overlap_goes_first() -> None:
    assert numbers([at(0)], [at(40), at(5)]) == [[0], [1, 0]]


@pytest.mark.parametrize(("moved", "number"), [(60, 0), (70, 1)])
def test_a_face_that_moved_too_far_is_another(moved: float, number: int) -> None:
    assert numbers([at(0)], [at(moved)]) == [[0], [number]]


def test_a_face_that_is_missed_for_a_second_is_the_same() -> None:
    assert numbers([at(0)], [], [at(30)]) == [[0], [], [0]]
    assert numbers([at(0)], [], [at(300)], [at(10)]) == [[0], [], [1], [2]]
    assert numbers([at(0)], [], [], [at(0)]) == [[0], [], [], [1]]
    assert numbers([at(0)], [], [], [at(0)], step=1 / 3) == [[0], [], [], [0]]


def test_the_next_frame_counts_however_late_it_is() -> None:
    assert numbers([at(0)], [at(0)], [], [at(0)], step=5) == [[0], [0], [], [1]]


def test_frames_that_come_a_little_late_are_no_longer_pause() -> None:
    """At 29.97 frames per second those chosen for 3.0 and 4.0 s are of 3.003 and 4.004 s."""
    assert numbers([at(0)], [], [at(0)], step=0.5005) == [[0], [], [0]]


def test_who_was_missed_is_not_taken_for_somebody_nearer() -> None:
    """One of two that stand close together is missed: the other keeps its number."""
    both = [at(0), at(70)]
    assert numbers(both, [at(68)], both) == [[0, 1], [1], [0, 1]]


def test_a_cut_ends_all_tracks() -> None:
    tracker = BoxTracker()
    assert tracker.follow([at(0)], time=0, cut=True) == [0]
    assert tracker.follow([], time=0.5, cut=True) == [] and not tracker.open
    assert tracker.follow([at(0)], time=1, cut=False) == [1]
    assert tracker.follow([at(0)], time=1.5, cut=True) == [2]


def test_tracks_are_open_until_nobody_comes_back() -> None:
    tracker = BoxTracker()
    tracker.follow([at(0)], time=0, cut=True)
    tracker.follow([at(300)], time=0.5, cut=False)
    assert tracker.open == {0, 1}
    tracker.follow([at(300)], time=1, cut=False)
    assert tracker.open == {0, 1}
    tracker.follow([at(300)], time=1.5, cut=False)
    assert tracker.open == {1}
