"""What the tests of the weights' readers share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On networks this small, a second thread waits more than it works."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
