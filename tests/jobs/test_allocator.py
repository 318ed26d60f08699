import subprocess
import sys

import pytest

from facetool.jobs.allocator import keep_freed_memory

# In a process of its own, because the setting cannot be taken back.
PROGRAM = """
import resource
import numpy as np
from facetool.jobs.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(32 << 20, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

told = keep_freed_memory()
faults()
print(told, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    told, faults = run.stdout.split()
    if told == "False":
        pytest.skip("the C library has no such settings")
    assert int(faults) < 50


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
