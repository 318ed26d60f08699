"""Plans and their lists of photos."""

import subprocess
import sys

import pytest

pytest.importorskip("pyarrow")

_COUNT_THREADS = """
import io, os
import pyarrow
from pyarrow import parquet
from facetool.files.embed_plan import open_parquet

written = io.BytesIO()
columns = {name: list(range(5000)) for name in "abcdefgh"}
parquet.write_table(pyarrow.table(columns), written)
before = len(os.listdir("/proc/self/task"))
file = open_parquet(written.getvalue(), page_checksum_verification=True)
assert file.read(["b"], use_threads=False).num_rows == 5000
assert file.read_row_group(0, use_threads=False).num_columns == 8
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_reading_starts_no_threads_that_could_outlive_python() -> None:
    """One that lets go of the file while Python ends aborts it: exit code 134."""
    command = [sys.executable, "-c", _COUNT_THREADS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
