"""Whatever people have as photos: read by its content, or counted and named."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from facetool.alignment.recipes import DLIB_CHIP
from facetool.errors import ImageError, UsageError
from facetool.files.align_manifest import ALIGN_CSV, read_manifest
from facetool.images.folder import list_images
from facetool.images.inputs import open_photos
from facetool.images.read import TRUNCATED, decode_image, decode_photo, read_image, read_photo
from facetool.pipeline.align import AlignSettings, align

SETTINGS = AlignSettings(crop=DLIB_CHIP, on_no_face="center")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A smooth colour picture with an uneven edge below."""
    y, x = np.mgrid[0:96, 0:128]
    return Image.fromarray(np.stack([x * 2, y * 2, 255 - x - y], axis=2).astype(np.uint8))


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def close(data: bytes, picture: Image.Image, tolerance: float = 4) -> bool:
    found = decode_image(data)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    difference = found.astype(int) - np.asarray(picture.convert("RGB")).astype(int)
    return bool(np.abs(difference).mean() < tolerance)


# Names


NAMES = ["a.jfif", "b.pjpeg", "c.jpg_large", "d.jpg?w=640", "e", "f.JPG", "john.smith", "g.dat"]


def test_the_content_decides_where_the_suffix_says_nothing(
    tmp_path: Path, picture: Image.Image
) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(encode(picture, "JPEG"))
    (tmp_path / "notes").write_text("no photo")
    (tmp_path / "core.1234").write_bytes(bytes(100))
    (tmp_path / "empty").touch()
    found = list_images(tmp_path)
    assert set(found.names) == set(NAMES)
    assert not found.unreadable and not found.unsupported


@pytest.mark.parametrize("format", ["ICO", "PCX", "SGI", "JPEG2000", "PPM", "BMP", "GIF", "TIFF"])
def test_formats_are_known_by_their_first_bytes(
    tmp_path: Path, picture: Image.Image, format: str
) -> None:
    (tmp_path / "without_suffix").write_bytes(encode(picture, format))
    assert list_images(tmp_path).names == ("without_suffix",)
    assert decode_image((tmp_path / "without_suffix").read_bytes()).shape[2] == 3


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "QOI", "DDS"])
def test_newer_formats(tmp_path: Path, picture: Image.Image, format: str) -> None:
    try:
        data = encode(picture, format)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {format}: {error}")
    (tmp_path / "a.jpg").write_bytes(data)  # as browsers save them
    assert list_images(tmp_path).names == ("a.jpg",)
    assert close(data, picture)


def test_known_suffixes_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "b.png", "c.txt", "d.csv", "e.json", "f.xml", "g.rec"):
        (tmp_path / name).touch()

    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(Path, "open", refuse)
    assert list_images(tmp_path).names == ("a.jpg", "b.png")


def test_text_that_begins_as_an_image_does_is_none(tmp_path: Path) -> None:
    for number, text in enumerate(["P6 is a processor", "BMW and other cars, a long list of them",
                                   "GIF", "II* and so on", "\n\n\n\n"]):  # fmt: skip
        (tmp_path / f"readme{number}").write_text(text)
    assert list_images(tmp_path).names == ()


# What is not read


