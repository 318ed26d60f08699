"""What a file holds, told from its first bytes and, where they say nothing, from its suffix."""

from __future__ import annotations

import re
from collections.abc import Callable

IMAGE_HEAD_BYTES = 400
"""First bytes of a file that :func:`sniff` looks at."""

IMAGE = "image"
RAW = "raw photo"
VIDEO = "video"
OTHER_IMAGE = "rare image"

_IMAGE_SUFFIXES = """
    .apng .avif .bmp .dib .gif .heic .heif .hif .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg
    .jpf .jpg .jpx .mpo .pbm .pcx .pgm .pjp .pjpeg .png .pnm .ppm .psd .qoi .ras .sgi .sr
    .tga .tif .tiff .webp
"""
SUFFIXES = frozenset(_IMAGE_SUFFIXES.split())
"""Of image files. They are not opened to be listed, so that a damaged one is found, too."""

_OTHER_SUFFIXES = """
    .7z .aac .aae .bin .bz2 .cfg .conf .css .csv .db .doc .docx .flac .gz .h5 .hdf5 .htm
    .html .idx .ini .ipynb .js .json .jsonl .lnk .log .lst .m .m4a .mat .md .md5 .mp3 .npy
    .npz .ogg .onnx .params .part .pdf .pickle .pkl .pt .pth .pts .py .rar .rec .rst
    .safetensors .sh .sha256 .sqlite .srt .svg .t7 .tar .tgz .thm .toml .tsv .txt .url .wav
    .xls .xlsx .xml .xmp .xz .yaml .yml .zip
"""
_PASSED_OVER = frozenset(_OTHER_SUFFIXES.split())
"""Of what is no photo and need not be opened to know it."""

_UNREADABLE = {
    RAW: ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
    ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f",
    VIDEO: ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .webm .wmv",
    OTHER_IMAGE: ".bpg .exr .flif .jxl .xcf",
}
_UNREADABLE_SUFFIXES = {
    suffix: kind for kind, suffixes in _UNREADABLE.items() for suffix in suffixes.split()
}

ADVICE = {
    RAW: "convert them to JPEG or TIFF first",
    VIDEO: "align and classify infer read videos; in folders, where the seconds between frames are "
    "given (every=SECONDS)",
    OTHER_IMAGE: "convert them to PNG or JPEG first",
}
"""What to do about files of a kind that is not read."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_RAW_BRANDS = (b"crx ",)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", IMAGE),
    (b"\x89PNG\r\n\x1a\n", IMAGE),
    (b"GIF87a", IMAGE),
    (b"GIF89a", IMAGE),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),
    (b"FOVb", RAW),
    *((magic, IMAGE) for magic in _TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", IMAGE),
    (b"\xff\x4f\xff\x51", IMAGE),
    (b"8BPS\0\x01", IMAGE),
    (b"qoif", IMAGE),
    (b"#?RADIANCE", IMAGE),
    (b"#?RGBE", IMAGE),
    (b"\x59\xa6\x6a\x95", IMAGE),
    (b"\xff\x0a", OTHER_IMAGE),  # JPEG XL, bare and in a container
    (b"\0\0\0\x0cJXL \r\n\x87\n", OTHER_IMAGE),
    (b"v/1\x01", OTHER_IMAGE),  # OpenEXR
    (b"gimp xcf ", OTHER_IMAGE),
    (b"BPG\xfb", OTHER_IMAGE),
    (b"FLIF", OTHER_IMAGE),
    (b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
    (b"\0\0\x01\xba", VIDEO),  # MPEG
    (b"\0\0\x01\xb3", VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", VIDEO),  # Windows Media
    (b"FLV\x01", VIDEO),
)

_SHORT_STARTS: tuple[Callable[[bytes], object], ...] = (
    re.compile(rb"P[1-6]\s+[\d#]").match,
    re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL).match,
    re.compile(rb"\0\0\x01\0[^\0]\0.{3}\0", re.DOTALL).match,  # icon
    re.compile(rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]", re.DOTALL).match,  # SGI
    re.compile(rb"\n[\0\x02-\x05]\x01[\x01\x02\x04\x08]", re.DOTALL).match,  # PCX
)
"""Formats whose magic number is too short to be trusted without the fields behind it."""


_PACKETS = ((0, 188, 376), (4, 196, 388))
"""Where packets of an MPEG transport stream begin, without and with a time before each."""


def sniff(head: bytes) -> str | None:
    """The kind that a file's first bytes show; None: neither image nor video."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _HEIF_BRANDS or brand in _AVIF_BRANDS:
            return IMAGE
        return RAW if brand in _RAW_BRANDS else VIDEO
    if head[:4] == b"RIFF":
        return {b"WEBP": IMAGE, b"AVI ": VIDEO}.get(head[8:12])
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime of before there was a type
        return VIDEO
    if head.startswith(_TIFF) and head[8:10] == b"CR":
        return RAW
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if any(all(head[place : place + 1] == b"G" for place in places) for places in _PACKETS):
        return VIDEO
    return IMAGE if any(match(head) for match in _SHORT_STARTS) else None


_SIZES = (
    re.compile(rb"#\?R.{1,4096}?\n[-+]Y +(?P<height>\d+) +[-+]X +(?P<width>\d+)\s", re.DOTALL),
    re.compile(rb"P7\s.{0,4096}?WIDTH +(?P<width>\d+)\s+HEIGHT +(?P<height>\d+)\s", re.DOTALL),
)
"""Radiance and PAM."""


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a format that only OpenCV reads; None for others."""
    if data.startswith(b"\x59\xa6\x6a\x95") and len(data) >= 12:  # Sun raster
        return int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
    for pattern in _SIZES:
        if found := pattern.match(data):
            return int(found["width"]), int(found["height"])
    return None


def is_heif(head: bytes) -> bool:
    """Whether a file is HEIF, as telephones write it."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def kind_by_name(name: str) -> str | None:
    """``IMAGE`` or an empty text (no photo) where the suffix settles it, None otherwise."""
    suffix = _suffix(name)
    if suffix in SUFFIXES:
        return IMAGE
    return "" if suffix in _PASSED_OVER else None


def _suffix(name: str) -> str:
    """As pathlib's, but a folder of 100,000 files is listed in half the time."""
    _, dot, suffix = name.rpartition(".")
    return dot + suffix.lower()


def kind_by_content(name: str, head: bytes) -> str | None:
    """The kind of a file whose suffix does not settle it; None for what is neither image nor video.

    A raw photo may begin as TIFF does; then its suffix tells.
    """
    found, named = sniff(head), _UNREADABLE_SUFFIXES.get(_suffix(name))
    if found == IMAGE and not (named == RAW and head.startswith(_TIFF)):
        return IMAGE
    return named if found in (None, IMAGE) else found
