from facetool.cropping.remarks import TOO_LARGE, PhotoRemark, note_remarks, remarks_among
from facetool.images.read import ANIMATED, TRUNCATED
from facetool.jobs.report import Report
from tests.remarks import remarks

SCALED = f"searched for faces at 20x10: {TOO_LARGE}"


def test_remarks_are_found_alone_and_among_reasons() -> None:
    assert remarks_among([TRUNCATED]) == [("truncated", TRUNCATED)]
    assert remarks_among(["no face found", f"face too small; {ANIMATED}"]) == [
        ("animated", ANIMATED)
    ]
    assert remarks_among([f"no face found; {SCALED}; {TRUNCATED}"] * 2) == [
        ("truncated", TRUNCATED),
        ("scaled down", SCALED),
    ]
    assert remarks_among(["truncated", "face too large to be true"]) == []


def test_they_are_told_counted_and_kept() -> None:
    with remarks() as told:
        report = Report()
        kept = note_remarks("a.jpg", [TRUNCATED, SCALED], report)
    assert told == [f"a.jpg: {TRUNCATED}", f"a.jpg: {SCALED}"]
    assert report.remarks == {"truncated": 1, "scaled down": 1}
    assert kept == [PhotoRemark("a.jpg", TRUNCATED), PhotoRemark("a.jpg", SCALED)]