def tiff_preview(raw: bool) -> bytes:
    """A TIFF whose first picture is a preview, as NEF, ARW and DNG are."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0xFE] = 1
    if raw:
        tags[0xC612] = b"\1\4\0\0"
        tags.tagtype[0xC612] = 1
    return encode(Image.new("RGB", (16, 12), (9, 9, 9)), "TIFF", tiffinfo=tags)


def test_raw_photos_and_films_are_counted_by_kind(tmp_path: Path, picture: Image.Image) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    picture.save(photos / "a.jpg")
    (photos / "1.NEF").write_bytes(tiff_preview(raw=False))
    (photos / "2.cr2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(50))
    (photos / "3").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(50))
    (photos / "4.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(50))
    (photos / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(50))
    (photos / "b.jxl").write_bytes(b"\xff\x0a" + bytes(50))
    (photos / "b.exr").write_bytes(b"v/1\x01" + bytes(50))
    found = list_images(photos)
    assert {kind: len(names) for kind, names in found.unsupported.items()} == {
        "raw photo": 4, "video": 1, "rare image": 2,
    }  # fmt: skip
    report = align(photos, tmp_path / "out", SETTINGS, jobs=1)
    assert report.exit_code == 1
    assert report.counts["center"] == 1 and report.counts["failed"] == 7
    said = "\n".join(map(": ".join, report.failures))
    assert "4 raw photos: not read (1.NEF among them); convert them to JPEG or TIFF first" in said
    assert "1 video: not read (clip.mov)" in said
    assert [row.input for row in read_manifest(tmp_path / "out" / ALIGN_CSV)] == ["a.jpg"]


def test_a_jpeg_named_as_a_raw_photo_is_a_jpeg(tmp_path: Path, picture: Image.Image) -> None:
    (tmp_path / "a.raw").write_bytes(encode(picture, "JPEG"))
    assert list_images(tmp_path).names == ("a.raw",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(50), "a video, which is not read"),
        (b"\xff\x0a" + bytes(50), "a rare image, which is not read"),
        (b"<!DOCTYPE html><html>not found</html>", "not an image, but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (bytes(5000), "not an image, but zeros"),
        (tiff_preview(raw=True), "a raw photo, which is not read"),
        (b"", "the file is empty"),
    ],
)
def test_what_stands_under_an_images_name_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(data)


# Depths, colours, several pictures in one


@pytest.mark.parametrize("top", [255, 65_535, 2**31 - 1])
def test_32_bit_tiff_is_not_black(top: int) -> None:
    gray = np.linspace(0, top, 200).astype(np.int32).reshape(10, 20)
    found = decode_image(encode(Image.fromarray(gray), "TIFF"))
    assert found.max() in (127, 255) and found.min() == 0
    assert (np.diff(found[:, :, 0].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("bits", "zero_is_white"), [(8, False), (8, True), (12, False), (16, False), (16, True)]
)
def test_gray_tiff_of_any_depth(bits: int, zero_is_white: bool) -> None:
    """Of 0, the highest value, half of it and a quarter."""
    values = [0, (1 << bits) - 1, 1 << (bits - 1), 1 << (bits - 2)]
    if bits == 12:
        pixels = bytes([0x00, 0x0F, 0xFF, 0x80, 0x04, 0x00])
    else:
        pixels = b"".join(value.to_bytes(bits // 8, "little") for value in values)
    fields = {
        **{0x100: 4, 0x101: 1, 0x102: bits, 0x103: 1, 0x106: 1 - zero_is_white},
        **{0x111: 122, 0x115: 1, 0x116: 1, 0x117: len(pixels)},
    }
    data = b"II*\0\x08\0\0\0" + len(fields).to_bytes(2, "little")
    for tag, value in fields.items():
        data += tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
    data += b"\0\0\0\0" + pixels
    assert data.index(pixels) == 122
    expected = [255, 0, 127, 191] if zero_is_white else [0, 255, 128, 64]
    assert decode_image(data)[0, :, 0].tolist() == expected


def test_negative_values_and_floats_are_refused_with_a_reason(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ImageError, match="negative"):
        decode_image(encode(Image.fromarray(np.full((4, 4), -5, np.int32)), "TIFF"))
    with pytest.raises(ImageError, match="floating-point"):
        decode_image(encode(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"))
    _, colour = cv2.imencode(".tif", np.full((4, 4, 3), 0.5, np.float32))
    with pytest.raises(ImageError, match="rare kind"):
        decode_image(colour.tobytes())
    assert "WARN" not in capfd.readouterr().err  # of OpenCV, from C++


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_of_tiff_and_png(picture: Image.Image, mode: str) -> None:
    if mode == "YCbCr" and int(version("pillow").split(".")[0]) < 13:
        pytest.skip("Pillow 12 does not read the TIFF of this mode that it writes")
    gray = picture.convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    else:
        image = picture.convert(mode)
    expected = gray if mode in ("L", "LA", "I;16") else image.convert("RGB")
    for format in ("TIFF", "PNG"):
        if format == "PNG" and mode in ("CMYK", "YCbCr"):
            continue
        assert close(encode(image, format), expected, 1.5), format


def test_lab_is_refused_with_a_reason(picture: Image.Image) -> None:
    lab = Image.merge("LAB", picture.split())
    with pytest.raises(ImageError, match="Lab"):
        decode_image(encode(lab, "TIFF"))


def test_cmyk_jpeg(picture: Image.Image) -> None:
    assert close(encode(picture.convert("CMYK"), "JPEG", quality=95), picture)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_of_several_pictures_the_first_is_taken(picture: Image.Image, format: str) -> None:
    second = Image.new("RGB", picture.size, (0, 0, 0))
    data = encode(picture, format, save_all=True, append_images=[second])
    assert close(data, picture, 12)


# EXIF


def exif_segment(*fields: tuple[int, int, int, bytes]) -> bytes:
    """An APP1 segment: tag, type, count and four bytes of value of each field, little endian."""
    body = b"II*\0\x08\0\0\0" + len(fields).to_bytes(2, "little")
    for tag, kind, count, value in fields:
        body += tag.to_bytes(2, "little") + kind.to_bytes(2, "little")
        body += count.to_bytes(4, "little") + value
    content = b"Exif\0\0" + body + b"\0\0\0\0"
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


ORIENTATION = (0x0112, 3, 1, b"\6\0\0\0")
ODD_FIELDS = {
    "a negative short": (0x0103, 9, 1, b"\xfb\xff\xff\xff"),
    "text in a short": (0x0128, 2, 3, b"in\0\0"),
    "a rational beyond the end": (0x011A, 10, 1, b"\xff\xff\xff\x7f"),
    "an unknown type": (0x0132, 99, 1, b"\0\0\0\0"),
    "a count without end": (0x010F, 2, 2**31, b"\0\0\0\0"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as the command line does
@pytest.mark.parametrize("odd", ODD_FIELDS)
def test_odd_exif_beside_an_orientation(picture: Image.Image, odd: str) -> None:
    fields = sorted([ORIENTATION, ODD_FIELDS[odd]])
    data = encode(picture, "JPEG", quality=95)
    data = data[:2] + exif_segment(*fields) + data[2:]
    assert close(data, picture.transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("value", [b"\0\0\0\0", b"\x09\0\0\0", b"\xff\xff\0\0"])
def test_an_orientation_that_is_none(picture: Image.Image, value: bytes) -> None:
    data = encode(picture, "JPEG", quality=95)
    assert close(data[:2] + exif_segment((0x0112, 3, 1, value)) + data[2:], picture)


def test_an_exif_block_that_is_none(picture: Image.Image) -> None:
    data = encode(picture, "JPEG", quality=95)
    assert close(data[:2] + b"\xff\xe1\0\x10Exif\0\0garbage!" + data[2:], picture)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_orientation_of_other_formats(picture: Image.Image, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    data = encode(picture, format, exif=exif, quality=95)
    assert close(data, picture.transpose(Image.Transpose.ROTATE_90))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_first_image_is_used_and_that_is_said(
    picture: Image.Image, format: str, tmp_path: Path
) -> None:
    try:
        still = decode_photo(encode(picture, format))
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {format}: {error}")
    data = encode(picture, format, save_all=True, append_images=[picture.rotate(90)] * 3)
    animated = decode_photo(data)
    assert still.remarks == () and animated.remarks == ("animated: only its first image is used",)
    assert np.abs(animated.pixels.astype(int) - still.pixels).mean() < 3
    (tmp_path / "a").write_bytes(data)
    report = align(tmp_path, tmp_path / "out", SETTINGS, jobs=1)
    assert report.exit_code == 0 and report.remarks == {"animated": 1}
    (row,) = read_manifest(tmp_path / "out" / ALIGN_CSV)
    assert row.reason.endswith("animated: only its first image is used")


@pytest.mark.parametrize("format", ["TIFF", "MPO"])
def test_pages_and_depths_are_no_animation(picture: Image.Image, format: str) -> None:
    data = encode(picture, format, save_all=True, append_images=[picture.rotate(90)])
    assert decode_photo(data).remarks == ()


# JPEGs without their last bytes


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lacking", [2, 30, 0.1])
def test_a_jpeg_without_its_last_bytes_is_read_as_truncated(
    picture: Image.Image, progressive: bool, lacking: float
) -> None:
    data = encode(picture, "JPEG", progressive=progressive, quality=95)
    cut = int(lacking if lacking > 1 else lacking * len(data))
    photo = decode_photo(data[:-cut])
    assert photo.truncated
    half = np.s_[: picture.height // 2]
    difference = photo.pixels[half].astype(int) - np.asarray(picture)[half]
    assert np.abs(difference).mean() < 6
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[:-cut])


@pytest.mark.parametrize("progressive", [False, True])
def test_with_more_than_half_missing_it_is_damaged(picture: Image.Image, progressive: bool) -> None:
    data = encode(picture, "JPEG", progressive=progressive, quality=95)
    with pytest.raises(ImageError, match="missing"):
        decode_photo(data[: len(data) * 35 // 100])


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_other_formats_without_their_last_bytes_are_damaged(
    picture: Image.Image, format: str
) -> None:
    data = encode(picture, format)
    with pytest.raises(ImageError) as caught:
        decode_photo(data[: len(data) * 9 // 10])
    assert "\n" not in str(caught.value)


def test_align_counts_truncated_photos_and_strict_refuses_them(
    tmp_path: Path, picture: Image.Image
) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    picture.save(photos / "a.jpg")
    (photos / "b.jpg").write_bytes(encode(picture, "JPEG")[:-20])
    report = align(photos, tmp_path / "out", SETTINGS, jobs=1)
    assert (report.exit_code, report.remarks["truncated"]) == (0, 1)
    assert sum(report.counts.values()) == 2
    rows = {row.input: row for row in read_manifest(tmp_path / "out" / ALIGN_CSV)}
    assert TRUNCATED in rows["b.jpg"].reason and TRUNCATED not in rows["a.jpg"].reason
    strict = AlignSettings(crop=DLIB_CHIP, on_no_face="center", strict=True)
    report = align(photos, tmp_path / "strict", strict, jobs=1)
    assert report.exit_code == 1
    assert report.failures == [("b.jpg", TRUNCATED)]


# Pipes, links


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_never_blocks(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "c")
    found = list_images(tmp_path)
    assert found.names == ("a.jpg",)
    assert found.unreadable == (("b.jpg", "cannot be read: not a file"),)
    with pytest.raises(ImageError, match="cannot be read: not a file"):
        read_image(tmp_path / "b.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_with_a_writer_is_read(tmp_path: Path, picture: Image.Image) -> None:
    """As the shell's <(...) makes them."""
    data = encode(picture, "PNG")
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        path = Path(f"/dev/fd/{read_end}")
        if not path.exists():
            pytest.skip("no /dev/fd here")
        assert (read_photo(path).pixels == np.asarray(picture)).all()
    finally:
        os.close(read_end)
        writer.join()


