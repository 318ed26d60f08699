"""Boxes followed from frame to frame."""

import pytest

from facetool.detection.face import Box
from facetool.detection.tracks import BoxTracker, overlap


def at(left: float, top: float = 0, edge: float = 100) -> Box:
    return Box(left, top, left + edge, top + edge)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(at(0), at(0)) == 1
    assert overlap(at(0), at(50)) == pytest.approx(1 / 3)
    assert overlap(at(0), at(100)) == overlap(at(0), at(0, 300)) == 0


def test_two_that_move_keep_their_numbers_whatever_the_order() -> None:
    tracker = BoxTracker()
    assert tracker.follow([at(0), at(300)], cut=False) == [0, 1]
    assert tracker.follow([at(270), at(30)], cut=False) == [1, 0]
    assert tracker.follow([at(60), at(240)], cut=False) == [0, 1]


def test_the_best_overlap_goes_first() -> None:
    tracker = BoxTracker()
    tracker.follow([at(0)], cut=False)
    assert tracker.follow([at(40), at(5)], cut=False) == [1, 0]


@pytest.mark.parametrize(("moved", "number"), [(50, 0), (60, 1)])
def test_a_face_that_moved_too_far_is_another(moved: float, number: int) -> None:
    tracker = BoxTracker()
    tracker.follow([at(0)], cut=False)
    assert tracker.follow([at(moved)], cut=False) == [number]


def test_a_frame_without_it_and_a_cut_end_a_track() -> None:
    tracker = BoxTracker()
    assert tracker.follow([at(0)], cut=True) == [0]
    assert tracker.follow([], cut=False) == []
    assert tracker.follow([at(0)], cut=False) == [1]
    assert tracker.follow([at(0)], cut=True) == [2]
