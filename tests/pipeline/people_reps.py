"""Represent folders of people who look the same in all of them."""

import json
from pathlib import Path

import numpy as np

PROVENANCE = {"network": "n", "weights": {"name": "n.v1", "sha256": "ab" * 32}, "flip": "none"}


def write_people(
    folder: Path, people: range, images: range, provenance: object = PROVENANCE
) -> Path:
    """A represent folder; person K looks the same in every folder."""
    folder.mkdir()
    names, rows = [], []
    for person in people:
        centre = np.random.default_rng(person).normal(size=32)
        for image in images:
            noise = np.random.default_rng(1000 * person + image).normal(size=32)
            row = centre + 0.5 * noise
            rows.append(row / np.linalg.norm(row))
            names.append(f"P{person:03d}/{image}.png")
    np.save(folder / "reps.npy", np.array(rows, np.float32))
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    if provenance:
        (folder / "represent.json").write_text(json.dumps(provenance))
    return folder
