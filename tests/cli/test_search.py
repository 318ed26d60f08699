"""``search`` on the command line."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run


@pytest.mark.slow
def test_faces_are_listed_with_what_the_threshold_means(
    run: Run, album: Path, crops: Path, tmp_path: Path
) -> None:
    reps = tmp_path / "reps"
    assert run("represent", crops, reps, "--quiet").returncode == 0
    photo = min(album.glob("*/*_0001.*"))
    done = run("search", reps, photo, "--top", 3, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    header, first, *_, last = done.stdout.splitlines()
    assert header.split()[:3] == ["squared", "L2", "cosine"]
    assert first.split()[0] == "0.0000" and first.endswith(str(photo)) and " same " in first
    assert "Among 23 faces" in last and "false accept rate" in last
    other = shutil.copytree(reps, tmp_path / "other")
    both = run("search", reps, photo, "--in", other, "--json", "--threshold", 0.001)
    found = json.loads(both.stdout)
    assert found["faces"] == 46 and len(found["matches"]) == 2
    assert found["threshold"]["data_set"] == "given" and found["fpir"] is None


def test_a_folder_of_another_program(run: Run, eight_people: Path, tmp_path: Path) -> None:
    done = run("search", eight_people, tmp_path / "a.jpg")
    assert done.returncode == 2
    assert "does not say which network it was made with; say it with --model NAME" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_a_folder_of_another_program_with_its_network(
    run: Run, album: Path, crops: Path, tmp_path: Path, kind: str
) -> None:
    """Embeddings and labels alone; what the network does not say, it says itself."""
    reps, other = tmp_path / "reps", tmp_path / "other"
    assert run("represent", crops, reps, "--quiet").returncode == 0
    other.mkdir()
    np.save(other / "reps.npy", np.load(reps / "reps.npy").astype(kind))
    shutil.copy(reps / "labels.csv", other)
    photo = min(album.glob("*/*_0001.*"))
    ours = json.loads(run("search", reps, photo, "--json", "--top", 1).stdout)
    told = [["--model", "dlib-resnet"], ["--model", "dlib-resnet.v1", "--device", "cpu"]]
    if find_spec("usearch"):
        told.append(["--model", "dlib-resnet", "--index"])
    for option in told:
        done = run("search", other, photo, "--json", "--top", 1, *option)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["threshold"] == ours["threshold"] and found["faces"] == ours["faces"] + 1
        assert found["matches"][0]["image"] == ours["matches"][0]["image"]
        assert found["matches"][0]["squared_l2"] == pytest.approx(0, abs=1e-5)
    same = run("search", reps, photo, "--json", "--top", 1, "--model", "dlib-resnet")
    assert json.loads(same.stdout) == ours
    wrong = run("search", other, photo, "--model", "mobilefacenet", "--weights", tmp_path / "no.pt")
    assert wrong.returncode == 2


def test_photos_without_a_face_are_said_to_be_so(run: Run, eight_people: Path) -> None:
    done = run("search", eight_people, "nope.jpg", "--model", "dlib-resnet")
    assert done.returncode == 2 and "was not made with this network: network n and" in done.stderr
    (eight_people / "represent.json").unlink()
    done = run("search", eight_people, "nope.jpg", "--model", "dlib-resnet")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("facetool: none of the photos has a face to search for; nope.jpg: ")


def test_a_recipe_that_is_none_is_said_of_the_folder(
    run: Run, eight_people: Path, tmp_path: Path
) -> None:
    reps = shutil.copytree(eight_people, tmp_path / "copy")
    for recipe in ({"crop": 7}, {"scale": 1}):
        description = {"network": "dlib-resnet", "recipe": recipe}
        (reps / "represent.json").write_text(json.dumps(description))
        done = run("search", reps, tmp_path / "a.jpg")
        assert done.returncode == 1
        assert done.stderr == (
            f"facetool: {reps} does not say rightly what its network takes; make it again with "
            "facetool represent\n"
        )
