"""The threat model of SECURITY.md, point by point: what strangers' files and servers try."""

import hashlib
import json
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facetool.errors import FormatError, ImageError, UsageError, WeightsError
from facetool.files.atomic import atomic_write, part_path
from facetool.files.embeddings import read_embeddings
from facetool.files.embeddings_writer import EmbeddingsWriter
from facetool.files.image_states import ImageState
from facetool.files.represent_description import RepresentDescription
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.inputs import images_at
from facetool.images.read import decode_image
from facetool.pipeline.cluster import cluster
from facetool.pipeline.records_features import write_features
from facetool.weights import download
from facetool.weights.catalogue import Pretrained
from tests.field.commands import facetool

SIDE = 60_000
STATE = ImageState(7, 1_700_000_000_000_000_001, "ab" * 32)


def png_bomb() -> bytes:
    """3.6 gigapixels of black, whose data is short."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress(bytes(10 * SIDE))
    head = struct.pack(">II5B", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    small = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    place = small.index(b"\xff\xc0") + 5
    small[place : place + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(small)


def tiff_bomb(tmp_path: Path) -> bytes:
    path = tmp_path / "small.tif"
    Image.new("L", (16, 16)).save(path)
    small = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", small, 4)
    (count,) = struct.unpack_from("<H", small, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag = struct.unpack_from("<H", small, entry)[0]
        if tag in (256, 257, 278):  # width, length, rows per strip
            struct.pack_into("<HHII", small, entry, tag, 4, 1, SIDE)
    return bytes(small)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
def test_images_that_would_take_gigabytes_are_refused_by_their_head(
    kind: str, tmp_path: Path
) -> None:
    data = {"png": png_bomb, "jpeg": jpeg_bomb}[kind]() if kind != "tiff" else tiff_bomb(tmp_path)
    begun = time.process_time()
    with pytest.raises(ImageError):
        decode_image(data)
    assert time.process_time() - begun < 1


def represent_folder(folder: Path, names: list[str]) -> Path:
    """A represent folder whose images have these names."""
    with EmbeddingsWriter(folder, 3, RepresentDescription()) as writer:
        vectors = np.arange(3 * len(names), dtype=np.float32).reshape(-1, 3)
        writer.add(vectors, [(1, name) for name in names], [STATE] * len(names), [])
        writer.finish(RepresentDescription(counts={"images": len(names)}, unit_length=False))
    return folder


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/tmp/x.png"])
def test_names_that_lead_out_of_the_output_are_refused(name: str, tmp_path: Path) -> None:
    source = represent_folder(tmp_path / "reps", [name])
    with pytest.raises(UsageError, match="not relative"):
        write_features([source], tmp_path / "out" / "deep")
    assert not list(tmp_path.rglob("*x.png*"))


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png"])
def test_names_that_lead_out_of_a_folder_are_no_paths(name: str, tmp_path: Path) -> None:
    """To be linked to, or to be read."""
    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    name = name if name[0] != "/" else str(tmp_path / name[1:])
    crops = tmp_path / "crops"
    (crops / "a").mkdir(parents=True)
    Image.new("L", (4, 4)).save(crops / "a" / "1.png")
    reps = represent_folder(tmp_path / "reps", ["a/1.png", name])
    description = json.loads((reps / "represent.json").read_text())
    (reps / "represent.json").write_text(json.dumps({**description, "input": str(crops)}))
    with pytest.raises(FormatError, match=r"leads out of .*crops; run facetool represent again"):
        cluster(reps, 0.5, links=tmp_path / "links")
    assert not (tmp_path / "links").exists()
    images = images_at(crops)
    images.read("a/1.png")
    for read in (images.read, images.sha256, images.stat, AlignedPhotos({"": str(crops)}).path):
        with pytest.raises(ImageError, match="its name leads out of the folder"):
            read(name)


def test_links_in_the_place_of_unfinished_files_are_not_followed(tmp_path: Path) -> None:
    """In a folder that others can write to, somebody may know the names beforehand."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    output = tmp_path / "out"
    output.mkdir()
    part_path(output / "x").symlink_to(precious)
    (output / "x").symlink_to(precious)
    with atomic_write(output / "x") as file:
        file.write(b"new")
    assert precious.read_text() == "mine"
    assert (output / "x").read_bytes() == b"new"
    assert not (output / "x").is_symlink()


