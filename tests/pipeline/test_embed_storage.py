"""Photos in an object store and in tar archives; a store that fails, is slow or breaks off."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from time import sleep

import pytest

from facetool.errors import OutputError, UsageError
from facetool.files import storage as storage_module
from facetool.files.storage import open_storage
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.align import AlignSettings
from facetool.pipeline.embed import EmbedSettings, embed
from facetool.pipeline.merge import merge
from facetool.pipeline.represent import RepresentSettings
from facetool.weights.catalogue import crop_of
from facetool.weights.load import load_network

pytest.importorskip("pyarrow")

SETTINGS = EmbedSettings(
    align=AlignSettings(crop=crop_of("dlib-resnet")),
    represent=RepresentSettings(batch_size=4),
    per_shard=10,
)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def wanted(
    album: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """The embeddings of the album, ``reps.npy``."""
    root = tmp_path_factory.mktemp("here")
    embed(album, root / "out", network, SETTINGS)
    merge(root / "out", root / "reps")
    return (root / "reps" / "reps.npy").read_bytes()


_BUCKETS = count(1)
"""The server forgets none while the process lives."""


class Faults:
    """What goes wrong between a client and the store.

    Attributes:
        bucket: of the store, empty.
        errors: requests still to be answered by 503.
        halves: PUTs still to be cut in the middle: the store gets half of the body.
        pause: seconds before each answer.
        seen: how many requests went wrong.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    errors = 0
    halves = 0
    pause = 0.0
    seen = 0


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A server of S3 on the loopback device behind a proxy that makes faults."""
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    faults = Faults(f"bucket-{next(_BUCKETS)}")

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sleep(faults.pause)
            if faults.errors:
                faults.errors -= 1
                faults.seen += 1
                self.reply(503, {}, b"")
                return
            upstream = HTTPConnection(host, port, timeout=20)
            headers = dict(self.headers)
            if self.command == "PUT" and faults.halves and "/faces/" in self.path:
                faults.halves -= 1
                faults.seen += 1
                upstream.putrequest(self.command, self.path, skip_host=True)
                for key, value in headers.items():
                    upstream.putheader(key, value)
                upstream.endheaders(body[: len(body) // 2])
                upstream.close()
                self.close_connection = True
                return
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            self.reply(answer.status, dict(answer.getheaders()), answer.read())
            upstream.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", str(len(body)))
            for key, value in headers.items():
                if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(key, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # the client's own, with long pauses
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(storage_module, "_FIRST_PAUSE", 0.01)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir(faults.bucket)
    yield faults
    s3fs.S3FileSystem.clear_instance_cache()
    proxy.shutdown()
    server.stop()


def upload(album: Path, store: Faults) -> None:
    place = open_storage(f"s3://{store.bucket}/photos")
    for path in sorted(album.glob("*/*.jpg")):
        place.write(path.relative_to(album).as_posix(), path.read_bytes())


@pytest.mark.slow
def test_a_store_that_fails_and_is_slow_gives_the_same(
    album, network, wanted, store, tmp_path
) -> None:
    upload(album, store)
    store.errors, store.pause, store.halves = 5, 0.01, 2
    report = embed(
        f"s3://{store.bucket}/photos", f"s3://{store.bucket}/out", network, SETTINGS, jobs=2
    )
    assert (report.exit_code, store.errors, store.halves, store.seen) == (0, 0, 0, 7)
    merge(f"s3://{store.bucket}/out", tmp_path / "reps")
    assert (tmp_path / "reps" / "reps.npy").read_bytes() == wanted
    again = embed(f"s3://{store.bucket}/photos", f"s3://{store.bucket}/out", network, SETTINGS)
    assert dict(again.counts) == {"already there": 24}


@pytest.mark.slow
def test_a_store_that_is_down_ends_the_run_and_the_next_goes_on(
    album, network, wanted, store, tmp_path
) -> None:
    upload(album, store)
    embed(
        f"s3://{store.bucket}/photos", f"s3://{store.bucket}/out", network, SETTINGS, shard=(0, 3)
    )
    store.errors = 10**6
    with pytest.raises((OutputError, UsageError)):
        embed(f"s3://{store.bucket}/photos", f"s3://{store.bucket}/out", network, SETTINGS)
    store.errors = 0
    report = embed(f"s3://{store.bucket}/photos", f"s3://{store.bucket}/out", network, SETTINGS)
    assert report.counts["already there"] == 10
    merge(f"s3://{store.bucket}/out", tmp_path / "reps")
    assert (tmp_path / "reps" / "reps.npy").read_bytes() == wanted


@pytest.mark.slow
def test_of_two_first_writers_one_is_first(store) -> None:
    place = open_storage(f"s3://{store.bucket}/out")
    won = []
    threads = [
        threading.Thread(target=lambda k=k: won.append(place.create("plan.json", b"%d" % k) and k))
        for k in range(1, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = filter(None, won)
    assert place.read("plan.json") == b"%d" % first


@pytest.mark.slow
def test_photos_in_tar_archives(album, network, wanted, tmp_path) -> None:
    pytest.importorskip("fsspec")
    with tarfile.open(tmp_path / "album.tar", "w") as tar:
        for path in sorted(album.glob("*/*.jpg"), reverse=True):
            tar.add(path, path.relative_to(album).as_posix())
            tar.add(album / "pairs.txt", path.relative_to(album).with_suffix(".cls").as_posix())
    embed(str(tmp_path / "album.tar"), tmp_path / "out", network, SETTINGS)
    merge(tmp_path / "out", tmp_path / "reps")
    assert (tmp_path / "reps" / "reps.npy").read_bytes() == wanted


@pytest.mark.slow
def test_several_archives_name_photos_below_themselves(album, network, tmp_path) -> None:
    pytest.importorskip("fsspec")
    photos = sorted(album.glob("*/*.jpg"))[:4]
    for number in (8, 9, 10):
        with tarfile.open(tmp_path / f"part-{number:02}.tar", "w") as tar:
            tar.add(photos[number % 4], "one.jpg")
    report = embed(str(tmp_path / "part-{08..10}.tar"), tmp_path / "out", network, SETTINGS)
    assert report.counts["aligned"] == 3
    merge(tmp_path / "out", tmp_path / "reps")
    assert (tmp_path / "reps" / "labels.csv").read_text().split() == [
        "1,part-08/one.png",
        "2,part-09/one.png",
        "3,part-10/one.png",
    ]
