from pathlib import Path

import pytest
from matplotlib.figure import Figure

from facetool.errors import UsageError
from facetool.plots.style import MAIN, check_name, plain, save_plot


def draw() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], color=MAIN, label=plain("$5"))
    return figure


@pytest.mark.slow
@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF")])
def test_equal_figures_make_equal_files(name: str, magic: bytes, tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        save_plot(draw(), tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0].startswith(magic) and files[0] == files[1]


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.png or \.pdf"):
        save_plot(draw(), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
    check_name(Path("a.PDF"))
    with pytest.raises(UsageError, match=r"\.png or \.pdf"):
        check_name(Path("a.gif"))


@pytest.mark.parametrize(("dpi", "width"), [(150, 300), (300, 600)])
def test_dots_per_inch(dpi: int, width: int, tmp_path: Path) -> None:
    save_plot(draw(), tmp_path / "a.png", dpi=dpi)
    assert int.from_bytes((tmp_path / "a.png").read_bytes()[16:20], "big") == width