def test_a_folder_or_a_device_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="not a file"):
        read_image(Path(os.devnull))


def test_a_link_to_nowhere_fails_by_name(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "c").symlink_to(tmp_path / "gone")
    found = list_images(tmp_path)
    assert found.names == ("a.jpg", "b.jpg")
    assert [name for name, _ in found.unreadable] == ["c"]
    assert len(found.fingerprint()) == 64
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        found.read("b.jpg")


# Lists of photos


Feed = Callable[[bytes], None]


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Puts bytes on stdin."""

    def put(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


@pytest.fixture
def listed(tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("photos/Ann/1.jpg", "photos/Ann/2.jpg", "photos/Bo/1.jpg", "photos/Bo/x y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / name, "JPEG")
    (tmp_path / "photos" / "Bo" / "notes.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_photo(listed: Path) -> None:
    found = open_photos(Path("photos/Bo/x y"))
    assert found.names == ("x y",)
    assert found.read("x y").shape == (96, 128, 3)


@pytest.mark.parametrize(
    ("data", "null"),
    [
        (b"photos/Ann/1.jpg\nphotos/Bo/x y\nphotos/Ann/1.jpg\nphotos/Bo/notes.txt\n", False),
        (b"\xef\xbb\xbfphotos/Ann/1.jpg\r\n./photos/Bo/x y\r\n\r\n", False),
        ("photos/Ann/1.jpg\r\nphotos/Bo/x y\r\n".encode("utf-16"), False),
        (b"photos/Ann/1.jpg\0photos/Bo/x y\0", True),
    ],
)
def test_a_list_on_stdin_or_in_a_file(listed: Path, feed: Feed, data: bytes, null: bool) -> None:
    feed(data)
    (listed / "list.txt").write_bytes(data)
    for source in (Path("-"), Path("list.txt")):
        found = open_photos(source, null=null)
        assert found.names == ("photos/Ann/1.jpg", "photos/Bo/x y")
        assert found.read(found.names[1]).shape == (96, 128, 3)


def test_absolute_paths_keep_the_persons_folder(listed: Path, feed: Feed) -> None:
    feed("".join(f"{path}\n" for path in sorted(listed.glob("photos/Ann/*.jpg"))).encode())
    assert open_photos(Path("-")).names == ("Ann/1.jpg", "Ann/2.jpg")


def test_paths_upwards_and_folders(listed: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.chdir(listed / "photos" / "Bo")
    feed(b"../Ann\n1.jpg\n")
    assert open_photos(Path("-")).names == ("Ann/1.jpg", "Ann/2.jpg", "Bo/1.jpg")


def test_a_list_beside_its_photos(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (listed / "photos" / "all.lst").write_text("Ann/1.jpg\nBo/1.jpg\n")
    found = open_photos(Path("photos/all.lst"))
    assert found.names == ("Ann/1.jpg", "Bo/1.jpg")
    assert found.read("Bo/1.jpg").shape == (96, 128, 3)


def test_a_photo_that_is_listed_but_gone_fails_by_name(listed: Path, feed: Feed) -> None:
    feed(b"photos/Ann/1.jpg\nphotos/Ann/9.jpg\nphotos/Ann/nothing\n")
    found = open_photos(Path("-"))
    assert found.names == ("photos/Ann/1.jpg", "photos/Ann/9.jpg")
    assert [name for name, _ in found.unreadable] == ["photos/Ann/nothing"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lists no photos"),
        (b"\n \n", "lists no photos"),
        (
            b"nowhere/1.jpg\nnowhere/2.jpg\n",
            r"nothing of what .* lists is there \(2 paths, such as 'nowhere/1\.jpg'\)",
        ),
        (b"photos/Ann/1.jpg\0photos/Bo/1.jpg\0", "NUL need null=True"),
        (b"PK\3\4\0\0\0\0\xff\xfe", "neither a photo, a folder"),
    ],
)
def test_what_is_no_list_is_said(listed: Path, feed: Feed, data: bytes, message: str) -> None:
    feed(data)
    with pytest.raises(UsageError, match=message):
        open_photos(Path("-"))


def test_align_takes_a_list(listed: Path, feed: Feed) -> None:
    feed(b"photos/Ann/1.jpg\0photos/Bo/x y\0")
    report = align(Path("-"), listed / "out", SETTINGS, jobs=1, null=True)
    assert report.counts["center"] == 2
    assert (listed / "out" / "photos" / "Bo" / "x y.png").is_file()


@pytest.mark.slow
def test_the_command_reads_stdin(listed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "facetool", "align", "-0", "-", "out", "--on-no-face", "center"],
        input=b"photos/Ann/1.jpg\0photos/Bo/x y\0",
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert b"2 center" in done.stderr


def test_a_manifest_that_a_spreadsheet_saved(tmp_path: Path, picture: Image.Image) -> None:
    """With a byte order mark and Windows' line ends."""
    picture.save(tmp_path / "a.jpg")
    align(tmp_path / "a.jpg", tmp_path / "out", SETTINGS, jobs=1)
    path = tmp_path / "out" / ALIGN_CSV
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [row.input for row in read_manifest(path)] == ["a.jpg"]
    report = align(tmp_path / "a.jpg", tmp_path / "out", SETTINGS, jobs=1)
    assert report.counts["already there"] == 1


