"""Downloads from a server on this machine that behaves well, badly, or not at all."""

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from facetool.errors import OutputError, WeightsError
from facetool.files.atomic import part_path
from facetool.weights import download
from facetool.weights.catalogue import CATALOGUE, Pretrained

CONTENT = bytes(range(256)) * 20_000


@dataclass
class Server:
    """What it serves, how, and what it was asked for."""

    url: str = ""
    content: bytes = CONTENT
    honours_range: bool = True
    cut_after: int | None = None
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = 0
            if wanted and state.honours_range:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(state.content):
                    self.send_error(416)
                    return
                self.send_response(206)
            else:
                self.send_response(200)
            body = state.content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after])

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/weights.t7"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    return tmp_path / "weights"


@pytest.fixture
def entry(server: Server) -> Pretrained:
    return Pretrained(
        name="nn4.test",
        architecture="nn4",
        file="weights.t7",
        page="https://example.org/models",
        licence="Apache 2.0",
        urls=(server.url,),
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def test_fetches_once(server: Server, entry: Pretrained, home: Path) -> None:
    assert download.find(entry) is None
    path = download.fetch(entry)
    assert path == home / "weights.t7" == download.find(entry)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in home.iterdir()] == ["weights.t7"]
    assert download.fetch(entry) == path
    assert server.ranges == [None]


def test_the_lock_of_a_killed_run_goes(entry: Pretrained, home: Path) -> None:
    download.fetch(entry)
    (home / ".weights.t7.lock").touch()
    download.fetch(entry)
    assert [file.name for file in home.iterdir()] == ["weights.t7"]


