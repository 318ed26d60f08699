"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

# The test runner already keeps every core busy; threads of torch on top only get in the way.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden files of the original systems, or a skip that says why."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("FACETOOL_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no golden files: {folder} is not there (set FACETOOL_SHARED)")
    return folder
