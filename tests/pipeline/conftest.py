"""An album drawn once, and its crops, for all tests of the stages."""

from pathlib import Path

import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.pipeline.align import AlignSettings, align
from facetool.sample.album import draw_album


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, four photos each."""
    folder = tmp_path_factory.mktemp("album")
    draw_album(folder, people=6, images=4, seed=7)
    return folder


@pytest.fixture(scope="session")
def crops(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album's crops for the default network."""
    folder = tmp_path_factory.mktemp("crops")
    align(album, folder, AlignSettings(DLIB_CHIP, on_no_face="center"))
    return folder
