"""OpenFace's crop against its mean face."""

import numpy as np
import pytest

from facetool.alignment.affine import affine_crop

# In pixels of a crop of 96x96: rows 36, 45, 33, 39, 42, 57 of OpenFace's mean.csv, less the lowest
# of all rows and divided by their spread.
PLACES = {
    "outerEyesAndNose": [(18.639, 16.249), (75.731, 15.184), (47.515, 49.387)],
    "innerEyesAndBottomLip": [(34.923, 17.083), (59.421, 16.586), (48.019, 72.059)],
}
ROWS = {"outerEyesAndNose": [36, 45, 33], "innerEyesAndBottomLip": [39, 42, 57]}


@pytest.mark.parametrize("landmarks", PLACES)
def test_landmarks_come_to_lie_where_openface_puts_them(landmarks: str) -> None:
    face = [(90.0, 100.0), (170.0, 120.0), (125.0, 190.0)]  # no mean face: width and height differ
    points = np.full((68, 2), 5.0)
    points[ROWS[landmarks]] = face
    rows, columns = np.mgrid[:260, :260]
    for (x, y), (left, top) in zip(face, PLACES[landmarks], strict=True):
        spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)
        photo = np.repeat(spot.astype(np.uint8)[..., None], 3, axis=2)
        crop = affine_crop(photo, points, landmarks, 96, 96)[..., 0].astype(float)
        high, wide = np.mgrid[:96, :96]
        found = (crop * wide).sum() / crop.sum(), (crop * high).sum() / crop.sum()
        np.testing.assert_allclose(found, (left, top), atol=0.05)
