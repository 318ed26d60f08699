"""Each face of a video is cut out once."""

from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.video_cropper import FaceTrack, VideoCropper
from facetool.detection.tracks import TrackTimes
from facetool.errors import ImageError
from facetool.images.read import TRUNCATED
from facetool.jobs.progress import Progress, ProgressBar, follow
from tests.drawn_videos import GRAY, plain, scene, write_video


@pytest.fixture(scope="module")
def every_face() -> FaceCropper:
    return FaceCropper(DLIB_CHIP, select="all")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people pass each other by, then there is one of them in a bright room: 4 frames/s."""
    frames = [
        *scene((0, 0, 5), (1, 310, -5), frames=8),
        *scene((0, 20, 0), frames=6, gray=250),
    ]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


def tracks_of(video: VideoCropper) -> list[FaceTrack]:
    return sorted(video, key=lambda track: (track.times.first, track.located.face.box.left))


@pytest.mark.slow
def test_two_people_and_a_cut(clip: Path, every_face: FaceCropper) -> None:
    video = VideoCropper(clip, 0.5, every_face)
    tracks = tracks_of(video)
    assert video.frames == 7 and video.remarks == []
    assert [track.times[1:] for track in tracks] == [(0, 1.5), (0, 1.5), (2, 3)]
    assert [track.detected for track in tracks] == [2, 2, 1]
    for track in tracks:
        assert track.times.first <= track.times.best <= track.times.last
        assert track.crop.shape == (150, 150, 3)
    one, other, again = (track.crop.astype(float) for track in tracks)
    assert np.abs(one - again).mean() < np.abs(one - other).mean() / 2


@pytest.mark.slow
def test_the_best_frame_is_that_of_the_highest_score(clip: Path, every_face: FaceCropper) -> None:
    scores: dict[float, list[float]] = {}

    def rank(located, crop):  # type: ignore[no-untyped-def]
        scores.setdefault(round(located.face.box.left / 100), []).append(located.face.score)
        return located.face.score

    best = [track.located.face.score for track in VideoCropper(clip, 1, every_face, rank)]
    found = sorted(score for of_one in scores.values() for score in of_one)
    assert found[-1] in best and len(best) < len(found)


@pytest.mark.slow
def test_who_is_not_the_largest_for_a_while_is_still_one_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two people each is the largest in some frames: with two crops, not one per turn."""
    path = write_video(tmp_path / "two.mp4", scene((0, 0, 0), (1, 300, 0), frames=6), rate=2)
    cropper = FaceCropper(DLIB_CHIP)
    turns = iter(range(6))
    locate = cropper.locate_detected

    def alternate(image, faces):  # type: ignore[no-untyped-def]
        faces = sorted(faces, key=lambda face: face.box.left)
        return locate(image, [faces[next(turns) % 2]])

    monkeypatch.setattr(cropper, "locate_detected", alternate)
    tracks = tracks_of(VideoCropper(path, 0.5, cropper))
    assert [track.times[1:] for track in tracks] == [(0, 2.5), (0, 2.5)]


@pytest.mark.slow
def test_who_turns_away_for_a_moment_is_one_face(tmp_path: Path, every_face: FaceCropper) -> None:
    """A face is behind something for a sample, and later for three of them."""
    hidden = [*plain((GRAY, GRAY, GRAY), frames=1, size=(720, 250))]
    frames = [*scene((0, 0, 10), frames=3), *hidden, *scene((0, 40, 10), frames=3)]
    path = write_video(tmp_path / "a.mp4", frames, rate=2)
    (track,) = tracks_of(VideoCropper(path, 0.5, every_face))
    assert track.times[1:] == (0, 3)
    path = write_video(tmp_path / "b.mp4", [*frames, *hidden * 3, *frames], rate=2)
    assert [t.times[1:] for t in tracks_of(VideoCropper(path, 0.5, every_face))] == [(0, 3), (5, 8)]


@pytest.mark.slow
def test_every_scene_shows_each_face_once(clip: Path, every_face: FaceCropper) -> None:
    tracks = tracks_of(VideoCropper(clip, "scene", every_face))
    assert [track.times for track in tracks] == [
        TrackTimes(0, 0, 0), TrackTimes(0, 0, 0), TrackTimes(2, 2, 2),
    ]  # fmt: skip


def test_progress_is_that_of_its_seconds(tmp_path: Path, every_face: FaceCropper) -> None:
    bars: list[tuple[object, ...]] = []
    done: list[int] = []

    class Listener(Progress):
        def bar(self, *settings: object) -> ProgressBar:
            bars.append(settings)
            bar = ProgressBar()
            bar.update = done.append  # type: ignore[assignment]
            return bar

    sky = plain((90, 120, 200), frames=16, size=(160, 120))
    path = write_video(tmp_path / "sky.mp4", sky)
    with follow(Listener()):
        list(VideoCropper(path, 0.5, every_face))
    assert bars == [("sky.mp4", 4, 0, "s")] and sum(done) == 3 and max(done) == 1


def test_a_video_without_a_face(tmp_path: Path, every_face: FaceCropper) -> None:
    path = write_video(tmp_path / "sky.mp4", plain((90, 120, 200), frames=4, size=(160, 120)))
    video = VideoCropper(path, 0.5, every_face)
    assert list(video) == []
    assert video.missed == "no face found in 2 frames"


def test_an_assumed_face_is_none(tmp_path: Path) -> None:
    path = write_video(tmp_path / "sky.mp4", plain((90, 120, 200), frames=2, size=(160, 120)))
    assert list(VideoCropper(path, 0.5, FaceCropper(DLIB_CHIP, assume_center=True))) == []


def test_a_cut_file_is_remarked(tmp_path: Path, every_face: FaceCropper) -> None:
    path = write_video(
        tmp_path / "a.avi", plain((90, 120, 200), frames=40, size=(160, 120)), codec="MJPG"
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = VideoCropper(path, 5, every_face)
    list(video)
    assert video.remarks == [TRUNCATED]


def test_frames_that_cannot_be_searched(
    tmp_path: Path, every_face: FaceCropper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(images):  # type: ignore[no-untyped-def]
        raise RuntimeError("odd")

    path = write_video(tmp_path / "sky.mp4", plain((90, 120, 200), frames=4, size=(160, 120)))
    monkeypatch.setattr(every_face, "detect", fail)
    with pytest.raises(ImageError, match="cannot be aligned: odd"):
        list(VideoCropper(path, 0.5, every_face))
