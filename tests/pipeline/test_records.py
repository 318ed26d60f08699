"""Packing folders, against what InsightFace's tools make of the same images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.errors import UsageError
from facetool.files.recordio import RecordWriter
from facetool.images.inputs import open_images
from facetool.images.read import read_file
from facetool.images.records import ImageRecords
from facetool.images.verification_set import read_bin
from facetool.pipeline import records_pack as stage
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.records import describe, pack_pairs, unpack
from facetool.pipeline.records_pack import PackSettings, pack


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "mxnet" / "records"


def draw(path: Path, size: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def test_packed_as_face2rec2_does(golden: Path, tmp_path: Path) -> None:
    report = pack(golden / "images", tmp_path / "train.rec")
    assert report.exit_code == 0
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / name).read_bytes() == (golden / "face2rec2" / name).read_bytes()
    listed = (golden / "face2rec2" / "train.lst").read_text().replace("images/", "")
    assert (tmp_path / "train.lst").read_text() == listed


def test_unpacked_files_are_those_packed(tmp_path: Path) -> None:
    names = ["A/1.png", "A/2.png", "A b/1.jpg", "A/deeper/1.png", "B/1.bmp"]
    for name in names:
        draw(tmp_path / "in" / name)
    report = pack(tmp_path / "in", tmp_path / "a.rec")
    assert str(report) == "5 images packed, 4 identities"
    unpack(tmp_path / "a.rec", tmp_path / "out")
    found = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*"))
    assert [str(p) for p in found] == ["0/1.png", "0/2.png", "1/3.jpg", "2/4.png", "3/5.bmp"]
    for packed, unpacked in zip(names, found, strict=True):
        original = (tmp_path / "in" / packed).read_bytes()
        assert (tmp_path / "out" / unpacked).read_bytes() == original


def test_unpacking_goes_on_but_mixes_with_nothing_else(tmp_path: Path) -> None:
    for name in ("A/1.png", "B/1.png"):
        draw(tmp_path / "in" / name)
    pack(tmp_path / "in", tmp_path / "a.rec")
    out = tmp_path / "out"
    unpack(tmp_path / "a.rec", out)
    whole = {path: path.read_bytes() for path in out.rglob("*.*")}
    (out / "1/2.png").rename(out / "1/.2.png.part")
    unpack(tmp_path / "a.rec", out)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == whole
    for name in ("1/2.png", "1/3.png", "notes.txt"):
        before = (out / name).read_bytes() if (out / name).exists() else None
        (out / name).write_bytes(b"mine")
        with pytest.raises(UsageError, match=rf"{name} is there and is no image of .*a\.rec"):
            unpack(tmp_path / "a.rec", out)
        assert (out / name).read_bytes() == b"mine"
        (out / name).unlink()
        if before is not None:
            (out / name).write_bytes(before)


def test_images_that_wait_to_be_written_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        draw(tmp_path / "in" / f"{number}.png")
    pack(tmp_path / "in", tmp_path / "a.rec")
    monkeypatch.setattr(stage, "_IMAGES_AHEAD", 3)
    counts = []
    write = RecordWriter.write
    done: list[Path] = []

    def reading(path: Path) -> bytes:
        done.append(path)
        return read_file(path)

    def writing(self: RecordWriter, key: int, data: bytes) -> None:
        counts.append(len(done) - key)
        write(self, key, data)

    monkeypatch.setattr(stage, "read_file", reading)
    monkeypatch.setattr(RecordWriter, "write", writing)
    pack(tmp_path / "in", tmp_path / "b" / "b.rec")
    assert (tmp_path / "b" / "b.rec").read_bytes() == (tmp_path / "a.rec").read_bytes()
    assert max(counts[:8]) <= 2


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "A" / "1.png")
    draw(tmp_path / "in" / "A" / "2.png", size=30)
    (tmp_path / "in" / "A" / "3.png").write_bytes(b"x")
    draw(tmp_path / "in" / "B" / "1.png")
    report = pack(tmp_path / "in", tmp_path / "a.rec")
    assert [name for name, _ in report.failures] == ["A/2.png", "A/3.png"]
    assert ImageRecords(tmp_path / "a.rec").labels.tolist() == [0, 1]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "A" / "1.png")
    (tmp_path / "a.rec").write_text("precious")
    with pytest.raises(UsageError, match="overwrite=True"):
        pack(tmp_path / "in", tmp_path / "a.rec")
    pack(tmp_path / "in", tmp_path / "a.rec", PackSettings(overwrite=True))
    assert len(ImageRecords(tmp_path / "a.rec")) == 1
    with pytest.raises(UsageError, match=r"\.rec"):
        pack(tmp_path / "in", tmp_path / "a")


def test_failed_pack_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="none of the images"):
        pack(tmp_path / "in", tmp_path / "out" / "a.rec")
    assert list((tmp_path / "out").iterdir()) == []


def test_description(golden: Path) -> None:
    found = describe(golden / "face2rec2" / "train.rec").as_dict()
    assert found["images"] == 40
    assert found["identities"] == 10
    assert found["images_per_identity"] == {"least": 4, "mean": 4.0, "most": 4}
    assert found["property"] == {"classes": 10, "height": 112, "width": 112, "records": None}
    assert found["index"] and found["header_record"] and not found["damaged"]
    assert not describe(golden / "seqrecbuilder" / "train.rec").header_record


@pytest.mark.slow
def test_align_takes_a_record_file(album: Path, tmp_path: Path) -> None:
    chosen = sorted(album.rglob("*.jpg"))[:6]
    for photo in chosen:
        target = tmp_path / "in" / photo.relative_to(album)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, target)
    pack(tmp_path / "in", tmp_path / "a.rec")
    settings = AlignSettings(crop=DLIB_CHIP, on_no_face="center")
    align(tmp_path / "in", tmp_path / "folder", settings, jobs=2)
    align(tmp_path / "a.rec", tmp_path / "records", settings, jobs=2)
    one, other = (
        [path.read_bytes() for path in sorted((tmp_path / kind).rglob("*.png"))]
        for kind in ("folder", "records")
    )
    assert one and one == other


def test_neither_folder_nor_records(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="neither"):
        open_images(tmp_path / "a.zip")


def test_pairs_become_a_set(tmp_path: Path) -> None:
    for person in "AB":
        for number in (1, 2, 3):
            draw(tmp_path / "in" / person / f"{person}_{number:04d}.png", size=20 + number)
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("2\t1\nA\t1\t2\nA\t1\tB\t3\nB\t2\t3\nB\t1\tA\t3\n")
    pack_pairs(tmp_path / "in", tmp_path / "set.bin", pairs, any_crop=True)
    found = read_bin(tmp_path / "set.bin")
    assert found.same.tolist() == [True, False, True, False]
    names = ["A/A_0001", "A/A_0002", "A/A_0001", "B/B_0003"]
    expected = [(tmp_path / "in" / f"{name}.png").read_bytes() for name in names]
    assert found.images[:4] == expected
    (tmp_path / "in" / "B" / "B_0003.png").unlink()
    with pytest.raises(UsageError, match=r"lacks 1 of the images .* such as B_0003"):
        pack_pairs(tmp_path / "in", tmp_path / "other.bin", pairs)


def test_a_file_of_no_images_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "empty.rec").touch()
    with pytest.raises(UsageError, match=r"there are no images in .*empty\.rec"):
        unpack(tmp_path / "empty.rec", tmp_path / "out")
    assert describe(tmp_path / "empty.rec").damaged == ["there are no images in it"]
