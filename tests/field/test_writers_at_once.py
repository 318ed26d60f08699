"""Several commands that write one file at the same time, and somebody who reads it meanwhile."""

import json
import multiprocessing
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facetool.classification.classifier_file import load_classifier
from facetool.errors import UsageError
from facetool.files.recordio import RecordFile, index_path, read_index
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.cluster import cluster
from facetool.pipeline.embed_plot import embed_plot
from facetool.pipeline.lfw_eval import lfw_eval
from facetool.pipeline.records_pack import pack

WRITERS = 5


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    """Twelve people with four faces each, and pairs of them."""
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 1, 16))
    vectors = (centres + 0.3 * rng.normal(size=(12, 4, 16))).reshape(48, 16)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "reps.npy", vectors.astype(np.float32))
    names = [
        f"P{person:02d}/P{person:02d}_{n + 1:04d}.png" for person in range(12) for n in range(4)
    ]
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    (folder / "represent.json").write_text(
        json.dumps({"network": "n", "weights": {"name": "n.v1", "sha256": "ab" * 32}})
    )
    lines = ["10\t1"]
    lines += [f"P{k:02d}\t1\t2\nP{k:02d}\t1\tP{k + 1:02d}\t1" for k in range(10)]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


def read_plot(path: Path) -> None:
    assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None


COMMANDS: dict[str, tuple[Callable[[Path, Path], object], dict[str, Callable[[Path], object]]]] = {
    "lfw-eval": (
        lambda reps, out: lfw_eval(reps, reps.parent / "pairs.txt", output=out),
        {"result.json": lambda path: json.loads(path.read_text()), "roc.png": read_plot},
    ),
    "classify train": (
        lambda reps, out: train_classifier(reps, out / "c", ClassifierSettings()),
        {"c": load_classifier},
    ),
    "classify evaluate": (
        lambda reps, out: evaluate_classifier(reps, output=out),
        {
            "classification.json": lambda path: json.loads(path.read_text()),
            "confusion.png": read_plot,
        },
    ),
    "cluster": (
        lambda reps, out: cluster(reps, 0.5, out / "groups.csv"),
        {"groups.csv": lambda path: _all_lines(path, 49)},
    ),
    "embed-plot": (lambda reps, out: embed_plot(reps, out / "map.png"), {"map.png": read_plot}),
}


def _all_lines(path: Path, number: int) -> None:
    assert path.read_text().count("\n") == number


def at_once(run: Callable[[int], object], meanwhile: Callable[[], object]) -> list[int]:
    """Exit codes of as many processes as there are writers, each of which runs this once."""

    def child(number: int) -> None:
        try:
            run(number)
        except UsageError:
            os._exit(2)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=child, args=(number,)) for number in range(WRITERS)]
    for process in children:
        process.start()
    while any(process.is_alive() for process in children):
        meanwhile()
        children[0].join(0.005)
    return sorted(process.exitcode or 0 for process in children)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_never_sees_half_of_a_result(name: str, reps: Path, tmp_path: Path) -> None:
    write, files = COMMANDS[name]
    out = tmp_path / "out"
    out.mkdir()

    def read() -> None:
        for file, check in files.items():
            if (out / file).exists():
                check(out / file)

    assert at_once(lambda _: write(reps, out), read) == [0] * WRITERS
    read()
    assert set(files) <= {path.name for path in out.iterdir()}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_one_of_several_packs_and_the_others_are_refused(tmp_path: Path) -> None:
    """Records and index are of one set, whichever that is."""
    rng = np.random.default_rng(0)
    for number in range(WRITERS):
        for image in range(20 + number):
            path = tmp_path / f"set{number}" / f"P{image % 5}" / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 255, (16, 16, 3), np.uint8))
    record = tmp_path / "out" / "train.rec"
    codes = at_once(lambda number: pack(tmp_path / f"set{number}", record), lambda: None)
    assert codes == [0] + [2] * (WRITERS - 1)
    images = len(record.with_suffix(".lst").read_text().splitlines())
    assert images in range(20, 20 + WRITERS)
    _, positions = read_index(index_path(record))
    assert sorted(positions.tolist()) == RecordFile(record).scan()[0]
    names = {path.name for path in record.parent.iterdir()}
    assert names == {"train.rec", "train.idx", "train.lst", "property"}
