"""Programs that use the library in several threads, or fork once they have loaded it."""

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import nn

from facetool.cropping.detectors import create_detector
from facetool.detection.dlib import LandmarkPredictor
from facetool.detection.face import Box
from facetool.detection.options import DetectionSettings, DlibOptions
from facetool.embedding.embedder import Embedder
from facetool.images.read import RGBImage, read_image
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create

THREADS = 4
Result = TypeVar("Result")


def in_threads(call: Callable[[int], Result], times: int) -> list[Result]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, range(times)))


@pytest.fixture(scope="module")
def photos(album: Path) -> list[RGBImage]:
    return [read_image(path) for path in sorted(album.glob("*/*.jpg"))[:8]]


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create("mobilefacenet", embedding_size=8).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hog", "mtcnn"])
def test_a_detector_finds_what_it_finds_in_one(name: str, photos: list[RGBImage]) -> None:
    detector = create_detector(name)
    alone = [[face.box for face in detector.detect([photo])[0]] for photo in photos]
    for _ in range(3):
        found = in_threads(lambda number: detector.detect([photos[number]])[0], len(photos))
        assert [[face.box for face in faces] for faces in found] == alone


def test_a_detector_can_be_sent_to_other_processes(photos: list[RGBImage]) -> None:
    detector = create_detector("hog", DetectionSettings(options=DlibOptions(upsample=2)))
    copy = pickle.loads(pickle.dumps(detector))
    assert (
        copy.detect(photos[:1])
        == detector.detect(photos[:1])
        != create_detector("hog").detect(photos[:1])
    )


@pytest.mark.slow
def test_embedders_are_made_while_others_are_made_and_work(network: EmbeddingNetwork) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)
    ready = Embedder(network, "cpu")
    expected = ready.embed(crops)
    plain = nn.Sequential(nn.Linear(2, 2))

    def use(number: int) -> float:
        embedder = ready if number % 2 else Embedder(network, "cpu")
        plain(torch.zeros(1, 2))
        return float(np.abs(embedder.embed(crops) - expected).max())

    assert max(in_threads(use, 24)) < 1e-5
    assert nn.Module.__call__.__module__ == "torch.nn.modules.module"  # nothing stays in its place


@pytest.mark.skipif(sys.platform != "linux", reason="other systems start their processes anew")
def test_landmarks_are_found_in_a_fork_of_where_the_predictor_was_made(
    photos: list[RGBImage],
) -> None:
    """The thread that reads dlib's file is not in the fork."""
    box = Box(50, 50, 150, 150)
    expected = LandmarkPredictor(5).predict(photos[0], box)
    predictor = LandmarkPredictor(5)
    ours, theirs = multiprocessing.Pipe()

    def predict() -> None:
        theirs.send(predictor.predict(photos[0], box))

    process = multiprocessing.get_context("fork").Process(target=predict)
    process.start()
    answered = ours.poll(30)
    process.terminate()
    assert answered
    np.testing.assert_array_equal(ours.recv(), expected)
