"""Crops of imaginary people that a tiny network can tell apart within seconds."""

from pathlib import Path

import cv2
import numpy as np


def draw_people(folder: Path, people: int, images: int, size: int = 112, seed: int = 0) -> Path:
    """Write ``folder/<person>/<person>_NNNN.png``.

    Each person is a pattern of brightness; colour, contrast, the light's direction and noise
    differ from image to image and say nothing.
    """
    random = np.random.default_rng(seed)
    slope = np.linspace(-1, 1, size)
    for number in range(people):
        name = f"P{number:02d}"
        (folder / name).mkdir(parents=True)
        pattern = random.choice([-1.0, 1.0], (5, 5))
        for image in range(1, images + 1):
            large = cv2.resize(pattern, (size + 8, size + 8), interpolation=cv2.INTER_CUBIC)
            x, y = random.integers(0, 8, 2)
            face = large[y : y + size, x : x + size, None] * random.uniform(20, 60)
            light = slope[:, None, None] * random.uniform(-50, 50, 3)
            light = light + slope[:, None] * random.uniform(-50, 50, 3)
            pixels = 128 + random.uniform(-60, 60, 3) + face + light
            pixels = pixels + random.normal(0, 15, pixels.shape)
            path = folder / name / f"{name}_{image:04d}.png"
            assert cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8))
    return folder


def write_pairs(path: Path, people: int, images: int, seed: int = 0) -> Path:
    """Write LFW-style pairs in two folds over the people of ``draw_people``."""
    random = np.random.default_rng(seed)
    per_kind = 2 * people
    lines = [f"2\t{per_kind}"]
    for _ in range(2):
        for number in range(per_kind):
            a, b = random.choice(images, 2, replace=False) + 1
            lines.append(f"P{number % people:02d}\t{a}\t{b}")
        for _ in range(per_kind):
            p, q = random.choice(people, 2, replace=False)
            a, b = random.integers(1, images + 1, 2)
            lines.append(f"P{p:02d}\t{a}\tP{q:02d}\t{b}")
    path.write_text("\n".join(lines) + "\n")
    return path
