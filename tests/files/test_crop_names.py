"""The names of crops."""

import pytest

from facetool.files.crop_names import crop_stems


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["Ada/1.jpg", "Bob/1.jpg"], ["Ada/1", "Bob/1"]),
        (["a.bmp", "a.jpg", "b.jpg"], ["a.bmp", "a.jpg", "b"]),
        (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg", "a.jpg.png", "a.png"]),
        (["A.jpg", "a.png"], ["A.jpg", "a.png"]),  # one file where case does not count
        (["a"], ["a"]),
        (["a.b.jpg"], ["a.b"]),
    ],
)
def test_photos_that_would_share_a_crop_keep_their_suffix(
    names: list[str], stems: list[str]
) -> None:
    assert crop_stems(names, several=False) == stems


def test_a_photo_named_like_another_ones_second_face_keeps_its_suffix() -> None:
    names = ["a.face2.jpg", "a.jpg", "b.face2.jpg"]
    assert crop_stems(names, several=False) == ["a.face2", "a", "b.face2"]
    assert crop_stems(names, several=True) == ["a.face2.jpg", "a", "b.face2"]
