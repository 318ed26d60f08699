import subprocess
import sys


def test_nobody_looks_for_garbage_in_pytorch() -> None:
    script = (
        "import gc, sys\n"
        "from facetool.cli.pytorch import import_pytorch\n"
        "gc.set_threshold(50_000)\n"
        "gc.callbacks.append(lambda phase, info: sys.exit('looked for garbage'))\n"
        "import_pytorch()\n"
        "print('torch' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "gc.callbacks.clear()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout == "True True True\n"
