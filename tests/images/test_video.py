"""Frames of videos: their times, their way up, and what is not opened."""

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import ImageError, UsageError
from facetool.images import video as module
from facetool.images.read import check_pixels
from facetool.images.video import Video, VideoFrame, check_every, is_video
from tests.drawn_videos import plain, scene, write_video

RED, BLUE = (200, 40, 40), (40, 40, 200)
SIZE = (64, 48)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of red, two of blue, ten frames a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, plain(RED, BLUE, frames=20, size=SIZE), rate=10)


def read(path: Path, every: float | str = 0.5) -> list[VideoFrame]:
    with Video(path, every) as video:
        return list(video)


def probed_times(path: Path) -> list[float]:
    """When ffprobe says that each frame is shown, from the first."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
    command += ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    times = [float(line.strip(",")) for line in out.split()]
    return [round(time - times[0], 3) for time in times]


def run_ffmpeg(*arguments: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v"), ("a.wmv", "WMV2")],
)
def test_frames_come_every_so_many_seconds(name: str, codec: str, tmp_path: Path) -> None:
    frames = plain(RED, BLUE, frames=20, size=SIZE)
    path = write_video(tmp_path / name, frames, rate=10, codec=codec)
    assert is_video(path)
    found = read(path)
    assert [frame.time for frame in found] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
    assert [frame.cut for frame in found] == [True, False, False, False, True] + [False] * 3
    for frame in found:
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        colour = RED if frame.time < 2 else BLUE
        assert np.abs(frame.pixels.mean((0, 1)) - colour).max() < 6


def test_times_are_those_of_ffprobe(clip: Path) -> None:
    assert [frame.time for frame in read(clip, 0.001)] == pytest.approx(probed_times(clip))


def test_a_variable_frame_rate_keeps_its_times(clip: Path, tmp_path: Path) -> None:
    """A screen recording has a frame only where something moves."""
    path = tmp_path / "vfr.mp4"
    keep = "select='lt(n\\,5)+gt(n\\,17)*not(mod(n\\,7))'"
    run_ffmpeg("-i", str(clip), "-vf", keep, "-fps_mode", "vfr", "-c:v", "mpeg4", str(path))
    times = probed_times(path)
    assert len(set(np.diff(times).round(3))) > 1
    assert [frame.time for frame in read(path, 0.001)] == pytest.approx(times)
    assert [frame.time for frame in read(path, 1)] == pytest.approx([0, 2.1, 3.5])


@pytest.mark.parametrize("name", ["vfr.mkv", "vfr.webm"])
def test_frames_left_out_on_purpose_are_not_missing(clip: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if path.suffix == ".webm" else ()
    run_ffmpeg(
        *("-i", str(clip), "-vf", "select='lt(n,4)+not(mod(n,6))'", "-fps_mode", "vfr"),
        *(*codec, str(path)),
    )
    with Video(path) as video:
        assert list(video)
        assert not video.truncated


def test_the_name_of_a_photo_makes_no_photo(clip: Path, tmp_path: Path) -> None:
    """Nor does that of a video make a video of a photo."""
    shutil.copy(clip, tmp_path / "clip.jpg")
    assert is_video(tmp_path / "clip.jpg") and read(tmp_path / "clip.jpg")
    (tmp_path / "photo.mp4").write_bytes(b"\xff\xd8\xff" + bytes(50))
    assert not is_video(tmp_path / "photo.mp4")
    (tmp_path / "notes.txt").write_bytes(clip.read_bytes())  # nobody opens it
    assert not is_video(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ["clip.ts", "clip.mts", "clip"])
def test_a_transport_stream_is_told_by_its_packets(clip: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    run_ffmpeg("-i", str(clip), "-f", "mpegts", str(path))
    assert is_video(path) and read(path)
    (tmp_path / "code.ts").write_text("G" + "const good = 'G';\n" * 40)
    assert not is_video(tmp_path / "code.ts")


def test_the_first_frame_of_each_scene(clip: Path) -> None:
    found = read(clip, "scene")
    assert [(frame.time, frame.cut) for frame in found] == [(0, True), (2, True)]


def test_what_moves_is_no_cut_and_another_face_in_its_place_is(tmp_path: Path) -> None:
    frames = [*scene((0, 0, 5), frames=4, width=270), *scene((1, 15, -5), frames=4, width=270)]
    path = write_video(tmp_path / "faces.mp4", frames)
    found = read(path, 0.001)
    assert [frame.cut for frame in found] == [True, *[False] * 3, True, *[False] * 3]


def test_a_telephone_held_upright(tmp_path: Path) -> None:
    """The matrix of the track header says how the frames are turned (ISO/IEC 14496-12, 8.3.2)."""
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = RED  # on the left as stored: above, when turned clockwise
    path = write_video(tmp_path / "a.mp4", [frame] * 4)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    quarter = [0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30]
    for place, value in enumerate(quarter):
        data[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    pixels = read(path)[0].pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[:24, :, 0].mean() > 150 > 60 > pixels[40:, :, 0].mean()


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mkv", "mp4v")])
def test_a_cut_file_gives_what_is_there(name: str, codec: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40))
    path = write_video(tmp_path / name, noise, rate=10, codec=codec)
    with Video(path) as video:
        assert len(list(video)) == 8 and not video.truncated
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Video(path) as video:
        assert 1 <= len(list(video)) <= 5 and video.truncated


def test_files_without_frames_are_errors(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    for content, reason in [
        (b"", "the file is empty"),
        (data[: len(data) // 2], "damaged video, or a file without one"),
        (data[:40] + bytes(200), "damaged video, or a file without one"),
        (b"no video at all, however it is called", "does not begin as MP4"),
        (bytes(5000), "does not begin as MP4"),
    ]:
        path = tmp_path / "a.mp4"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=reason):
            read(path)
    with pytest.raises(ImageError, match="No such file"):
        read(tmp_path / "gone.mp4")
    with pytest.raises(ImageError, match="Is a directory"):
        read(tmp_path)


READ_DAMAGED = """
import sys
from pathlib import Path
import numpy as np
from facetool.errors import ImageError
from facetool.images.video import Video

