"""A network that gives NaN for a face: of a folder it fails by name, and nothing is compared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from facetool.classification.classifier_file import load_classifier
from facetool.embedding.embedder import NOT_FINITE, Embedder
from facetool.errors import UsageError, WeightsError
from facetool.files.embeddings import read_embeddings
from facetool.images.read import read_image
from facetool.images.verification_set import write_bin
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.align import AlignSettings
from facetool.pipeline.bin_eval import bin_eval
from facetool.pipeline.classify_infer import InferSettings, name_people
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.compare import compare
from facetool.pipeline.embed import EmbedSettings, embed
from facetool.pipeline.merge import merge
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import search
from facetool.weights.catalogue import crop_of
from facetool.weights.load import load_network
from tests.remarks import remarks

Spoil = Callable[[Callable[[Tensor], Tensor]], None]


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Makes the embeddings of chosen crops NaN."""
    embed_batch = Embedder._embed

    def spoil(choose: Callable[[Tensor], Tensor]) -> None:
        def spoiled(self: Embedder, pixels: Tensor) -> Tensor:
            found = embed_batch(self, pixels)
            found[choose(pixels)] = torch.nan
            return found

        monkeypatch.setattr(Embedder, "_embed", spoiled)

    return spoil


def like(crop: Path) -> Callable[[Tensor], Tensor]:
    total = int(read_image(crop).astype(np.int64).sum())
    return lambda pixels: pixels.long().sum(dim=(1, 2, 3)) == total


def test_one_crop_fails_by_name(
    crops: Path, network: EmbeddingNetwork, tmp_path: Path, spoil: Spoil
) -> None:
    one = min(crops.glob("*/*.png"))
    name = str(one.relative_to(crops))
    spoil(like(one))
    with remarks() as told:
        report = represent(crops, tmp_path / "reps", network, RepresentSettings())
    assert told == [f"{name}: {NOT_FINITE}"] and report.exit_code == 1
    found = read_embeddings(tmp_path / "reps")
    assert len(found.names) == 23 and name not in found.names
    assert np.isfinite(found.vectors).all()


def test_one_face_fails_by_name_in_one_pass(
    album: Path, crops: Path, network: EmbeddingNetwork, tmp_path: Path, spoil: Spoil
) -> None:
    pytest.importorskip("pyarrow")
    one = min(crops.glob("*/*.png"))
    spoil(like(one))
    settings = EmbedSettings(
        align=AlignSettings(crop=crop_of("dlib-resnet")), represent=RepresentSettings()
    )
    report = embed(album, tmp_path / "out", network, settings, jobs=1)
    ((photo, reason),) = report.failures
    assert reason == NOT_FINITE and (album / photo).is_file()
    merge(tmp_path / "out", tmp_path / "reps")
    found = read_embeddings(tmp_path / "reps")
    assert found.names and str(one.relative_to(crops)) not in found.names
    assert np.isfinite(found.vectors).all()


def test_one_image_of_a_verification_set_is_not_scored(
    crops: Path, network: EmbeddingNetwork, tmp_path: Path, spoil: Spoil
) -> None:
    files = sorted(crops.glob("*/*.png"))
    spoil(like(files[0]))
    images = [path.read_bytes() for path in files]
    same = np.arange(len(images) // 2) % 2 == 0
    with (tmp_path / "faces.bin").open("wb") as file:
        write_bin(file, images, same.tolist())
    with remarks() as told:
        result = bin_eval(
            [tmp_path / "faces.bin"], network, torch.device("cpu"), nfolds=2, any_crop=True
        )
    assert told == [f"faces image 0: {NOT_FINITE}"]
    (found,) = result.sets
    assert found["pairs"]["scored"] == len(same) - 1
    assert np.isfinite(found["xnorm"])


def test_where_all_are_it_ends_with_that_reason(
    album: Path, crops: Path, network: EmbeddingNetwork, tmp_path: Path, spoil: Spoil
) -> None:
    reps = tmp_path / "reps"
    represent(crops, reps, network, RepresentSettings())
    train_classifier(reps, tmp_path / "people", ClassifierSettings(kind="nearest-mean", fpir=0.5))
    classifier = load_classifier(tmp_path / "people")
    photos = sorted(album.glob("*/*.jpg"))[:2]
    spoil(lambda pixels: torch.ones(len(pixels), dtype=torch.bool))
    with pytest.raises(UsageError, match="can be represented"):
        represent(crops, tmp_path / "other", network, RepresentSettings())
    doomed: list[Callable[[], object]] = [
        lambda: compare(photos, network, threshold=None),
        lambda: search([reps], photos[:1], network),
        lambda: name_people(classifier, photos, network, InferSettings()),
    ]
    for run in doomed:
        with pytest.raises(WeightsError, match="weights are damaged or the precision is too low"):
            run()
