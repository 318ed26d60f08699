"""The names of crops."""

import pytest

from facetool.files.crop_names import crop_stems, frame_name, stem_of_frame


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


@pytest.mark.parametrize(
    ("name", "taken", "stem"),
    [
        ("a.jpeg", ["a"], "a.jpeg"),
        ("A.jpeg", ["a"], "A.jpeg"),
        ("b.jpeg", ["a"], "b"),
        ("a.jpg.png", ["a.jpg"], "a.jpg.png"),
        ("a", ["a"], "a_"),
        ("a", ["a", "a_"], "a__"),
        ("A.JPG", ["a", "a.jpg"], "A.JPG_"),
        ("a.jpeg", ["a.face2"], "a.jpeg"),
        ("a.face2.jpg", ["a"], "a.face2.jpg"),
        ("clip.mp4", ["clip.00h00m01.000s"], "clip.mp4"),
        ("clip.mp4", ["clip.00h00m01.000s.face2"], "clip.mp4"),
        ("clip.mp4", ["clip"], "clip"),  # a photo's
        ("clip.jpg", ["clip.00h00m01.000s"], "clip"),  # a video's
        ("clip.00h00m01.000s.jpg", ["clip.00h00m01.000s"], "clip.00h00m01.000s.jpg"),
        ("clip.00h00m02.000s.jpg", ["clip.00h00m01.000s"], "clip.00h00m02.000s.jpg"),
    ],
)
def test_no_crop_that_stays_is_written_over(name: str, taken: list[str], stem: str) -> None:
    names = [name, "other.jpg"]
    videos = [name for name in names if name.endswith(".mp4")]
    assert crop_stems(names, several=True, videos=videos, taken=taken) == [stem, "other"]


def test_a_name_beside_a_crop_that_stays_is_no_other_photos() -> None:
    assert crop_stems(["a", "a_"], several=False, taken=["a"]) == ["a__", "a_"]


@pytest.mark.parametrize(
    ("time", "name"),
    [
        (0, "a/clip.00h00m00.000s"),
        (12.5, "a/clip.00h00m12.500s"),
        (59.9996, "a/clip.00h01m00.000s"),
        (3725.04, "a/clip.01h02m05.040s"),
        (400000, "a/clip.111h06m40.000s"),
    ],
)
def test_crops_of_a_frame_are_called_by_its_time(time: float, name: str) -> None:
    assert frame_name("a/clip", time) == name
    assert stem_of_frame(name) == stem_of_frame(f"{name}.face2") == "a/clip"
    assert stem_of_frame("a/clip") is None


def test_a_video_leaves_the_photo_of_its_name_alone() -> None:
    """Telephones write IMG_1.HEIC and IMG_1.MOV of one moment."""
    names = ["IMG_1.HEIC", "IMG_1.MOV", "a.avi", "a.mp4", "b.00h00m01.000s.jpg"]
    assert crop_stems(names, several=True, videos=names[1:4]) == [
        "IMG_1", "IMG_1", "a.avi", "a.mp4", "b.00h00m01.000s",
    ]  # fmt: skip
    names = ["a.00h00m01.000s.face2.jpg", "a.mp4"]
    assert crop_stems(names, several=False, videos={"a.mp4"}) == [names[0], "a"]
