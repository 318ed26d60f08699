"""The plots of ``profile``."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle

from facetool.plots.profile import network_figure, pipeline_figure
from facetool.plots.style import save_plot
from facetool.profiling.folder import PROFILE_STAGES
from tests.example_profiles import network_profiles, pipeline_profile


def test_pipeline() -> None:
    profile = pipeline_profile()
    (axes,) = pipeline_figure([profile]).axes
    assert len(axes.patches) == len(PROFILE_STAGES) * 2
    bars = [patch for patch in axes.patches[-2:] if isinstance(patch, Rectangle)]
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert ends[0] == pytest.approx(profile.photos[0].total.mean)
    assert ends[1] == pytest.approx(sum(profile.folders[0].milliseconds.values()))


def test_several_networks_beside_what_is_published(tmp_path: Path) -> None:
    profile = pipeline_profile()
    other = replace(profile, network="nn4.small2.v1")
    figure = pipeline_figure([profile, other], published=True)
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0].startswith("a.jpg, dlib-resnet.v1")
    assert labels[2].startswith("a.jpg, nn4.small2.v1")
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    widths = [bar.get_width() for bar in bars if bar.get_hatch()]
    assert widths == [2822, 1557, 1446, 884]
    assert [label.split("\n")[0] for label in labels[4:6]] == [
        "lennon-1, OpenFace 0.1.1 published",
        "lennon-1, OpenFace 0.2.0 published",
    ]
    save_plot(figure, tmp_path / "plot.png")


def test_networks(tmp_path: Path) -> None:
    profiles = network_profiles()
    times, rates = network_figure(profiles).axes
    assert len(times.patches) == len(rates.get_lines()) == 3
    assert (rates.get_xscale(), rates.get_yscale()) == ("log", "log")
    figure = network_figure(profiles, published=True)
    assert len(figure.axes[0].patches) == 6
    save_plot(figure, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
