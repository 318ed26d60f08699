import json
from pathlib import Path

import numpy as np
import pytest

DLIB = {"network": "dlib-resnet", "weights": {"name": "dlib-resnet.v1"}, "unit_length": False}


@pytest.fixture
def three_people(tmp_path: Path) -> Path:
    """Three people with four images each; one of B's is really C's. Their crops lie beside."""
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names, rows = [], []
    for number, person in enumerate("ABC"):
        for image in range(4):
            shown = 2 if (person, image) == ("B", 3) else number
            rows.append(np.eye(3)[shown] + 0.05 * rng.normal(size=3))
            names.append(f"{person}/{image}.png")
            crop = tmp_path / "crops" / names[-1]
            crop.parent.mkdir(parents=True, exist_ok=True)
            crop.write_text(names[-1])
    np.save(folder / "reps.npy", np.array(rows, np.float32))
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    provenance = {**DLIB, "input": str(tmp_path / "crops")}
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder
