import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """All of these train networks too small for several."""
