"""Faces wait for each other only while all cores are busy, and get their own embeddings."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

from facetool.server.batcher import BATCH_SIZE, MAX_WAIT, Batcher


class Network:
    """In the place of an embedder: the mean of each crop; 13 in the first pixel raises."""

    size = 1
    streams = 1

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.may_go_on.wait(10)
        self.passes.append(len(crops))
        if (crops[:, 0, 0, 0] == 13).any():
            raise ZeroDivisionError
        return crops.reshape(len(crops), -1).mean(axis=1, keepdims=True).astype(np.float32)


def crops(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None, None].repeat(3, axis=3)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def make_batcher(network: Network) -> Iterator[Callable[[int], Batcher]]:
    made: list[Batcher] = []

    def make(workers: int) -> Batcher:
        made.append(Batcher(network, workers))  # type: ignore[arg-type]
        return made[-1]

    yield make
    network.may_go_on.set()
    for batcher in made:
        batcher.close()


def test_each_gets_its_own(network: Network, make_batcher: Callable[[int], Batcher]) -> None:
    batcher = make_batcher(1)
    network.may_go_on.clear()
    first = batcher.submit(crops(1))
    while not first.running():
        time.sleep(0.001)
    others = [batcher.submit(crops(n, n + 1)) for n in range(20, 30)]
    none = batcher.submit(crops(7)[:0])
    network.may_go_on.set()
    assert first.result(10).tolist() == [[1]]
    assert [f.result(10).tolist() for f in others] == [[[n], [n + 1]] for n in range(20, 30)]
    assert none.result(10).shape == (0, 1)
    assert network.passes == [1, 20]


def test_a_lone_face_does_not_wait(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    batcher = make_batcher(2)
    with batcher.coming():  # one core is idle
        begun = time.monotonic()
        batcher.submit(crops(1)).result(10)
        assert time.monotonic() - begun < MAX_WAIT


def test_faces_wait_while_all_cores_are_busy(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    batcher = make_batcher(2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(batcher.coming())
        begun = time.monotonic()
        futures = [batcher.submit(crops(n)) for n in range(5)]
        for future in futures:
            future.result(10)
        assert time.monotonic() - begun >= MAX_WAIT
    assert network.passes == [5]


def test_a_full_batch_and_an_end_of_the_rush_go_at_once(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    batcher = make_batcher(1)
    with batcher.coming():
        many = [batcher.submit(crops(n + 20)) for n in range(BATCH_SIZE)]
        begun = time.monotonic()
        for future in many:
            future.result(10)
        assert time.monotonic() - begun < MAX_WAIT
        last = batcher.submit(crops(1))
    assert last.result(10).tolist() == [[1]]
    assert network.passes == [BATCH_SIZE, 1]


def test_a_photo_of_a_crowd_takes_several_passes(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    count = 2 * BATCH_SIZE + 5
    found = make_batcher(1).submit(crops(*range(20, 20 + count))).result(10)
    assert found[:, 0].tolist() == list(range(20, 20 + count))
    assert network.passes == [BATCH_SIZE, BATCH_SIZE, 5]


def test_an_error_reaches_those_of_its_batch_and_nobody_else(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    batcher = make_batcher(1)
    with pytest.raises(ZeroDivisionError):
        batcher.submit(crops(13)).result(10)
    assert batcher.submit(crops(5)).result(10).tolist() == [[5]]


def test_what_nobody_waits_for_is_not_computed(
    network: Network, make_batcher: Callable[[int], Batcher]
) -> None:
    batcher = make_batcher(1)
    network.may_go_on.clear()
    first = batcher.submit(crops(1))
    while not first.running():
        time.sleep(0.001)
    second, third = batcher.submit(crops(2)), batcher.submit(crops(3))
    assert second.cancel()
    network.may_go_on.set()
    assert first.result(10).tolist() == [[1]] and third.result(10).tolist() == [[3]]
    assert network.passes == [1, 1]
