"""The page in a real browser: photos, names, the map, the webcam, and nobody else's address."""

import json
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facetool.images.read import decode_image, read_image
from facetool.sample.album import draw_image
from tests.server.running import Server, running

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.slow

EVIL = '<img src=x onerror="document.title=1">'
_QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream --window-size=1300,900"
)


@pytest.fixture(scope="module")
def server(classifier_file: Path) -> Iterator[Server]:
    with running("--jobs", "2", "--classifier", classifier_file) as server:
        yield server


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the webcam shows: two people, larger than in their photos."""
    photos = [cv2.resize(draw_image(7, person, 1)[0], (310, 310)) for person in (0, 1)]
    frame = np.full((480, 640, 3), 90, np.uint8)
    for number, photo in enumerate(photos):
        frame[85:395, 5 + 320 * number : 315 + 320 * number] = photo
    file = tmp_path_factory.mktemp("webcam") / "people.mjpeg"
    file.write_bytes(cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes() * 3)
    return file


@pytest.fixture
def page(server: Server, video: Path, tmp_path: Path) -> Iterator[Any]:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        *_QUIET.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--use-file-for-fake-video-capture={video}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options=options, service=Service(driver))
    try:
        page.get(server.url)
        wait(lambda: page.find_element(By.ID, "about").text)
        yield page
        messages = [entry["message"] for entry in page.get_log("browser")]
        assert not messages
        assert _addresses(page) == {f"127.0.0.1:{server.port}"}
    finally:
        page.quit()


def _addresses(page: Any) -> set[str]:
    """Hosts that the page asked for anything."""
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"].endswith("WillBeSent")]
    # The browser's own pages, and what pages make themselves, are on no network.
    urls = [url for url in sent if url.startswith(("http", "ws", "ftp"))]
    return {url.split("/")[2] for url in urls}


def wait(until: Callable[[], Any], seconds: float = 40) -> Any:
    """What it gives once that is something; elements may be replaced meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := until():
                return found
        except WebDriverException:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not come")


def find(page: Any, selector: str) -> list[Any]:
    return list(page.find_elements(By.CSS_SELECTOR, selector))


def texts(page: Any, selector: str) -> list[str]:
    return [element.text for element in find(page, selector)]


def shown(page: Any, element: str) -> bool:
    return bool(page.find_element(By.ID, element).is_displayed())


def add(page: Any, photos: list[Path]) -> None:
    before = len(find(page, ".strip button"))
    page.find_element(By.ID, "files").send_keys("\n".join(map(str, photos)))
    wait(lambda: len(find(page, ".strip button:not(.busy)")) == before + len(photos))


def enrol(page: Any, name: str) -> None:
    """Name the first face that is shown and has no name."""

    def click() -> bool:
        unnamed = [b for b in find(page, ".faces button") if b.text.startswith("Name this")]
        unnamed[0].click()
        return bool(page.find_element(By.ID, "naming").is_displayed())

    wait(click)
    field = page.find_element(By.ID, "name")
    field.clear()
    field.send_keys(name)
    field.submit()


