"""``cluster`` on the command line."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_groups_are_written_and_counted(run: Run, eight_people: Path) -> None:
    done = run("cluster", eight_people, "--threshold", 0.5, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["groups"] == 8
    assert (eight_people / "groups.csv").is_file()
    done = run("cluster", eight_people, "--threshold", 0.5)
    assert done.stdout.splitlines() == [
        "32 faces in 8 groups (0 of one face, the largest of 4), squared L2 below 0.5",
        "pairwise precision 1.0000",
        "pairwise recall 1.0000",
    ]


def test_html_shows_the_groups(run: Run, eight_people: Path, tmp_path: Path) -> None:
    page = tmp_path / "groups.html"
    assert run("cluster", eight_people, "--threshold", 0.5, "--html", page).returncode == 0
    assert page.read_text("utf-8").count("<h3>Group") == 8
