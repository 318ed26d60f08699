"""Fixtures shared by all tests."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# The test runner already keeps every core busy; threads of torch on top only get in the way.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector need not look at it over and over again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Commands set the garbage collector for their process; here it is that of all tests."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Commands take over SIGINT and SIGTERM for good; a later test may send them to itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden files of the original systems, or a skip that says why."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("FACETOOL_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no golden files: {folder} is not there (set FACETOOL_SHARED)")
    return folder


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, four photos each."""
    from facetool.sample.album import draw_album

    folder = tmp_path_factory.mktemp("album")
    draw_album(folder, people=6, images=4, seed=7)
    return folder


@pytest.fixture(scope="session")
def crops(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album's crops for the default network."""
    from facetool.alignment.recipes import DLIB_CHIP
    from facetool.pipeline.align import AlignSettings, align

    folder = tmp_path_factory.mktemp("crops")
    align(album, folder, AlignSettings(crop=DLIB_CHIP, on_no_face="center"))
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks too small for several threads take less time in one, and always sum in one order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
