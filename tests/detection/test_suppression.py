"""Suppression of all images' boxes at once against two loops over one image's."""

import pytest
import torch

from facetool.detection import suppression
from facetool.detection.suppression import suppress


def overlap(a: list[float], b: list[float], by_smaller: bool) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (min(areas) if by_smaller else sum(areas) - width * height)


@pytest.mark.parametrize("pairs", [2**17, 50, 1])
@pytest.mark.parametrize("by_smaller", [False, True])
def test_the_same_boxes_stay(pairs: int, by_smaller: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suppression._PAIRS, "cpu", pairs)
    draw = torch.Generator().manual_seed(5)
    corner = torch.rand(200, 2, generator=draw, dtype=torch.float64) * 60
    size = 5 + torch.rand(200, 2, generator=draw, dtype=torch.float64) * 20
    boxes = torch.cat([corner, corner + size], dim=1)
    scores = torch.rand(200, generator=draw)
    groups = torch.randint(0, 9, (200,), generator=draw) ** 2  # of very different sizes
    groups[:60] = 25
    expected = []
    for group in groups.unique().tolist():
        members = (groups == group).nonzero().squeeze(1).tolist()
        members.sort(key=lambda member: -scores[member].item())
        for place, member in enumerate(members):
            box = boxes[member].tolist()
            better = (boxes[other].tolist() for other in members[:place])
            if all(overlap(box, other, by_smaller) <= 0.3 for other in better):
                expected.append(member)
    assert 20 < len(expected) < 180
    assert suppress(boxes, scores, groups, 0.3, by_smaller).tolist() == expected


def test_no_boxes() -> None:
    nothing = torch.empty(0, 4)
    kept = suppress(nothing, nothing[:, 0], torch.empty(0, dtype=torch.int64), 0.5)
    assert kept.tolist() == []