data = Path(sys.argv[1]).read_bytes()
path = Path(sys.argv[2])
rng = np.random.default_rng(0)
read = 0
for _ in range(60):
    damaged = bytearray(data)
    for place in rng.integers(0, len(data), 8):
        damaged[place] = rng.integers(256)
    path.write_bytes(damaged)
    try:
        with Video(path) as video:
            times = [frame.time for frame in video]
    except ImageError:
        continue
    read += 1
    assert times == sorted(times)
print(read)
"""


def test_damage_anywhere_never_hangs_or_prints(clip: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", READ_DAMAGED, str(clip), str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and 5 < int(done.stdout) < 60


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "aac", str(path))
    with pytest.raises(ImageError, match="a file without one"):
        read(path)


def test_where_no_frame_can_be_decoded_the_codec_is_named(tmp_path: Path) -> None:
    """As AV1 cannot be; here what is encoded is gone."""
    path = write_video(tmp_path / "a.avi", plain(RED, frames=4, size=SIZE), codec="XVID")
    data = bytearray(path.read_bytes())
    for chunk in re.finditer(b"00dc(....)", data[: data.index(b"idx1")], re.DOTALL):
        size = int.from_bytes(chunk[1], "little")
        data[chunk.end() : chunk.end() + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"no frame .* lacks \(FMP4\); convert it to H\.264"):
        read(path)


def test_sizes_are_checked_before_a_frame_is_decoded(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_pixels", lambda size: check_pixels(size, 1000))
    with pytest.raises(ImageError, match="64x48 pixels are more than"):
        Video(clip)


def test_a_list_of_other_files_is_not_followed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(clip, tmp_path / "other.mp4")
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(ImageError, match="does not begin as MP4"):
        read(path)
    monkeypatch.setattr(module, "_check_head", lambda head: None)
    with pytest.raises(ImageError, match="damaged video"):  # FFmpeg itself is told
        read(path)
    monkeypatch.setattr(module, "_FFMPEG", {})
    assert read(path), "without being told it would"


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        place = f"http://127.0.0.1:{server.server_port}"
        path = tmp_path / "list.mp4"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{place}/a.ts\n")
        with pytest.raises(ImageError, match="does not begin as MP4"):
            read(path)
        monkeypatch.setattr(module, "_check_head", lambda head: None)
        monkeypatch.chdir(tmp_path)
        for name in (path, Path(f"{place}/b.mp4"), Path("http:/127.0.0.1/c.mp4")):
            with pytest.raises(ImageError):
                read(name)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []


def test_the_environment_is_as_it_was(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    before = dict(os.environ)
    read(clip, 2)
    assert dict(os.environ) == before


def test_a_name_that_is_no_text(clip: Path, tmp_path: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("this file system takes no such names")
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    shutil.copy(clip, path)
    assert [frame.time for frame in read(path, 1)] == [0, 1, 2, 3]


@pytest.mark.parametrize("every", [0, -1.0, float("nan"), float("inf"), "often"])
def test_every_is_seconds_or_a_scene(every: float | str) -> None:
    with pytest.raises(UsageError, match="give seconds between frames, or 'scene'"):
        check_every(every)
