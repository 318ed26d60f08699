"""A page of 10,000 thumbnails in a real browser: it shows, and asks for nothing."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from facetool.images.read import RGBImage, read_image
from facetool.reports.page import Card, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here"),
]


def face() -> RGBImage:
    image = np.zeros((112, 112, 3), np.uint8)
    image[..., 1] = 200
    return image


def test_ten_thousand_thumbnails_are_shown(tmp_path: Path) -> None:
    page, shot = tmp_path / "page.html", tmp_path / "shot.png"
    with write_page(page, "Many") as written:
        written.cards(Card(image=face, title=f"{number}.png") for number in range(10_000))
    done = subprocess.run(
        [
            *(str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}"),
            *("--window-size=1000,800", f"--screenshot={shot}", page.as_uri()),
        ],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pixels = read_image(shot).astype(int)
    green = (pixels[..., 1] > 180) & (pixels[..., 0] < 60)
    assert 0.2 < green.mean() < 0.8