def test_people_are_enrolled_and_known_in_other_photos(
    page: Any, album: Path, photos: list[Path]
) -> None:
    # The classifier names the album's people; others come from another album.
    assert "knows 6 people" in page.find_element(By.ID, "about").text
    add(page, photos[:2])
    person = photos[0].parent.name
    assert [text.split("\n")[0] for text in texts(page, ".faces button")] == [person]
    # A name given here goes before the classifier's, and is no markup.
    find(page, ".faces button")[0].click()
    field = page.find_element(By.ID, "name")
    assert field.get_attribute("value") == person
    field.clear()
    field.send_keys(EVIL)
    field.submit()
    wait(lambda: EVIL in texts(page, ".people b"))
    find(page, ".strip button")[0].click()
    wait(lambda: EVIL in texts(page, ".faces button")[0])  # the other photo of the same person
    assert page.title == "facetool" and not find(page, ".people img, .faces img")
    assert "PCA" not in page.find_element(By.ID, "method").text  # one face makes no map
    find(page, ".faces button")[0].click()
    page.find_element(By.ID, "name").submit()
    wait(lambda: "PCA of 2 faces" in page.find_element(By.ID, "method").text)
    assert page.find_element(By.ID, "map").is_displayed()
    colours = page.execute_script(
        "const c = document.getElementById('map');"
        "return new Set(new Uint32Array(c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert colours > 50  # two portraits
    button = find(page, ".people button")[0]
    page.execute_script("arguments[0].click()", button)
    wait(lambda: not find(page, ".people li"))
    assert not page.find_element(By.ID, "map").is_displayed()


def test_a_box_is_drawn_around_the_face_and_a_click_in_it_asks_who_it_is(
    page: Any, photos: list[Path]
) -> None:
    add(page, photos[:1])
    canvas = page.find_element(By.ID, "canvas")
    drawn = page.execute_script("return document.getElementById('canvas').toDataURL()")
    pixels = decode_image(b64decode(drawn.split(",")[1])).astype(int)
    edge = len(pixels)
    plain = cv2.resize(read_image(photos[0]), (edge, edge))
    rows, columns = np.nonzero(np.abs(pixels - plain).max(axis=2) > 60)
    assert 0.02 < len(rows) / edge**2 < 0.2
    middle = np.median(columns) / edge, np.median(rows) / edge
    size = canvas.size
    offset = [(m - 0.5) * size[side] for m, side in zip(middle, ("width", "height"), strict=True)]
    webdriver.ActionChains(page).move_to_element_with_offset(
        canvas, int(offset[0]), int(offset[1] + 0.08 * size["height"])
    ).click().perform()
    assert page.find_element(By.ID, "naming").is_displayed()
    page.find_element(By.ID, "cancel").click()
    assert not page.find_element(By.ID, "naming").is_displayed()


def test_strangers_are_unknown_until_they_are_enrolled(
    page: Any, photos: list[Path], tmp_path: Path
) -> None:
    files = []
    for image in range(4):
        files.append(tmp_path / f"stranger-{image}.png")
        pixels = draw_image(99, 3, image)[0]
        assert cv2.imwrite(str(files[-1]), pixels[:, :, ::-1])
    add(page, files)
    shown = []
    for button in range(4):
        find(page, ".strip button")[button].click()
        shown += [(button, text) for text in texts(page, ".faces button")]
    unnamed = [button for button, text in shown if text.startswith("Name this")]
    assert len(unnamed) >= 2
    find(page, ".strip button")[unnamed[0]].click()
    enrol(page, "Stranger")
    find(page, ".strip button")[unnamed[1]].click()
    assert texts(page, ".faces button")[0].startswith("Stranger")


def test_what_is_no_photo_is_said(page: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no photo")
    page.find_element(By.ID, "files").send_keys(str(tmp_path / "notes.png"))
    wait(lambda: "notes.png" in page.find_element(By.ID, "status").text)
    assert not find(page, ".strip button")


def test_people_are_known_in_front_of_the_webcam(page: Any, photos: list[Path]) -> None:
    page.find_element(By.ID, "webcam").click()
    wait(lambda: len(find(page, ".faces button")) == 2)
    known = {photo.parent.name for photo in photos}
    wait(lambda: {text.split("\n")[0] for text in texts(page, ".faces button")} <= known)
    # A name that is given stands there at once, and names go on coming under a pointer at rest.
    wait(lambda: find(page, ".faces button")[0].click() or shown(page, "naming"))
    field = page.find_element(By.ID, "name")
    field.clear()
    field.send_keys("Somebody")
    field.submit()
    wait(lambda: texts(page, ".faces button")[0].startswith("Somebody"))
    page.execute_script("document.querySelector('.faces button').title = 'old'")
    wait(lambda: not find(page, ".faces button[title=old]"))
    assert page.find_element(By.ID, "webcam").text == "Stop webcam"
    page.find_element(By.ID, "webcam").click()
    assert page.find_element(By.ID, "webcam").text == "Use webcam"


def test_the_interface_is_described_and_can_be_tried(
    page: Any, server: Server, photos: list[Path]
) -> None:
    page.get(server.url + "docs")
    wait(lambda: len(find(page, "details")) == 8)
    assert texts(page, "summary code") == [
        "/compare", "/detect", "/embed", "/identify", "/map", "/health", "/info", "/metrics"
    ]  # fmt: skip
    find(page, "summary")[0].click()
    for field in find(page, "details[open] input"):
        field.send_keys(str(photos[0]))
    find(page, "details[open] form button")[0].click()
    wait(lambda: '"same": true' in texts(page, "details[open] form + pre")[-1])
