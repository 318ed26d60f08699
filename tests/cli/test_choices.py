"""Choices are stated once: what the command line offers is what the library takes."""

from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cli.main import COMMANDS
from facetool.cropping.face_cropper import FaceCropper
from facetool.detection import face
from facetool.detection.options import ONE_FACE, SELECTIONS
from facetool.embedding.choices import DEFAULT_BATCH_SIZE, ENGINES, FLIPS
from facetool.embedding.embedder import TORCH_DTYPES
from facetool.embedding.settings import RepresentSettings
from facetool.errors import UsageError
from facetool.evaluation import facenet
from facetool.evaluation.protocols import METRICS, PROTOCOLS
from facetool.files.align_description import ON_NO_FACE
from facetool.networks.dtypes import DTYPES, EMBEDDING_DTYPES
from facetool.pipeline.align import AlignSettings
from facetool.pipeline.classify_train import ClassifierSettings
from facetool.pipeline.search import SearchSettings
from facetool.profiling.pipeline_settings import PipelineSettings
from facetool.training.choices import OPTIMIZERS, SCHEDULES
from facetool.training.config import TrainConfig

CHOICES = {
    "--select": SELECTIONS,
    "--on-no-face": ON_NO_FACE,
    "--dtype": EMBEDDING_DTYPES,
    "--engine": ENGINES,
    "--protocol": PROTOCOLS,
    "--metric": METRICS,
    "--optimizer": OPTIMIZERS,
    "--schedule": SCHEDULES,
}
OTHERS = {("search", "--select"): ONE_FACE, ("train", "--dtype"): DTYPES}


DEFAULTS = {
    ("search", "--top"): SearchSettings.top,
    ("represent", "--batch-size"): RepresentSettings.batch_size,
    ("embed", "--batch-size"): RepresentSettings.batch_size,
    ("bin-eval", "--batch-size"): DEFAULT_BATCH_SIZE,
    ("profile", "--batch-size"): PipelineSettings.batch_size,
    ("classify", "--fpir"): ClassifierSettings.fpir,
}


def _command(name: str) -> click.Command:
    command = import_module(f"facetool.cli.{name.replace('-', '_')}").command
    assert isinstance(command, click.Command)
    return command


def _parameters(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _parameters(one)


def test_the_command_line_offers_what_the_library_takes() -> None:
    seen = set()
    for name in COMMANDS:
        for parameter in _parameters(_command(name)):
            for option in set(parameter.opts) & set(CHOICES):
                assert isinstance(parameter.type, click.Choice)
                known = OTHERS.get((name, option), CHOICES[option])
                if name == "profile" and option == "--dtype":  # of networks, of the pipeline
                    known = DTYPES if parameter.multiple else EMBEDDING_DTYPES
                assert tuple(parameter.type.choices) == known, (name, option)
                seen.add(option)
    assert seen == set(CHOICES)


@pytest.mark.parametrize(("name", "option"), DEFAULTS)
def test_the_command_line_has_the_defaults_of_the_library(name: str, option: str) -> None:
    found = {one.default for one in _parameters(_command(name)) if option in one.opts}
    assert found == {DEFAULTS[name, option]}


def test_names_and_what_they_stand_for_agree() -> None:
    assert tuple(face._SELECTIONS) == SELECTIONS
    assert tuple(facenet._METRICS) == METRICS
    assert tuple(TORCH_DTYPES) == DTYPES
    assert FLIPS == ("none", "sum", "concat")


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (lambda: AlignSettings(crop=DLIB_CHIP, select="biggest"), "select='biggest'"),
        (lambda: AlignSettings(crop=DLIB_CHIP, on_no_face="centre"), "on_no_face='centre'"),
        (lambda: FaceCropper(DLIB_CHIP, select="biggest"), "select='biggest'"),
        (lambda: TrainConfig(network="x", loss="softmax", steps=1, dtype="half"), "dtype='half'"),
    ],
)
def test_the_library_refuses_others_in_one_line(settings, given) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=f"^{given}: give one of ") as refused:
        settings()
    assert refused.value.settings == (given,)
