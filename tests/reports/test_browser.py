"""A page of 10,000 thumbnails in a real browser: it shows, scrolls, and asks for nothing."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

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


def page_of(cards: int, path: Path) -> Path:
    with write_page(path, "Many") as written:
        written.cards(Card(image=face, title=f"{number}.png") for number in range(cards))
    return path


def test_ten_thousand_thumbnails_are_shown(tmp_path: Path) -> None:
    page, shot = page_of(10_000, tmp_path / "page.html"), tmp_path / "shot.png"
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


def test_ten_thousand_thumbnails_scroll_as_few_do(tmp_path: Path) -> None:
    """Of processor time, for a frame; a layout of all cards takes eleven times as much."""
    few, many = (
        scroll(page_of(cards, tmp_path / f"{cards}.html"), frames=30) for cards in (500, 10_000)
    )
    assert many < 5 * few


def scroll(page: Path, *, frames: int) -> float:
    """Seconds of the browser's main thread for each frame of a page that scrolls."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    driver = shutil.which("chromedriver")
    if not driver:
        pytest.skip("no chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*QUIET, "--window-size=1300,900"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=Service(driver)) as browser:
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(page.as_uri())
        before = seconds_of(browser)
        browser.execute_async_script(SCROLL, frames)
        assert browser.execute_script("return window.scrollY") == 150 * frames
        return (seconds_of(browser) - before) / frames


SCROLL = """
const [frames, done] = arguments;
let count = 0;
function step() {
  window.scrollBy(0, 150);
  if (++count < frames) requestAnimationFrame(step);
  else requestAnimationFrame(done);
}
requestAnimationFrame(step);
"""


def seconds_of(browser: Any) -> float:
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))
