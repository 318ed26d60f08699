"""OpenFace's two classification experiments on a represent folder of LFW.

As OpenFace's ``lfw-classification.py``: the people with the most images, at most 20 images of
each, ten random splits into nine tenths for training and one tenth for testing. In the second
experiment everybody else is a stranger.
"""

import csv
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from facetool.classification.classifier import train
from facetool.classification.fit import FITTERS
from facetool.embedding.people import People, read_people
from facetool.files.atomic import atomic_write

PEOPLE = (10, 25, 50, 100)
IMAGES = 20
SPLITS = 10
KINDS = [kind for kind in FITTERS if kind != "grid-search-svm"]
FPIR = 0.01
STRANGERS = 2000

FIGURES = {
    "accuracy": "Accuracy (closed set)",
    "train_seconds": "Training, seconds",
    "predict_milliseconds": "Prediction, milliseconds per face",
    "found": "Known faces found (DIR)",
    "strangers_named": "Strangers named (FPIR)",
}


def choose(people: People, number: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Rows of the people with the most images, at most ``IMAGES`` of each; rows of strangers."""
    counts = np.bincount(people.labels)
    chosen = np.argsort(-counts, kind="stable")[:number]
    rows = [np.flatnonzero(people.labels == one)[:IMAGES] for one in chosen]
    others = np.flatnonzero(~np.isin(people.labels, chosen))
    return rows, rng.permutation(others)[:STRANGERS]


def run(people: People, kind: str, number: int) -> dict[str, Any]:
    """Mean and standard deviation of every figure over the splits."""
    rng = np.random.default_rng(0)
    measured = defaultdict(list)
    for _ in range(SPLITS):
        of_people, strangers = choose(people, number, rng)
        shuffled = [rng.permutation(rows) for rows in of_people]
        tenth = [max(1, len(rows) // 10) for rows in shuffled]
        test = np.concatenate([rows[:n] for rows, n in zip(shuffled, tenth, strict=True)])
        training = np.concatenate([rows[n:] for rows, n in zip(shuffled, tenth, strict=True)])
        names, labels = np.unique(people.labels[training], return_inverse=True)
        vectors = people.vectors[training]
        started = time.perf_counter()
        # Training alone is timed; cross-validation and calibration come on top of it.
        FITTERS[kind](people.prepared()[training], labels)
        measured["train_seconds"].append(time.perf_counter() - started)
        made = train(vectors, labels, [str(n) for n in names], people.source, kind, fpir=FPIR)
        started = time.perf_counter()
        answers = made.answer(people.vectors[test])
        elapsed = time.perf_counter() - started
        measured["predict_milliseconds"].append(1000 * elapsed / len(test))
        right = names[answers.best] == people.labels[test]
        measured["accuracy"].append(right.mean())
        measured["found"].append((right & answers.known).mean())
        measured["strangers_named"].append(made.answer(people.vectors[strangers]).known.mean())
    row: dict[str, Any] = {"classifier": kind, "people": number}
    for figure in FIGURES:
        row[figure] = float(np.mean(measured[figure]))
        row[f"{figure}_std"] = float(np.std(measured[figure]))
    return row


def draw(rows: list[dict[str, Any]], figure: str, path: Path) -> None:
    """One figure against the number of people, a line per classifier."""
    picture = Figure(figsize=(6.5, 4), layout="constrained")
    axes = picture.subplots()
    for kind in KINDS:
        own = [row for row in rows if row["classifier"] == kind]
        axes.errorbar(
            [row["people"] for row in own],
            [row[figure] for row in own],
            [row[f"{figure}_std"] for row in own],
            marker="o",
            markersize=3,
            linewidth=1,
            capsize=2,
            label=kind,
        )
    if "seconds" in figure:
        axes.set_yscale("log")
    if figure == "strangers_named":
        axes.axhline(FPIR, color="black", linewidth=0.8, linestyle=":", label="asked for")
    axes.set(xlabel="People", ylabel=FIGURES[figure], xticks=PEOPLE)
    axes.grid(True, linewidth=0.4)
    picture.legend(loc="outside right upper", fontsize=8, frameon=False)
    with atomic_write(path) as file:
        picture.savefig(file, format="png", dpi=150)


def main() -> None:
    """Run both experiments and write ``classify.csv`` and a picture per figure."""
    reps, output = map(Path, sys.argv[1:])
    people = read_people(reps)
    if len(people.names) < PEOPLE[-1]:
        sys.exit(f"{reps} has {len(people.names)} people; {PEOPLE[-1]} are needed")
    rows = []
    for number in PEOPLE:
        for kind in KINDS:
            rows.append(run(people, kind, number))
            shown = "  ".join(f"{figure} {rows[-1][figure]:.4f}" for figure in FIGURES)
            print(f"{number:>4} {kind:<20}{shown}", flush=True)
    with atomic_write(output / "classify.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for figure in FIGURES:
        draw(rows, figure, output / f"{figure.replace('_', '-')}.png")


if __name__ == "__main__":
    main()
