"""Every catalogue entry against its network."""

import re
import subprocess
import sys
from functools import cache
from math import prod

import pytest
import torch

from facetool.alignment import recipes
from facetool.alignment.stated_recipe import RECIPES
from facetool.errors import UsageError
from facetool.networks.registry import ARCHITECTURES, Architecture, create
from facetool.pipeline import models
from facetool.weights.catalogue import (
    CATALOGUE,
    Pretrained,
    crop_of,
    names,
    of_architecture,
    resolve,
)

ENTRIES = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
BYTES = {"float32": 4, "int8": 1}
MARGIN = 0.01
"""A file holds its network's tensors and at most this part of their size besides."""


@cache
def tensor_numbers(name: str) -> int:
    with torch.device("meta"):
        network = create(name)
    return sum(
        prod(tensor.shape)
        for key, tensor in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    )


@ENTRIES
def test_names(entry: Pretrained) -> None:
    assert entry.name == f"{entry.architecture}.{entry.tag}"
    assert entry.name == entry.name.lower()
    assert entry.name not in ARCHITECTURES
    assert resolve(entry.name) is entry
    assert resolve(entry.name.upper()) is entry
    assert entry in of_architecture(entry.architecture)


@pytest.mark.slow
@ENTRIES
def test_builds_with_its_options(entry: Pretrained) -> None:
    with torch.device("meta"):
        network = create(entry.architecture, **entry.options)
    crop = crop_of(entry.name)
    assert crop in vars(recipes).values()
    channels = network.recipe.shape[0]
    x = torch.empty(2, channels, crop.height, crop.width, device="meta")
    assert network.eval()(x).shape == (2, network.info.embedding_size)
    assert crop == (entry.crop or network.recipe.crop)


@ENTRIES
def test_size_fits_the_network(entry: Pretrained) -> None:
    if entry.size is None:
        pytest.skip("no size is published")
    wanted = tensor_numbers(entry.architecture) * BYTES[entry.dtype]
    assert wanted * (1 - MARGIN) < entry.size < wanted * (1 + MARGIN)


@ENTRIES
def test_can_be_had_and_checked(entry: Pretrained) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}|", entry.md5)
    assert re.fullmatch(r"[0-9a-f]{64}|", entry.sha256)
    assert re.fullmatch(r"[0-9a-f]{64}|", entry.archive_sha256)
    assert all(url.startswith("https://") for url in (entry.page, *entry.urls))
    assert bool(entry.urls) + bool(entry.package) + bool(entry.archive) <= 1
    by_hand = not (entry.urls or entry.package or entry.archive)
    assert not by_hand or entry.notes  # what a user should know
    assert entry.licence
    for accuracy in entry.accuracies:
        assert 0.5 < accuracy.value < 1
        assert accuracy.source


def test_files_and_checksums_are_not_shared() -> None:
    for attribute in ("file", "md5", "sha256", "archive_sha256"):
        values = [getattr(entry, attribute) for entry in CATALOGUE.values()]
        values = [value for value in values if value]
        assert len(values) == len(set(values))


def test_published_openface_recipes() -> None:
    inner = {name for name in CATALOGUE if crop_of(name) == recipes.OPENFACE_INNER}
    assert inner == {"nn4.v1"}
    outer = {name for name in CATALOGUE if crop_of(name) == recipes.OPENFACE_OUTER}
    assert outer == {"nn4.v2", "nn4.small1.v1", "nn4.small2.v1", "nn4.small2.v1-pt"}
    january = {entry.name for entry in CATALOGUE.values() if "pooling" in entry.options}
    assert january == inner | outer


@pytest.mark.slow
def test_the_packs_of_insightface_scale_outside_the_network() -> None:
    for name in ("lresnet50e-ir.w600k", "mbf-deep.w600k"):
        recipe = models.network_info(name).info.recipe
        assert recipe == RECIPES["arcface"]
    assert models.network_info("lresnet50e-ir.ms1m-v1").info.recipe == RECIPES["arcface-inside"]


def test_architectures_resolve_with_their_dots() -> None:
    for name in ("nn4", "nn4.small2", "LResNet100E-IR"):
        entry = resolve(name)
        assert isinstance(entry, Architecture)
        assert entry.name == name.lower()
    assert crop_of("nn2").width == 224


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nn4.small2.v9", "nn4.small2.v1"),
        ("nn4.v9", "nn4.v2, nn4.v1"),
        ("dlib-resnt", "dlib-resnet"),
        ("nothing like it", "models list"),
    ],
)
def test_unknown_names_say_what_is_near(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(hint)) as caught:
        resolve(name)
    assert name in str(caught.value)


def test_all_names_once() -> None:
    assert len(names()) == len(set(names())) == len(ARCHITECTURES) + len(CATALOGUE)


def test_imports_nothing_heavy() -> None:
    code = (
        "import sys, facetool, facetool.weights.catalogue, facetool.weights.download;"
        "heavy = {'torch', 'dlib', 'onnx', 'cv2', 'numpy', 'tqdm'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "value", "std", "auc"),
    [
        ("nn4.v1", 0.7612, 0.0189, 0.853),
        ("nn4.v2", 0.9157, 0.0152, 0.966),
        ("nn4.small1.v1", 0.9210, 0.0160, 0.973),
        ("nn4.small2.v1", 0.9292, 0.0134, 0.973),
    ],
)
def test_openfaces_table_of_lfw(name: str, value: float, std: float, auc: float) -> None:
    (found,) = CATALOGUE[name].accuracies
    assert (found.data_set, found.value, found.std, found.auc) == ("LFW", value, std, auc)


@ENTRIES
def test_accuracies_are_shares(entry: Pretrained) -> None:
    for found in entry.accuracies:
        assert 0.5 < found.value < 1 and found.data_set
        assert found.std is None or 0 < found.std < 0.05
        assert found.auc is None or found.value < found.auc < 1
