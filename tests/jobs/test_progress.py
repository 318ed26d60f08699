"""Whoever listens hears of tasks and remarks; nobody else sees anything."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from facetool.jobs.progress import Progress, ProgressBar, follow, progress_bar
from facetool.jobs.report import Report


class Listener(Progress):
    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def bar(self, title: str, total: int | None, done: int, unit: str) -> ProgressBar:
        self.heard.append((title, total, done, unit))
        heard = self.heard

        class Bar(ProgressBar):
            def update(self, count: int = 1) -> None:
                heard.append((count,))

            def close(self) -> None:
                heard.append(("closed",))

        return Bar()

    def remark(self, name: str, text: str) -> None:
        self.heard.append((name, text))


def test_a_listener_hears_of_tasks_and_remarks() -> None:
    listener = Listener()
    with follow(listener):
        report = Report()
        with pytest.raises(KeyError), progress_bar("align", 3, 1) as bar:
            bar.update(2)
            report.failed("a.jpg", "no face")
            raise KeyError
    assert listener.heard == [("align", 3, 1, "img"), (2,), ("a.jpg", "no face"), ("closed",)]
    assert report.failures == [("a.jpg", "no face")]


def test_without_one_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with progress_bar("align", None) as bar:
        bar.update()
        bar.describe("x")
        report.failed("a.jpg", "no face")
        report.note("b.jpg", "truncated", "its end is missing")
    assert capfd.readouterr() == ("", "")
    assert str(report) == "1 failed (1 truncated)"


def test_a_report_tells_the_listener_it_was_made_for_from_any_thread() -> None:
    listener = Listener()
    with follow(listener):
        report = Report()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(report.failed, "a.jpg", "no face").result()
    assert listener.heard == [("a.jpg", "no face")]