def test_of_several_at_once_one_fetches(server: Server, entry: Pretrained, home: Path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(download.fetch(entry))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [home / "weights.t7"] * 4
    assert found[0].read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [file.name for file in home.iterdir()] == ["weights.t7"]


def test_goes_on_after_a_cut_connection(server: Server, entry: Pretrained, home: Path) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(WeightsError, match=r"cut after 1,000,000 of 5,120,000 bytes.*again"):
        download.fetch(entry)
    assert download.find(entry) is None
    server.cut_after = None
    assert download.fetch(entry).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_starts_over_where_range_is_ignored(server: Server, entry: Pretrained, home: Path) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(WeightsError):
        download.fetch(entry)
    server.cut_after, server.honours_range = None, False
    assert download.fetch(entry).read_bytes() == CONTENT


def test_starts_over_without_a_checksum(server: Server, entry: Pretrained, home: Path) -> None:
    unchecked = replace(entry, sha256="", size=None)
    server.cut_after = 1_000_000
    with pytest.raises(WeightsError):
        download.fetch(unchecked)
    server.cut_after, server.content = None, CONTENT[::-1]
    assert download.fetch(unchecked).read_bytes() == CONTENT[::-1]
    assert server.ranges == [None, None]


def test_wrong_checksum_leaves_nothing(server: Server, entry: Pretrained, home: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(WeightsError, match=r"sends another file.*sha256"):
        download.fetch(entry)
    assert list(home.iterdir()) == []


def test_complete_part_needs_no_download(server: Server, entry: Pretrained, home: Path) -> None:
    home.mkdir(parents=True)
    part_path(home / "weights.t7").write_bytes(CONTENT)
    assert download.fetch(entry).read_bytes() == CONTENT
    assert server.ranges == []


@pytest.mark.parametrize("tail", [b"", b"more"])
def test_part_beyond_what_the_server_has(
    tail: bytes, server: Server, entry: Pretrained, home: Path
) -> None:
    sizeless = replace(entry, size=None)
    home.mkdir(parents=True)
    part_path(home / "weights.t7").write_bytes(CONTENT + tail)
    if tail:
        with pytest.raises(WeightsError, match="another file"):
            download.fetch(sizeless)
    assert download.fetch(sizeless).read_bytes() == CONTENT


def test_takes_the_next_mirror(server: Server, entry: Pretrained, home: Path) -> None:
    mirrored = replace(entry, urls=("http://127.0.0.1:9/gone", *entry.urls))
    assert download.fetch(mirrored).read_bytes() == CONTENT


@pytest.mark.parametrize("offline", [True, False])
def test_failure_says_what_to_put_where(
    offline: bool, server: Server, entry: Pretrained, home: Path
) -> None:
    url = "http://127.0.0.1:9/weights.t7" if offline else server.url
    server.status = 404
    with pytest.raises(WeightsError) as caught:
        download.fetch(replace(entry, urls=(url,)))
    message = str(caught.value)
    assert "\n" not in message
    assert f"download {url} and put it at {home / 'weights.t7'}" in message


def test_by_hand_says_which_archive_to_put_where(home: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        download.fetch(CATALOGUE["lresnet50e-ir.ms1m-v1"])
    message = str(caught.value)
    assert "model-r50-arcface-ms1m-refine-v1.zip" in message
    assert f"put it in {home} and run: facetool models fetch lresnet50e-ir.ms1m-v1" in message


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip file of these members, compressed."""
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def packed(content: bytes, **more: Any) -> Pretrained:
    """Weights that are published in a zip file only, with another file beside."""
    return Pretrained(
        name="nn4.packed",
        architecture="nn4",
        file="model/w-0000.params",
        page="https://example.org/models",
        licence="Apache 2.0",
        archive="pack.zip",
        archive_sha256=hashlib.sha256(content).hexdigest(),
        beside=("model/w-symbol.json",),
        **more,
    )


MEMBERS = {
    "../../model/w-0000.params": CONTENT,
    "other/w-0000.params": b"of another folder",
    "model/w-symbol.json": b"{}",
    "/etc/more": b"?",
}


def test_an_archive_in_the_folder_is_checked_and_unpacked(home: Path) -> None:
    content = zipped(MEMBERS)
    entry = packed(content)
    home.mkdir()
    with pytest.raises(WeightsError, match="put it in"):
        download.fetch(entry)
    (home / "pack.zip").write_bytes(content + b"?")
    with pytest.raises(WeightsError, match=r"pack\.zip: sha256 .*, not"):
        download.fetch(entry)
    (home / "pack.zip").write_bytes(content)
    assert download.fetch(entry).read_bytes() == CONTENT
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert files == {"pack.zip", "model/w-0000.params", "model/w-symbol.json"}


def test_an_archive_is_downloaded_and_removed(server: Server, home: Path) -> None:
    server.content = zipped(MEMBERS)
    gone = "http://127.0.0.1:9/gone"
    entry = packed(server.content, urls=(gone,), archive_urls=(server.url,), size=len(CONTENT))
    assert download.fetch(entry).read_bytes() == CONTENT
    assert sorted(path.name for path in home.iterdir()) == ["model"]


@pytest.mark.parametrize(
    ("members", "more", "problem"),
    [
        ({"model/w-symbol.json": b""}, {}, r"holds no files model/w-0000\.params"),
        ({**MEMBERS, "b/model/w-symbol.json": b""}, {}, "holds 2 files model/w-symbol"),
        (MEMBERS, {"size": 7}, "5,120,000 bytes in it"),
        (MEMBERS, {"sha256": "0" * 64}, "is not the published nn4.packed"),
    ],
)
def test_an_archive_that_holds_something_else(
    members: dict[str, bytes], more: dict[str, Any], problem: str, home: Path
) -> None:
    content = zipped(members)
    home.mkdir()
    (home / "pack.zip").write_bytes(content)
    with pytest.raises(WeightsError, match=problem):
        download.fetch(packed(content, **more))
    assert not list(home.rglob("*.params"))


def test_a_damaged_archive_whose_checksum_is_right(home: Path) -> None:
    content = bytearray(zipped(MEMBERS))
    content[60] ^= 255
    home.mkdir()
    (home / "pack.zip").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be unzipped"):
        download.fetch(packed(bytes(content)))
    assert not list(home.rglob("*.params"))


def test_a_damaged_file_is_found_out(server: Server, entry: Pretrained, home: Path) -> None:
    path = download.fetch(entry)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="not the published"):
        download.fetch(entry)


def test_unwritable_folder(entry: Pretrained, home: Path) -> None:
    home.parent.joinpath("weights").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot write"):
        download.fetch(entry)


def test_dlib_weights_come_with_the_install(home: Path) -> None:
    entry = CATALOGUE["dlib-resnet.v1"]
    path = download.find(entry)
    assert path is not None
    assert download.check(entry, path) == "sha256"
    assert download.digest(path, "md5") == entry.md5
    assert path.stat().st_size == entry.size
    assert download.fetch(entry) == path


def test_weights_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACETOOL_HOME", raising=False)
    assert download.weights_folder() == tmp_path / "cache" / "facetool" / "weights"
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path / "home"))
    assert download.weights_folder() == tmp_path / "home" / "weights"
