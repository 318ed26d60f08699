import time

from facetool.jobs.stopwatch import Stopwatch


def test_stopwatch_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.time("a"):
            time.sleep(0.01)
    assert watch.seconds["a"] >= 0.02
    assert list(watch.seconds) == ["a"]
