"""Networks are recognised by their layers."""

from pathlib import Path

import pytest
import torch

from facetool.networks.registry import ARCHITECTURES, create
from facetool.weights.load import read_network
from facetool.weights.readers.recognize import POOLINGS, recognize


@pytest.mark.slow
def test_numbers_of_parameters_are_those_of_the_networks() -> None:
    for name, entry in ARCHITECTURES.items():
        with torch.device("meta"):
            network = create(name)
        assert sum(p.numel() for p in network.parameters()) == entry.parameters, name


@pytest.mark.parametrize("name", ["dlib-resnet", "nn2", "lresnet50e-ir", "mobilefacenet"])
def test_finds_its_own(name: str) -> None:
    with torch.device("meta"):
        found = recognize(create(name))
    assert found is not None
    assert found[0] == name


@pytest.mark.slow
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ["nn4.small2", "nn4.small1", "nn4", "nn2"])
def test_openface_poolings(name: str, pooling: str) -> None:
    with torch.device("meta"):
        assert recognize(create(name, pooling=pooling)) == (name, pooling)


@pytest.mark.parametrize(
    "change",
    [
        {"embedding_size": 64},
        {"units": (2, 2, 3, 1)},
        {"filters": (64, 64, 128, 256, 500)},
    ],
)
def test_others_are_not_taken_for_it(change: dict[str, object]) -> None:
    with torch.device("meta"):
        assert recognize(create("lresnet18e-ir", **change)) is None


def test_stride_counts() -> None:
    with torch.device("meta"):
        network = create("mobilefacenet-112x96")
    network.body[0].conv.stride = (1, 1)
    assert recognize(network) is None


@pytest.mark.parametrize(
    ("file", "architecture", "variant"),
    [
        ("torch7/nn4.small2.t7", "nn4.small2", "june2016"),
        ("torch7/nn4.small2.old2016.t7", "nn4.small2", "january2016"),
        ("mxnet/y1-0000.params", "mobilefacenet", ""),
        ("mxnet/y1_zoolike_spatial1.onnx", "mobilefacenet", ""),
        ("mxnet/tiny18-0000.params", "custom", ""),
        ("mxnet-backbones/m1tiny-0000.params", "custom", ""),
    ],
)
def test_foreign_files(file: str, architecture: str, variant: str, shared: Path) -> None:
    network = read_network(shared / "golden" / file)
    assert (network.info.architecture, network.info.variant) == (architecture, variant)
