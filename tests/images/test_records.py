"""Record files against those that InsightFace's own tools wrote."""

import hashlib
import io
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError, ImageError
from facetool.files.recordio import RecordWriter
from facetool.images.read import decode_image
from facetool.images.records import (
    NO_LABEL,
    ImageRecords,
    Properties,
    format_record,
    parse_record,
    read_properties,
)

LAYOUTS = ("face2rec2", "recbuilder", "seqrecbuilder")


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "mxnet" / "records"


def listing(folder: Path) -> list[dict[str, str]]:
    """The images of ``listing.txt``: key, id, and checksums."""
    lines = (folder / "listing.txt").read_text().splitlines()[1:]
    rows = [dict(c.split("=", 1) for c in line.split() if "=" in c) for line in lines]
    return [row for row in rows if row["sha"] != "-"]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(golden: Path, tmp_path: Path, layout: str, indexed: bool) -> None:
    source = golden / layout / "train.rec"
    if not indexed:
        source = Path(shutil.copy(source, tmp_path))
    records = ImageRecords(source)
    assert records.unreadable == ()
    rows = {int(row["key"]): row for row in listing(golden / layout)}
    assert records.keys.tolist() == sorted(rows)
    for key, label in zip(records.keys.tolist(), records.labels.tolist(), strict=True):
        record = records.record(key)
        assert sha(record.image) == rows[key]["sha"]
        assert record.label == label
        assert sha(decode_image(record.image).tobytes()) == rows[key]["dec"]


