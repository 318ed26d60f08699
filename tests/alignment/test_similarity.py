"""ArcFace's crop against scikit-image's similarity and OpenCV's warp."""

import cv2
import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from facetool.alignment.affine import affine_crop
from facetool.alignment.landmarks import arcface_points, openface_points
from facetool.alignment.similarity import arcface_template, similarity_crop, umeyama
from facetool.errors import ImageError, UsageError

# Of InsightFace's face_preprocess, for 112 rows by 96 columns and, 8 further right, for 112x112.
FIVE = np.array(
    [
        [30.2946, 51.6963],
        [65.5318, 51.5014],
        [48.0252, 71.7366],
        [33.5493, 92.3655],
        [62.7299, 92.2041],
    ]
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


def random_points(rng: np.random.Generator) -> np.ndarray:
    """A face of any size, turned by any angle, its points scattered."""
    angle = rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (FIVE - FIVE.mean(axis=0)) * rng.uniform(0.2, 4) @ turn
    return points + rng.uniform(20, 230, 2) + rng.normal(0, rng.uniform(0, 12), (5, 2))


def scikit_image(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    if hasattr(SimilarityTransform, "from_estimate"):
        found = SimilarityTransform.from_estimate(source, target)
    else:  # scikit-image 0.25, the last for Python 3.10
        found = SimilarityTransform()
        assert found.estimate(source, target)
    return np.asarray(found.params)[:2]


def test_the_template_is_insightfaces() -> None:
    wider = FIVE + np.array([8, 0])
    np.testing.assert_allclose(arcface_template(96, 112), FIVE)
    np.testing.assert_allclose(arcface_template(112, 112), wider)
    np.testing.assert_allclose(arcface_template(224, 224), 2 * wider)
    with pytest.raises(UsageError, match="96x112"):
        arcface_template(112, 96)


def test_the_similarity_is_scikit_images(rng: np.random.Generator) -> None:
    for _ in range(500):
        points = random_points(rng)
        for target in (arcface_template(112, 112), arcface_template(96, 112)):
            found, expected = umeyama(points, target), scikit_image(points, target)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_mirrored_face_is_turned_not_mirrored(rng: np.random.Generator) -> None:
    for _ in range(50):
        points = random_points(rng) * (-1, 1)
        found = umeyama(points, FIVE)
        np.testing.assert_allclose(found, scikit_image(points, FIVE), rtol=1e-9, atol=1e-9)
        assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize(("width", "height"), [(112, 112), (96, 112)])
def test_crops_are_opencvs(width: int, height: int, rng: np.random.Generator) -> None:
    noise = rng.integers(0, 256, (250, 250, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.uint8)
    unequal = 0
    for _ in range(200):
        points = random_points(rng)
        transform = scikit_image(points, arcface_template(width, height))
        expected = cv2.warpAffine(image, transform, (width, height), borderValue=0.0)
        found = similarity_crop(image, points, width, height)
        assert found.shape == (height, width, 3)
        assert np.abs(found.astype(int) - expected).max() <= 1
        unequal += np.count_nonzero(found != expected)
    assert unequal < 1e-5 * 200 * width * height * 3


def test_points_in_one_place_make_no_face() -> None:
    with pytest.raises(ImageError, match="coincide"):
        umeyama(np.full((5, 2), 7.0), FIVE)


def test_five_points_of_the_sixty_eight() -> None:
    points = np.arange(136, dtype=np.float64).reshape(68, 2)
    found = arcface_points(points)
    np.testing.assert_array_equal(found[0], points[36:42].mean(axis=0))
    np.testing.assert_array_equal(found[1], points[42:48].mean(axis=0))
    np.testing.assert_array_equal(found[2:], points[[30, 48, 54]])
    np.testing.assert_array_equal(arcface_points(points[:5]), points[:5])
    with pytest.raises(UsageError, match="not 7"):
        arcface_points(points[:7])


def test_openface_points_of_dlibs_five() -> None:
    points = np.arange(136, dtype=np.float64).reshape(68, 2)
    np.testing.assert_array_equal(openface_points(points, "outerEyesAndNose"), points[[36, 45, 33]])
    five = points[[45, 42, 36, 39, 33]]  # as dlib's 5-point predictor orders them
    np.testing.assert_array_equal(openface_points(five, "outerEyesAndNose"), points[[36, 45, 33]])
    with pytest.raises(UsageError, match="innerEyesAndBottomLip"):
        openface_points(five, "innerEyesAndBottomLip")
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    points = np.random.default_rng(1).uniform(20, 180, (68, 2))
    np.testing.assert_array_equal(
        affine_crop(image, points, "outerEyesAndNose", 96, 96),
        affine_crop(image, points[[45, 42, 36, 39, 33]], "outerEyesAndNose", 96, 96),
    )
