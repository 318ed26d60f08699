"""The server as users and attackers meet it: over the network, in a process of its own."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.sample.album import draw_image
from tests.server.client import Answer, Request, upload
from tests.server.running import Server, running

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--jobs", "1") as server:
        yield server


@pytest.mark.slow
def test_without_the_extra_nothing_is_served() -> None:
    """In a process of its own: what is there without the packages is imported there, too."""
    script = (
        "import sys\n"
        "needed = ('starlette', 'uvicorn', 'python_multipart', 'prometheus_client')\n"
        "sys.modules.update(dict.fromkeys(needed))\n"
        "import facetool\n"
        "from facetool.server.run import ServerSettings, serve\n"
        "try:\n"
        "    serve(facetool.EmbeddingNetwork(), ServerSettings(port=0))\n"
        "except facetool.UsageError as error:\n"
        "    assert all(name in str(error) for name in needed), error\n"
        "    assert \"pip install 'facetool[serve]'\" in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.slow
def test_many_clients_at_once(server: Server, crops: Path) -> None:
    files = sorted(crops.rglob("*.png"))
    requests = [upload("/embed?aligned=true", image=file.read_bytes()) for file in files] * 4
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(server.call, requests))
    assert {answer.status for answer in answers} == {200}
    first = np.array([answer.json["faces"][0]["embedding"] for answer in answers[: len(files)]])
    last = np.array([answer.json["faces"][0]["embedding"] for answer in answers[-len(files) :]])
    assert np.abs(first - last).max() < 2e-6
    text = server.call(Request("GET", "/metrics")).body.decode()
    passes = float(re.findall(r"^facetool_batch_faces_count (.*)$", text, re.MULTILINE)[0])
    assert passes < len(requests)  # some went through the network together


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/page/../app.py",
        "/page/%2e%2e/%2e%2e/etc/passwd",
        "/page/..%2f..%2fapp.py",
        "//etc/passwd",
        "/page//etc/passwd",
        "/page/style.css%00.py",
        "/page/..\\app.py",
        "http://127.0.0.1/etc/passwd",
    ],
)
def test_no_path_leads_to_a_file(server: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.split(b" ")[1] in (b"404", b"400"), answer[:100]
    assert b"root:" not in answer and b"import " not in answer


@pytest.mark.parametrize(
    "data",
    [b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" * 99,
     b"POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 20_000],
    ids=["zeros", "no host", "version", "tls", "negative length", "headers"],
)  # fmt: skip
def test_what_is_no_http_is_refused(server: Server, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert not answer or answer.split(b" ")[1] in (b"400", b"421", b"431")
    assert server.call(Request("GET", "/health")).status == 200


def test_it_listens_on_this_machine_only_and_calls_nobody(
    server: Server, photos: list[Path]
) -> None:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("needs Linux's /proc")
    server.call(upload("/detect", image=photos[0].read_bytes()))
    processes = [server.process.pid, *_descendants(server.process.pid)]
    assert len(processes) > 1
    inodes = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").iterdir():
            try:
                inodes.add(str(file.readlink()))
            except OSError:
                continue
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6")]
    rows = [r.split() for t in tables if t.exists() for r in t.read_text().splitlines()[1:]]
    own = [row for row in rows if f"socket:[{row[9]}]" in inodes]
    assert own
    for row in own:
        assert row[1].startswith("0100007F:")  # 127.0.0.1
        assert row[2].startswith(("0100007F:", "00000000:0000"))


def _descendants(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_descendants(child)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_it_ends_when_told_to(number: int) -> None:
    with running("--jobs", "1") as server:
        children = _descendants(server.process.pid) if sys.platform == "linux" else []
        assert server.call(Request("GET", "/health")).status == 200
        code, errors = server.stop(number)
        assert (code, errors) == (0, "")
        deadline = time.monotonic() + 10  # the last of them ends when it sees the server gone
        while (left := [child for child in children if _runs(child)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        assert not left


REQUESTS = 4


@contextmanager
def busy() -> Iterator[tuple[Server, list[Future[Answer]]]]:
    """A server of one worker with work for many seconds, all of it begun."""
    pixels = np.concatenate([draw_image(0, n, 0)[0] for n in range(8)], axis=1)
    file = io.BytesIO()
    Image.fromarray(pixels.repeat(3, axis=0).repeat(3, axis=1)).save(file, "PNG")
    request = upload("/detect", image=file.getvalue())
    with (
        running("--jobs", "1", "--time-limit", 120) as server,
        ThreadPoolExecutor(REQUESTS) as pool,
    ):
        answers = [pool.submit(server.call, request) for _ in range(REQUESTS)]
        while _counted(server, "requests_in_progress") + sum(map(Future.done, answers)) < REQUESTS:
            time.sleep(0.05)
        assert not all(map(Future.done, answers))
        yield server, answers


def _counted(server: Server, name: str) -> float:
    text = server.call(Request("GET", "/metrics")).body.decode()
    return float(re.findall(rf"^facetool_{name} (.*)$", text, re.MULTILINE)[0])


@pytest.mark.slow
def test_what_is_in_progress_is_answered_before_it_ends() -> None:
    with busy() as (server, answers):
        assert server.stop() == (0, "")
        assert [answer.result().status for answer in answers] == [200] * REQUESTS


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_the_second_signal_ends_it_at_once(number: int) -> None:
    with busy() as (server, answers):
        server.process.send_signal(number)
        while _is_open(server):
            time.sleep(0.05)
        left = sum(not answer.done() for answer in answers)
        assert left
        assert server.stop(number) == (0, "")
        refused = [answer.result() for answer in answers if answer.result().status != 200]
        assert {answer.status for answer in refused} == {503}
        assert all(answer.reason.startswith("the server is ending") for answer in refused)
        assert 0 < len(refused) <= left  # some may just have been finished


def _is_open(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=10).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.slow
def test_workers_that_are_told_to_end_with_it_cost_no_error_of_the_servers() -> None:
    """As systemd does: SIGTERM to every process of the service."""
    if sys.platform != "linux":
        pytest.skip("needs Linux's /proc")
    with busy() as (server, answers):
        children = _descendants(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        while _is_open(server):
            time.sleep(0.05)
        for child in children:
            os.kill(child, signal.SIGTERM)
        assert server.stop()[0] == 0
        assert {answer.result().status for answer in answers} <= {200, 503}


def _runs(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    return status.exists() and "(zombie)" not in status.read_text()


@pytest.mark.slow
def test_a_server_for_others_warns() -> None:
    with running("--jobs", "1", "--host", "0.0.0.0", "--allow-host", "faces.test") as server:
        assert "warning: everybody who reaches 0.0.0.0" in server.said
        for host, status in (("faces.test", 200), ("127.0.0.1", 200), ("other.test", 421)):
            answer = server.call(Request("GET", "/health", {"host": host}))
            assert answer.status == status, host


@pytest.mark.slow
def test_a_taken_port_is_one_line(server: Server) -> None:
    command = [sys.executable, "-m", "facetool", "serve", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"port {server.port}" in done.stderr and "--port 0" in done.stderr
