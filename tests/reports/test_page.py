"""Pages: whole without anything else, safe with any name, and of any length."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from facetool.errors import ImageError
from facetool.images.read import RGBImage
from facetool.reports.page import Card, write_page


def red() -> RGBImage:
    image = np.zeros((100, 300, 3), np.uint8)
    image[..., 0] = 255
    return image


def missing() -> RGBImage:
    raise ImageError("gone")


class Tags(HTMLParser):
    """Which elements a page has, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def written(path: Path, *cards: Card) -> str:
    with write_page(path, "A title", "A note.") as page:
        page.table([("photos", "1,000")])
        page.contents(["One & two"])
        page.section("One & two", "Why.")
        page.group("A group")
        page.cards(cards)
    return path.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ann_Lee/Ann_Lee_0012.jpg", ["Ann_", "Lee/", "Ann_", "Lee_", "0012.", "jpg"]),
        ("clip.00h01m02.500s.face2.png", ["clip.", "00h01m02.500s.", "face2.", "png"]),
        ("0.1234, 12.5 to -3", ["0.1234, 12.5 to -3"]),
        ("pop-up-12.jpg", ["pop-", "up-", "12.", "jpg"]),
        ("a_<b>", ["a_", "&lt;b&gt;"]),
    ],
)
def test_names_break_after_separators_and_numbers_never(
    name: str, parts: list[str], tmp_path: Path
) -> None:
    page = written(tmp_path / "page.html", Card(image=red, title=name, lines=[name]))
    broken = "<wbr>".join(parts)
    assert f"<b>{broken}</b>{broken}</figcaption>" in page


def test_thumbnails_are_small_and_in_the_page(tmp_path: Path) -> None:
    page = written(
        tmp_path / "page.html", Card(image=red, title="red", edge=60), Card(image=missing)
    )
    (data,) = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', page)
    encoded = np.frombuffer(base64.b64decode(data), np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (20, 60, 3)
    assert image[10, 30, 2] > 240  # red, and OpenCV's order is BGR
    assert image[10, 30, 0] < 15
    assert "no image" in page


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    page = written(tmp_path / "page.html", Card(image=red))
    tags = Tags(page)
    assert "script" not in [tag for tag, _ in tags.found]
    addresses = [value for _, given in tags.found for key, value in given.items() if key == "src"]
    assert addresses
    assert all(value and value.startswith("data:") for value in addresses)
    (policy,) = [given["content"] for _, given in tags.found if "http-equiv" in given]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    links = [given["href"] for tag, given in tags.found if tag == "a"]
    assert [given["id"] for tag, given in tags.found if tag == "h2"] == [
        str(link).removeprefix("#") for link in links
    ]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onload='alert(1)",
        "a\nb\x1b[31m",
        "\udcff\u202e.jpg",
        "&amp;",
    ],
)
def test_names_are_text(name: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with write_page(path, name, name) as page:
        page.table([(name, name)])
        page.contents([name])
        page.section(name, name)
        page.cards([Card(image=red, title=name, lines=[name])])
    harmless = {"html", "meta", "title", "style", "h1", "h2", "p", "table", "tr", "td", "nav", "a"}
    harmless |= {"div", "figure", "img", "figcaption", "b", "footer", "wbr"}
    tags = Tags(path.read_text("utf-8"))
    assert {tag for tag, _ in tags.found} <= harmless
    attributes = {key for _, given in tags.found for key in given}
    assert not [key for key in attributes if key.startswith("on")]
    assert "\x1b" not in tags.text


def test_a_page_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with pytest.raises(ZeroDivisionError), write_page(path, "A title") as page:
        page.cards([Card(image=red)])
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
