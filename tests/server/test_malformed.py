"""Whatever is uploaded gets an answer with a reason, and the next client's photo is served."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.client import AppClient, upload
from tests.server.malformed import malformed

pytest.importorskip("starlette", reason="the extra serve is not installed")


@pytest.mark.parametrize(
    "count", [24, pytest.param(1000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_malformed_uploads_do_no_harm(client: AppClient, photos: list[Path], count: int) -> None:
    good = upload("/detect", image=photos[0].read_bytes())
    expected = client.send(good).json
    statuses: Counter[int] = Counter()
    for number, request in enumerate(malformed(count, photos[0].read_bytes())):
        answer = client.send(request)
        statuses[answer.status] += 1
        assert answer.status in (200, 400, 413, 415, 422), (number, request.path, answer)
        document = json.loads(answer.body)
        if answer.status != 200:
            assert document["error"]["reason"] and "\n" not in document["error"]["reason"]
            assert "Traceback" not in document["error"]["reason"]
        if number % 50 == 0:
            assert client.send(good).json == expected
    assert client.get("/health").json == {"status": "ok", "workers": 2}
    assert client.app._recognizer.workers.replaced == 0
    assert len(statuses) >= 4, statuses


def test_a_photo_that_ends_its_worker_costs_only_itself(
    make_client: Callable[..., AppClient], photos: list[Path]
) -> None:
    client = make_client(jobs=1)
    workers = client.app._recognizer.workers
    (worker,) = workers._started
    good = upload("/detect", image=photos[0].read_bytes())
    os.kill(worker.process.pid, signal.SIGKILL)
    answer = client.send(good)
    assert answer.status == 500 and "died" in answer.reason
    assert client.send(good).status == 200
    assert "facetool_workers_replaced 1.0" in client.get("/metrics").body.decode()
