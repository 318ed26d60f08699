import subprocess
import sys
from pathlib import Path

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

IN_HUGE_PAGES = """
import re
import numpy as np
from facetool.jobs.allocator import keep_freed_memory

keep_freed_memory()
block = np.ones(3 << 20, np.uint8)
place = block.ctypes.data + block.nbytes // 2
for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", open("/proc/self/smaps").read(), flags=re.M)[1:]:
    start, end = (int(text, 16) for text in part.split()[0].split("-"))
    if start <= place < end:
        print(re.search("VmFlags:(.*)", part)[1].split().count("hg"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    told, faults = run.stdout.split()
    if told == "False":
        pytest.skip("the C library has no such settings")
    assert int(faults) < 50


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir(), reason="the system has no huge pages"
)
def test_blocks_lie_in_huge_pages() -> None:
    run = subprocess.run([sys.executable, "-c", IN_HUGE_PAGES], capture_output=True, text=True)
    assert run.stdout.strip() == "1", run.stderr


def test_a_limit_on_addresses_is_no_error() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
    program = limit + "from facetool.jobs.allocator import keep_freed_memory; keep_freed_memory()"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
