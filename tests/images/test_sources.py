"""Photos listed for workers, from a folder, a list and a record file."""

import errno
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.errors import ImageError, UsageError
from facetool.files.recordio import RecordWriter
from facetool.images.records import format_record
from facetool.images.sources import open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("ann/1.png", "bob/2.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        Image.fromarray(np.full((2, 3, 3), number, np.uint8)).save(tmp_path / "photos" / name)
    (tmp_path / "photos/bob/3.mp4").write_bytes(b"")
    return tmp_path / "photos"


def test_a_folder_and_a_list_of_its_photos_hold_the_same(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("photos/ann/1.png\nphotos/bob/2.png\n")
    for place, under in ((folder, ""), (listed, "photos/")):
        source = open_source(str(place))
        photos = source.listing().photos
        assert [photo.name for photo in photos] == [f"{under}ann/1.png", f"{under}bob/2.png"]
        sizes = [(folder / name).stat().st_size for name in ("ann/1.png", "bob/2.png")]
        assert [photo.size for photo in photos] == sizes
        for number, files in enumerate(source.files(photos)):
            content = files.read_bytes(photos[number].name)
            assert content == (folder / ["ann/1.png", "bob/2.png"][number]).read_bytes()


def test_videos_of_a_folder_are_named_as_not_read(folder: Path) -> None:
    ((what, reason, number),) = open_source(str(folder)).listing().unlisted
    assert what == "1 video" and number == 1 and "not read" in reason


def test_damage_of_a_record_file_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        writer = RecordWriter(file, io.StringIO())
        for key in (1, 2, 3):
            writer.write(key, format_record((0.0, 0.0), key, b"image"))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1  # the magic of the second of three equal records
    path.write_bytes(data)
    found = open_source(str(path)).listing()
    assert [photo.name for photo in found.photos] == ["0/1", "0/3"]
    ((_, reason, number),) = found.unlisted
    assert number == 1 and reason == "no record can be found there"


def archive(path: Path, *entries: str | tarfile.TarInfo) -> str:
    """A tar archive of photos of these names, and of entries of other kinds."""
    with tarfile.open(path, "w") as tar:
        for number, entry in enumerate(entries):
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            info.size = 10 + number if info.isfile() else 0
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return str(path)


def entry(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "a.jpg"
    return info


def test_what_is_not_taken_out_of_an_archive_is_counted(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    entries = (
        "a.jpg",
        "./b.jpg",
        entry("folder.jpg", tarfile.DIRTYPE),
        entry("symbolic.jpg", tarfile.SYMTYPE),
        entry("hard.jpg", tarfile.LNKTYPE),
        entry("pipe.jpg", tarfile.FIFOTYPE),
        entry("text.txt", tarfile.SYMTYPE),
        "b.jpg",
        "../c.jpg",
        "x/../../d.jpg",
        "/tmp/e.jpg",
        "clip.mp4",
    )
    found = open_source(archive(tmp_path / "a.tar", *entries)).listing()
    assert [(photo.name, photo.size) for photo in found.photos] == [("a.jpg", 10), ("b.jpg", 17)]
    video, *others = found.unlisted
    assert video[0] == "1 video"
    assert others == [
        (
            "3 links and devices",
            "not read (symbolic.jpg among them); put the photos themselves into the archive",
            3,
        ),
        (
            "3 photos",
            "not read (../c.jpg among them); its name is absolute or has '..'; rename it",
            3,
        ),
        ("1 photo", "not read (b.jpg); a later one in the archive has the same name", 1),
    ]


LONG = f"{'n' * 120}/é.jpg"


def packed(path: Path, order: str, seconds: int) -> str:
    """An archive of three photos of one size, in this order, written at a time of its own."""
    with tarfile.open(path, "w") as tar:
        for letter in order:
            info = tarfile.TarInfo({"a": "a.jpg", "b": "./b.jpg", "c": LONG}[letter])
            info.size = 4
            tar.addfile(info, io.BytesIO(letter.encode() * 4))
    os.utime(path, (seconds, seconds))
    return str(path)


def test_an_archive_that_was_written_anew_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    source = open_source(packed(tmp_path / "p.tar", "abc", 1))
    photos = source.listing().photos
    packed(tmp_path / "p.tar", "abc", 2)  # as a copy to another machine is
    contents = [
        held.read_bytes(photo.name)
        for photo, held in zip(photos, source.files(photos), strict=True)
    ]
    assert contents == [b"aaaa", b"bbbb", b"cccc"]
    packed(tmp_path / "p.tar", "bac", 3)
    for reader in (source, pickle.loads(pickle.dumps(source))):
        with pytest.raises(UsageError, match=r"p\.tar has changed since .* a\.jpg lies elsewhere"):
            reader.files(photos)
        assert reader.files(photos[2:])[0].read_bytes(LONG) == b"cccc"
    assert [held.read_bytes("") for held in source.files(source.listing().photos)] == contents
    packed(tmp_path / "p.tar", "ac", 4)
    with pytest.raises(UsageError, match="has changed since"):
        source.files(photos[1:2])


def test_an_archive_that_is_gone_fails_each_of_its_photos(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    for number in (0, 1):
        packed(tmp_path / f"p-{number}.tar", "abc", 1)
    source = open_source(str(tmp_path / "p-{0..1}.tar"))
    photos = source.listing().photos
    (tmp_path / "p-0.tar").unlink()
    lost, *_, there = source.files(photos)
    with pytest.raises(ImageError, match="cannot be read"):
        lost.read_bytes("")
    assert there.read_bytes("") == b"cccc"


def test_names_in_a_store_that_lead_out_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    names = ["a.jpg", "../b.jpg", ".hidden/c.jpg"]
    found = {f"/photos/{name}": {"size": 3, "ETag": "1"} for name in names}
    monkeypatch.setattr(type(memory), "find", lambda *_, **__: found)
    listing = open_source("memory://photos").listing()
    assert [photo.name for photo in listing.photos] == ["a.jpg"]
    ((what, reason, number),) = listing.unlisted
    assert (what, number) == ("1 photo", 1) and "../b.jpg" in reason


@pytest.fixture
def closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, where bob's photos may not be listed, nor those of a hidden folder."""
    (folder / ".hidden").mkdir()
    scan = os.scandir

    def refuse(path):  # type: ignore[no-untyped-def]
        if str(path).endswith(("/bob", "/.hidden")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_a_folder_that_cannot_be_listed_is_named(closed: Path, scheme: str) -> None:
    """``local://`` stands for all stores that fsspec searches folder by folder."""
    pytest.importorskip("fsspec")
    found = open_source(f"{scheme}{closed}").listing()
    assert [photo.name for photo in found.photos] == ["ann/1.png"]
    assert found.unlisted == [("bob", "cannot be listed: Permission denied", 1)]
    with pytest.raises(UsageError, match=r"bob.* cannot be listed: .*Permission denied"):
        open_source(f"{scheme}{closed}/bob").listing()


@pytest.mark.parametrize("scheme", ["", "file://", "local://", "memory://"])
def test_what_a_name_does_not_tell_the_content_does(folder: Path, scheme: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    png = (folder / "ann/1.png").read_bytes()
    for name, content in {
        "plain": png,
        "ann/photo.php?id=7": png,
        "jxl": b"\xff\x0a more",
        "README": b"read me",
        "empty": b"",
        ".hidden": png,
    }.items():
        (folder / name).write_bytes(content)
    if scheme == "memory://":
        fsspec.filesystem("memory").put(str(folder), f"{folder}", recursive=True)
    source = open_source(f"{scheme}{folder}")
    found = source.listing()
    photos = ["ann/1.png", "ann/photo.php?id=7", "bob/2.png", "plain"]
    assert [photo.name for photo in found.photos] == photos
    assert [what for what, *_ in found.unlisted] == ["1 rare image", "1 video"]
    assert source.files(found.photos)[-1].read_bytes("plain") == png


def test_what_a_name_in_an_archive_does_not_tell_the_content_does(
    folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    png = (folder / "ann/1.png").read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in {"plain": png, "1.cls": b"7", "raw": b"FOVb"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    source = open_source(str(tmp_path / "a.tar"))
    found = source.listing()
    assert [what for what, *_ in found.unlisted] == ["1 raw photo"]
    assert [held.read_bytes("") for held in source.files(found.photos)] == [png]


def test_a_file_of_a_store_that_cannot_be_looked_at_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = pytest.importorskip("fsspec").filesystem("local")
    (folder / "plain").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError("denied")

    monkeypatch.setattr(type(local), "cat_file", refuse)
    found = open_source(f"local://{folder}").listing()
    assert ("plain", "cannot be read: denied", 1) in found.unlisted


@pytest.mark.parametrize("name", ["nowhere", "nowhere.rec", "nowhere/a.jpg"])
def test_a_place_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        open_source(str(tmp_path / name))
