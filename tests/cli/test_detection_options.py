"""The options of detectors: whose they are, and what becomes of them."""

import click
import pytest
from click.testing import CliRunner

from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.detection.options import DetectorOptions, MapOptions, MtcnnOptions, YunetOptions
from facetool.errors import UsageError


@click.command
@detection_options
@click.option("--dtype", default="float16")
def command(detection: DetectionRequest, dtype: str) -> DetectorOptions | None:
    """As commands that run a network of their own besides."""
    assert dtype == "float16"
    return detection.settings(detection.detector or "hog").options


def options_of(*arguments: str) -> DetectorOptions:
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception:
        raise result.exception
    made: DetectorOptions = result.return_value
    return made


def test_they_reach_their_detector() -> None:
    two = "--detector yunet --detector-dtype bfloat16 --min-score 0.9"
    assert options_of(*two.split()) == YunetOptions(dtype="bfloat16", min_score=0.9)
    assert options_of("--detector", "scrfd") == MapOptions()
    three = "--detector mtcnn --min-face-size 40 --thresholds 0.5 0.6 0.7"
    assert options_of(*three.split()) == MtcnnOptions(min_face_size=40, thresholds=(0.5, 0.6, 0.7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--detector-dtype", "bfloat16"),
            "--detector-dtype belongs to --detector scrfd or retinaface or yunet, not to hog",
        ),
        (
            ("--detector", "scrfd", "--scale-factor", "0.7"),
            "--scale-factor belongs to --detector mtcnn, not to scrfd",
        ),
    ],
)
def test_other_detectors_refuse_them(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        options_of(*arguments)


def test_upsample_is_only_warned_of() -> None:
    result = CliRunner().invoke(command, ["--detector", "scrfd", "--upsample", "2"])
    assert result.exit_code == 0
    assert result.stderr == "warning: --upsample does nothing with --detector scrfd\n"
