"""``outliers`` on the command line."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_none_beyond_a_large_threshold(run: Run, eight_people: Path) -> None:
    done = run("outliers", eight_people, "--threshold", 100, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "0 of 32 images beyond 100" in run("outliers", eight_people, "--threshold", 100).stderr


def test_outliers_are_listed_farthest_first(run: Run, eight_people: Path) -> None:
    lines = run("outliers", eight_people, "--threshold", 0.1).stdout.splitlines()
    assert lines[0].split() == ["squared", "L2", "nearest", "to", "image"]
    distances = [float(line.split()[0]) for line in lines[1:]]
    assert distances and distances == sorted(distances, reverse=True)


def test_html_overwrites_no_photo(run: Run, eight_people: Path, tmp_path: Path) -> None:
    photo = tmp_path / "holiday.jpg"
    photo.write_bytes(b"a photo")
    done = run("outliers", eight_people, "--threshold", 0.1, "--html", photo)
    assert done.returncode == 2
    assert done.stderr == f"facetool: {photo}: the name of a page must end in .html\n"
    assert photo.read_bytes() == b"a photo"


def test_html_shows_the_outliers(run: Run, eight_people: Path, tmp_path: Path) -> None:
    page = tmp_path / "outliers.html"
    done = run("outliers", eight_people, "--threshold", 0.1, "--html", page)
    assert done.returncode == 0, done.stderr
    assert page.read_text("utf-8").count('class="bad"') == len(done.stdout.splitlines()) - 1


def test_faces_in_no_folder_are_named_so(run: Run, eight_people: Path) -> None:
    labels = eight_people / "labels.csv"
    lines = labels.read_text().splitlines()
    flat = [
        line.partition("/")[0].partition(",")[0] + ",a" + line.replace("/", "-").split(",")[1]
        for line in lines
    ]
    labels.write_text("\n".join(flat) + "\n")
    done = run("outliers", eight_people, "--threshold", 0.1)
    assert done.returncode == 0, done.stderr
    assert {line.split()[1:3] == ["no", "folder"] for line in done.stdout.splitlines()[1:]} == {
        True
    }
