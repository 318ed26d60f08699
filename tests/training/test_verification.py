"""Verification of a network in training."""

import cv2
import numpy as np
import pytest
import torch

from facetool.errors import FacetoolError, UsageError
from facetool.images.verification_set import write_bin
from facetool.networks.registry import create
from facetool.pipeline.bin_eval import bin_eval
from facetool.training.verification import (
    collect_pairs,
    pairs_from_bin,
    pairs_from_folder,
    verify_pairs,
)

CPU = torch.device("cpu")
PEOPLE, IMAGES = 5, 4


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    narrow = {"units": [1, 1, 1, 1], "filters": [16] * 5, "embedding_size": 16}
    network = create("lresnet18e-ir", **narrow)
    with torch.no_grad():
        network.train()(torch.rand(8, 3, 112, 112) * 255)  # statistics of some sort
    return network


@pytest.fixture()
def crops(tmp_path):
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        base = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        for image in range(1, IMAGES + 1):
            noise = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            small = cv2.addWeighted(base, 0.6, noise, 0.4, 0)
            path = tmp_path / "crops" / f"P{person}" / f"P{person}_{image:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), cv2.resize(small, (112, 112)))
    return tmp_path / "crops"


@pytest.fixture()
def pairs(tmp_path):
    """Ten folds of a genuine and an impostor pair."""
    lines = ["10\t1"]
    for fold in range(10):
        p, n = fold % PEOPLE, 1 + fold % (IMAGES - 1)
        lines += [f"P{p}\t{n}\t{n + 1}", f"P{p}\t{n}\tP{(p + 1) % PEOPLE}\t{n}"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "pairs.txt"


def _write_bin(path, found):
    sides = zip(found.first, found.second, strict=True)
    names = [found.images[row] for pair in sides for row in pair]
    with path.open("wb") as file:
        write_bin(
            file, [(path.parent / "crops" / n).read_bytes() for n in names], found.trials.same
        )
    return path


@pytest.mark.slow
def test_the_same_pairs_have_the_accuracy_that_bin_eval_gives(tmp_path, network, crops, pairs):
    from_folder = pairs_from_folder(pairs, crops)
    path = _write_bin(tmp_path / "set.bin", from_folder)
    from_bin = pairs_from_bin(path)
    accuracies = [
        verify_pairs(network, found, CPU, 1).accuracy for found in (from_folder, from_bin)
    ]
    result = bin_eval([path], network.eval(), CPU)
    assert accuracies == pytest.approx([result.sets[0]["flip"]["accuracy"]["mean"]] * 2)
    assert not network.training


def test_pairs_with_a_damaged_image_are_left_out(network, crops, pairs):
    found = pairs_from_folder(pairs, crops)
    whole = verify_pairs(network, found, CPU, 1)
    (crops / "P0" / "P0_0001.png").write_bytes(b"no image")
    outcome = verify_pairs(network, found, CPU, 1)
    counted = [
        sum(fold.counts.genuine + fold.counts.impostors for fold in one.folds if fold)
        for one in (whole, outcome)
    ]
    touching = sum("P0/P0_0001.png" in (found.images[a], found.images[b])
                   for a, b in zip(found.first, found.second, strict=True))  # fmt: skip
    assert touching > 0 and counted == [20, 20 - touching]


def test_embeddings_that_are_no_numbers_are_an_error(network, crops, pairs):
    broken = create("lresnet18e-ir", **network.info.options)
    with torch.no_grad():
        broken.head.pre_fc1.weight.fill_(float("nan"))
    with pytest.raises(FacetoolError, match="not finite"):
        verify_pairs(broken, pairs_from_folder(pairs, crops), CPU, 1)


def test_sets_are_told_apart_by_name(tmp_path, crops, pairs):
    assert [one.name for one in collect_pairs([], pairs, crops)] == ["pairs"]
    twin = _write_bin(tmp_path / "pairs.bin", pairs_from_folder(pairs, crops))
    with pytest.raises(UsageError, match="two verification sets have one name"):
        collect_pairs([twin], pairs, crops)
    with pytest.raises(UsageError, match="go together"):
        collect_pairs([], pairs, None)