# The samples


def test_the_samples_of_formats(shared: Path) -> None:
    folder = shared / "cases" / "formats"
    found = list_images(folder)
    assert len(found.names) == len(list(folder.iterdir()))
    assert not found.unreadable and not found.unsupported
    truncated = set()
    for name in found.names:
        photo = read_photo(folder / name)
        assert photo.pixels.shape in ((250, 250, 3), (256, 256, 3), (1000, 1000, 3))
        assert photo.pixels.max() > 200
        if photo.truncated:
            truncated.add(name)
    assert truncated == {"a47_trunc.jpg"}


def test_the_samples_of_exif_are_upright(shared: Path) -> None:
    paths = sorted((shared / "cases" / "exif").iterdir())
    assert paths
    for path in paths:
        with Image.open(path) as stored:
            upright = np.asarray(stored.convert("RGB").transpose(Image.Transpose.ROTATE_270))
        assert (read_image(path) == upright).all(), path.name


def test_heif_that_is_damaged_is_an_image_error(shared: Path) -> None:
    data = (shared / "cases" / "formats" / "a01.heic").read_bytes()
    for broken in (data[:100], data[: len(data) // 2], data[:200] + bytes(len(data) - 200)):
        with pytest.raises(ImageError) as caught:
            decode_image(broken)
        assert "\n" not in str(caught.value)
