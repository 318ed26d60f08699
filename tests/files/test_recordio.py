"""RecordIO against files that MXNet itself wrote."""

import io
import json
import pickle
from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.files.recordio import MAGIC, RecordFile, RecordWriter, read_index


@pytest.fixture
def magic(shared: Path) -> Path:
    """Records that contain the magic, and so come in parts."""
    return shared / "golden" / "mxnet" / "records" / "magic"


@pytest.fixture
def payloads(magic: Path) -> list[bytes]:
    return [bytes.fromhex(text) for text in json.loads((magic / "payloads_hex.json").read_text())]


def write(path: Path, *records: bytes) -> list[int]:
    index = io.StringIO()
    with path.open("wb") as file:
        writer = RecordWriter(file, index)
        for key, record in enumerate(records):
            writer.write(key, record)
    return [int(line.split("\t")[1]) for line in index.getvalue().splitlines()]


def test_parts_are_joined_with_the_magic_between(magic: Path, payloads: list[bytes]) -> None:
    file = RecordFile(magic / "t.rec")
    keys, offsets = read_index(magic / "t.idx")
    assert keys.tolist() == list(range(len(payloads)))
    assert [file.read(offset) for offset in offsets.tolist()] == payloads


def test_beginning_of_a_record(magic: Path, payloads: list[bytes]) -> None:
    file = RecordFile(magic / "t.rec")
    offsets = read_index(magic / "t.idx")[1].tolist()
    for count in (0, 3, 8, 24, 1003, 1005):
        assert [file.read(o, count) for o in offsets] == [p[:count] for p in payloads]


def test_scan_finds_what_the_index_says(magic: Path) -> None:
    offsets, damaged = RecordFile(magic / "t.rec").scan()
    assert offsets == read_index(magic / "t.idx")[1].tolist()
    assert damaged == []


def test_writer_writes_what_mxnet_writes(magic: Path, payloads: list[bytes]) -> None:
    records, index = io.BytesIO(), io.StringIO()
    writer = RecordWriter(records, index)
    for key, payload in enumerate(payloads):
        writer.write(key, payload)
    assert records.getvalue() == (magic / "t.rec").read_bytes()
    assert index.getvalue() == (magic / "t.idx").read_text()


def test_scan_goes_on_behind_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    offsets = write(path, b"first", b"second" * 9, b"third", b"fourth")
    data = bytearray(path.read_bytes())
    data[offsets[1]] ^= 1
    path.write_bytes(data)
    file = RecordFile(path)
    found, damaged = file.scan()
    assert found == [offsets[0], *offsets[2:]]
    assert damaged == [(offsets[1], offsets[2])]
    assert file.read(offsets[3]) == b"fourth"
    with pytest.raises(FormatError, match="no record starts here"):
        file.read(offsets[1])


def test_search_sees_a_record_across_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facetool.files.recordio._SEARCH_STEP", 10)
    path = tmp_path / "a.rec"
    write(path, b"record")
    for garbage in range(4, 40, 4):
        moved = tmp_path / "b.rec"
        moved.write_bytes(b"x" * garbage + path.read_bytes())
        assert RecordFile(moved).scan() == ([garbage], [(0, garbage)])


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_search_passes_over_what_only_looks_like_a_record(tmp_path: Path, kind: int) -> None:
    """The magic between two places, or of a later part of a record."""
    path = tmp_path / "a.rec"
    write(path, b"record")
    looks = MAGIC + (kind << 29).to_bytes(4, "little")
    garbage = b"xxxx" + (b"xx" + looks + b"xx" if kind == 0 else looks)
    path.write_bytes(garbage + path.read_bytes())
    assert RecordFile(path).scan() == ([len(garbage)], [(0, len(garbage))])


def test_a_record_of_512_mib_is_refused_before_it_is_copied() -> None:
    records = io.BytesIO()
    with pytest.raises(FormatError, match="536,870,912 bytes, more than fit"):
        RecordWriter(records, io.StringIO()).write(0, bytes(1 << 29))
    assert not records.getvalue()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (MAGIC + (100).to_bytes(4, "little") + b"short", "100 bytes announced"),
        (MAGIC + (1 << 29).to_bytes(4, "little"), "8 bytes announced"),
        (MAGIC + (2 << 29).to_bytes(4, "little"), "a part of a record is missing"),
        (MAGIC, "8 bytes announced"),
        (b"", "8 bytes announced"),
    ],
)
def test_damaged_record(tmp_path: Path, damage: bytes, message: str) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(damage)
    with pytest.raises(FormatError, match=message):
        RecordFile(path).read(0)


def test_offsets_outside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    write(path, b"record")
    for offset in (-8, 1000, 1 << 62):
        with pytest.raises(FormatError):
            RecordFile(path).read(offset)


def test_pickled_file_opens_itself_again(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    write(path, b"record")
    assert pickle.loads(pickle.dumps(RecordFile(path))).read(0) == b"record"


@pytest.mark.parametrize("text", ["", "1\n", "a\tb\n", "1\t0\n1\t8\n", "1\t" + "9" * 30, "1\t0\t2"])
def test_damaged_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.idx"
    path.write_text(text)
    with pytest.raises(FormatError, match="not a record index"):
        read_index(path)