@pytest.mark.parametrize("name", ["reps.csv", "labels.csv", "reps.npy", "represent.journal"])
def test_links_in_the_place_of_growing_embeddings_are_not_followed(
    name: str, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "out").mkdir()
    part_path(tmp_path / "out" / name).symlink_to(precious)
    represent_folder(tmp_path / "out", ["a/b.png"])
    assert precious.read_text() == "mine"
    assert read_embeddings(tmp_path / "out").names == ["a/b.png"]


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", '=cmd|"/C calc"!A0', "+1", "-1"])
def test_names_in_tables_are_what_they_are(name: str, tmp_path: Path) -> None:
    """OpenFace's scripts join names with paths, so nothing is put before a formula."""
    folder = represent_folder(tmp_path / "reps", [f"{name}/a.png"])
    assert read_embeddings(folder).names == [f"{name}/a.png"]


CONTENT = bytes(range(256)) * 2000


@dataclass
class Liar:
    """A server that does something else than it is asked."""

    url: str = ""
    announced: int | None = None
    redirect: str = ""
    endless: bool = False
    content: bytes = CONTENT
    sent: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def liar() -> Iterator[Liar]:
    state = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_response(302 if state.redirect else 200)
            if state.redirect:
                self.send_header("Location", state.redirect)
            if state.announced is not None:
                self.send_header("Content-Length", str(state.announced))
            self.end_headers()
            try:
                self.wfile.write(state.content)
                while state.endless and state.sent < 1 << 30:
                    self.wfile.write(bytes(1 << 20))
                    state.sent += 1 << 20
            except OSError:
                pass

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


def entry(liar: Liar, size: int | None) -> Pretrained:
    return Pretrained(
        name="nn4.test",
        architecture="nn4",
        file="weights.t7",
        page="https://example.org/models",
        licence="Apache 2.0",
        urls=(liar.url,),
        size=size,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    return tmp_path / "weights"


@pytest.mark.parametrize("known", [True, False])
def test_an_endless_download_ends(
    known: bool, liar: Liar, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_LARGEST", 4 << 20)
    liar.endless = True
    with pytest.raises(WeightsError, match="sends more than"):
        download.fetch(entry(liar, len(CONTENT) if known else None))
    assert sum(path.stat().st_size for path in home.iterdir()) == 0
    assert liar.sent < 100 << 20


def test_a_download_longer_than_published(liar: Liar, home: Path) -> None:
    liar.content = CONTENT + b"more"
    with pytest.raises(WeightsError, match=f"more than {len(CONTENT):,} bytes"):
        download.fetch(entry(liar, len(CONTENT)))
    liar.content = CONTENT
    assert download.fetch(entry(liar, len(CONTENT))).read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["file:///etc/hostname", "ftp://127.0.0.1:9/x", "data:,x"])
def test_a_redirect_to_something_else_than_the_web(where: str, liar: Liar, home: Path) -> None:
    liar.redirect = where
    with pytest.raises(WeightsError) as caught:
        download.fetch(entry(liar, None))
    assert "\n" not in str(caught.value)
    assert download.find(entry(liar, None)) is None


def test_a_length_that_is_not_kept(liar: Liar, home: Path) -> None:
    wanted = entry(liar, len(CONTENT))
    for announced in (len(CONTENT) - 1, len(CONTENT) + 1):
        liar.announced = announced
        with pytest.raises(WeightsError):
            download.fetch(wanted)
        assert download.find(wanted) is None
    # All bytes came the second time, and their checksum is right: nothing is asked for again.
    assert download.fetch(wanted).read_bytes() == CONTENT
    assert len(liar.asked) == 2


@pytest.mark.slow
def test_names_with_markup_are_text_on_a_page(album: Path, tmp_path: Path) -> None:
    photo = next(album.glob("*/*.jpg"))
    person = tmp_path / "photos" / "<script>alert(1)<"
    person.mkdir(parents=True)
    (person / '"onload="x.jpg').write_bytes(photo.read_bytes())
    page = tmp_path / "page.html"
    done = facetool("align", tmp_path / "photos", tmp_path / "crops", "--html", page, "--quiet")
    assert done.returncode == 0, done.stderr
    assert "<script>alert" not in page.read_text()
    assert '"onload="' not in page.read_text()