@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_identity_ranges(golden: Path, layout: str) -> None:
    records = ImageRecords(golden / layout / "train.rec")
    assert records.ranges.tolist() == [[first, first + 4] for first in range(1, 41, 4)]
    assert records.labels.tolist() == [(key - 1) // 4 for key in records.keys]


def test_only_the_ranges_are_read_where_there_are_some(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    whole = ImageRecords._head

    def head(self: ImageRecords, offset: int) -> object:
        asked.append(offset)
        return whole(self, offset)

    monkeypatch.setattr(ImageRecords, "_head", head)
    ImageRecords(golden / "face2rec2" / "train.rec")
    assert len(asked) == 1 + 10 + 10  # header, identities, first image of each


def test_names_group_by_identity(golden: Path) -> None:
    records = ImageRecords(golden / "seqrecbuilder" / "train.rec")
    assert list(records.names) == sorted(records.names)
    assert {len(name) for name in records.names} == {len("0/05")}
    name = records.names[7]
    label, key = name.split("/")
    record = records.record(int(key))
    assert record.label == int(label)
    assert (records.read(name) == decode_image(record.image)).all()


def test_numbers_in_names_are_padded(tmp_path: Path) -> None:
    path = make(tmp_path, {key: ((float(key),), b"x") for key in (1, 2, 10)})
    assert ImageRecords(path).names == ("01/01", "02/02", "10/10")


def test_threads_and_pickles(golden: Path) -> None:
    records = ImageRecords(golden / "face2rec2" / "train.rec")
    expected = [records.read(name) for name in records.names]
    copied = pickle.loads(pickle.dumps(records))
    assert "names" not in copied.__dict__
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(copied.read, records.names * 3))
    assert all((a == b).all() for a, b in zip(found, expected * 3, strict=True))


def make(folder: Path, records: dict[int, tuple[tuple[float, ...], bytes]]) -> Path:
    path = folder / "made.rec"
    with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
        writer = RecordWriter(file, index)
        for key, (labels, image) in records.items():
            writer.write(key, format_record(labels, key, image))
    return path


def test_damage_stays_with_its_record(golden: Path, tmp_path: Path) -> None:
    for file in ("train.rec", "train.idx"):
        shutil.copy(golden / "face2rec2" / file, tmp_path)
    path = tmp_path / "train.rec"
    data = bytearray(path.read_bytes())
    data[6264] ^= 1  # the magic of record 2
    data[12464 + 8 + 32 : 12464 + 8 + 40] = bytes(8)  # the start of the image in record 3
    path.write_bytes(data)
    records = ImageRecords(path)
    assert len(records) == 40
    failed = []
    for name in records.names:
        try:
            records.read(name)
        except ImageError as error:
            failed.append(name)
            assert "\n" not in str(error)
    assert failed == ["0/02", "0/03"]
    path.with_suffix(".idx").unlink()
    scanned = ImageRecords(path)
    assert len(scanned) == 39
    assert scanned.unreadable == (("bytes 6,264 to 12,464", "no record can be found there"),)


def test_damaged_header_record_costs_the_ranges_only(golden: Path, tmp_path: Path) -> None:
    for file in ("train.rec", "train.idx"):
        shutil.copy(golden / "face2rec2" / file, tmp_path)
    path = tmp_path / "train.rec"
    data = bytearray(path.read_bytes())
    data[248960] ^= 1
    path.write_bytes(data)
    records = ImageRecords(path)
    readable = records.labels[records.labels != NO_LABEL]
    assert len(readable) == 40
    assert np.bincount(readable).tolist() == [4] * 10
    assert len(records.ranges) == 0


def test_wrong_names(golden: Path) -> None:
    records = ImageRecords(golden / "face2rec2" / "train.rec")
    for name in ("0/99", "0/0", "0/41", "x", "", "0/-1", "0/²"):
        with pytest.raises(ImageError):
            records.read(name)


@pytest.mark.parametrize("label", [float("nan"), float("inf"), -3.0, 0.5, 1e30])
def test_labels_that_number_nobody(tmp_path: Path, label: float) -> None:
    records = ImageRecords(make(tmp_path, {5: ((label, 1.0), b"x")}))
    assert records.labels.tolist() == [NO_LABEL]
    assert records.names == ("unknown/5",)


def test_header_with_impossible_ranges_is_an_image_without_content(tmp_path: Path) -> None:
    for bounds in ((0.0, 5.0), (9.0, 2.0), (float("nan"), 2.0), (1.5, 3.0), (1.0, 1e30)):
        records = ImageRecords(make(tmp_path, {0: (bounds, b""), 1: ((3.0,), b"x")}))
        assert len(records.ranges) == 0
        assert records.labels[records.keys == 1].tolist() == [3]


def test_short_and_greedy_records() -> None:
    with pytest.raises(FormatError, match="no image header"):
        parse_record(bytes(23))
    with pytest.raises(FormatError, match="announces"):
        parse_record((1 << 31).to_bytes(4, "little") + bytes(60))
    assert parse_record(format_record((4.0, 1.0), 7, b"image")) == ((4.0, 1.0), 7, b"image")


def test_properties(golden: Path, tmp_path: Path) -> None:
    for layout in LAYOUTS:
        assert read_properties(golden / layout / "train.rec") == Properties(10, 112, 112)
    assert read_properties(tmp_path / "a.rec") is None
    (tmp_path / "property").write_text("ten,112,112")
    with pytest.raises(FormatError, match="property"):
        read_properties(tmp_path / "a.rec")


def test_the_beginning_of_a_record_has_the_labels_that_are_there() -> None:
    record = format_record((4.0, 1.0, 8.0), 7, b"image")
    assert parse_record(record[:33], whole=False).labels == (4.0, 1.0)
    with pytest.raises(FormatError, match="announces 3 labels"):
        parse_record(record[:33])


def test_records_of_one_key_are_counted_where_there_is_no_index(tmp_path: Path) -> None:
    path = tmp_path / "made.rec"
    with path.open("wb") as file:
        writer = RecordWriter(file, io.StringIO())
        for label in (3.0, 4.0, 5.0):
            writer.write(7, format_record((label, 0.0), 7, b"image"))
    records = ImageRecords(path)
    assert records.keys.tolist() == [0, 1, 2] and records.labels.tolist() == [3, 4, 5]


def test_the_share_of_damage_is_that_of_the_file(tmp_path: Path) -> None:
    path = make(tmp_path, dict.fromkeys((1, 2, 3, 4), ((1.0, 0.0), b"x" * 100)))
    path.with_suffix(".idx").unlink()
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1  # the magic of the second of four equal records
    path.write_bytes(data)
    (flaw,) = ImageRecords(path).flaws()
    assert flaw.number == 1 and flaw.share == pytest.approx(0.25)
