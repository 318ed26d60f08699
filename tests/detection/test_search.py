"""Photos scaled, framed and turned before a detector sees them; what it finds, in the photo."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP, OPENFACE_OUTER, override
from facetool.cropping.detectors import create_detector
from facetool.cropping.face_cropper import FaceCropper
from facetool.detection.face import Box, Face
from facetool.detection.options import DetectionSettings
from facetool.detection.search import TILTS, PhotoSearch, View, turned, upright_view
from facetool.errors import UsageError
from facetool.images.read import RGBImage
from facetool.sample.album import draw_image


class Finder:
    """Finds a white rectangle in a black photo; its first corner pixel is grey where upright."""

    def __init__(self, most: float = np.inf, least: float = 0) -> None:
        self.most, self.least = most, least
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        self.shapes += [image.shape[:2] for image in images]
        return [self._detect(image) for image in images]

    def _detect(self, image: RGBImage) -> list[Face]:
        rows, columns = np.nonzero(image[:, :, 0] > 100)
        if not len(rows):
            return []
        box = Box(*(int(edge) for edge in (columns.min(), rows.min(), columns.max(), rows.max())))
        width, height = box.right - box.left + 1, box.bottom - box.top + 1
        if not self.least <= width <= self.most or width > height:
            return []
        marked = image[int(box.top) + height // 8, int(box.left) + width // 8, 1]
        corners = [(box.left, box.top)] * 5
        return [Face(box, 1.0 if marked < 200 else 0.3, np.array(corners, dtype=np.float64))]


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> RGBImage:
    """A rectangle (left, top, right, bottom, the last two outside), its first eighth red."""
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    image[top : top + (bottom - top) // 4, left : left + (right - left) // 4, 1:] = 0
    return image


PHOTO = scene(200, 120, (80, 40, 112, 104))


def test_photos_are_found_as_they_are() -> None:
    finder = Finder()
    (faces,) = PhotoSearch(finder).detect([PHOTO])
    assert faces[0].box == (80, 40, 111, 103)
    assert finder.shapes == [(120, 200)]


def test_the_longer_side_is_scaled_down() -> None:
    finder = Finder()
    ((face,),) = PhotoSearch(finder, detect_at=100).detect([PHOTO])
    assert finder.shapes == [(60, 100)]
    assert face.box == (80, 40, 111, 103)
    assert face.landmarks is not None
    assert face.landmarks[0].tolist() == [80.5, 40.5]
    assert PhotoSearch(finder, detect_at=100).searched_size(PHOTO) is None


class Watcher:
    """Finds nothing, but keeps what it is shown."""

    def __init__(self) -> None:
        self.images: list[RGBImage] = []

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        self.images += images
        return [[] for _ in images]


@pytest.mark.parametrize("size", [(250, 250), (248, 250), (249, 250), (250, 125), (220, 166)])
def test_photos_are_scaled_down_as_by_opencv(size: tuple[int, int]) -> None:
    portrait, _ = draw_image(seed=1, person=1, image=0)
    photo: RGBImage = np.asarray(cv2.resize(portrait, size), dtype=np.uint8)
    watcher = Watcher()
    PhotoSearch(watcher, detect_at=60).detect([photo])
    seen = watcher.images[0]
    expected = cv2.resize(photo, seen.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert max(seen.shape) in (59, 60)
    assert np.abs(seen - expected.astype(float)).mean() < 0.5


def test_no_more_pixels_than_the_detector_bears() -> None:
    finder = Finder()
    search = PhotoSearch(finder, most_pixels=6_000)
    ((face,),) = search.detect([PHOTO])
    assert finder.shapes == [(60, 100)]
    assert face.box == (80, 40, 111, 103)
    assert search.searched_size(PHOTO) == (100, 60)
    assert search.searched_size(PHOTO[:10]) is None


def test_a_missed_face_is_searched_smaller_and_larger() -> None:
    finder = Finder(most=10)
    (faces,) = PhotoSearch(finder, detect_at=100).detect([PHOTO])
    assert finder.shapes == [(60, 100), (60, 100)]  # at half the size, with a border
    assert np.abs(np.subtract(faces[0].box, (80, 40, 111, 103))).max() <= 4
    finder = Finder(least=30)
    (faces,) = PhotoSearch(finder, detect_at=100).detect([PHOTO])
    assert finder.shapes == [(60, 100), (60, 100), (120, 200)]
    assert np.abs(np.subtract(faces[0].box, (80, 40, 111, 103))).max() <= 2
    finder = Finder(least=30)
    assert PhotoSearch(finder, most_pixels=6_000).detect([PHOTO]) == [[]]
    assert finder.shapes == [(60, 100)]


@pytest.mark.parametrize("turn", [90, 180, 270, *TILTS])
def test_a_view_leads_back_to_the_photo(turn: int) -> None:
    view = turned(View(PHOTO), turn)
    ((face,),) = Finder().detect([PHOTO])
    there = view.from_photo(face)
    assert there.turn == 0
    back = view.in_photo(there)
    assert back.turn == turn
    np.testing.assert_allclose(back.box, face.box, atol=0.01)
    assert face.landmarks is not None
    assert there.landmarks is not None
    x, y = there.landmarks[0]
    # The first corner of the rectangle is where the map says: dark red beside black.
    window = view.pixels[int(y) - 2 : int(y) + 4, int(x) - 2 : int(x) + 4]
    assert window[..., 0].max() > 150
    assert window[..., 1].min() == 0


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("rotate", ["if-missed", "always"])
def test_a_turned_photo(turn: int, rotate: str) -> None:
    lying = turned(View(PHOTO), 360 - turn).pixels
    ((face,),) = PhotoSearch(Finder(), rotate=rotate, sure=0.5).detect([lying])
    assert face.turn == turn
    assert face.score == 1.0
    expected = turned(View(PHOTO), 360 - turn).from_photo(Finder().detect([PHOTO])[0][0])
    np.testing.assert_allclose(face.box, expected.box, atol=0.01)
    # Its first corner, in the turned photo, is where the landmarks are.
    centre = np.asarray(face.box.center)
    assert face.landmarks is not None
    corner = face.landmarks[0] - centre
    signs = {90: (-1, 1), 180: (1, 1), 270: (1, -1)}[turn]
    assert tuple(np.sign(corner)) == signs


def test_photos_are_turned_only_where_asked() -> None:
    head_down = turned(View(PHOTO), 180).pixels
    ((face,),) = PhotoSearch(Finder()).detect([head_down])
    assert (face.turn, face.score) == (0, 0.3)
    ((face,),) = PhotoSearch(Finder(), rotate="if-missed").detect([head_down])
    assert face.turn == 0
    finder = Finder()
    ((face,),) = PhotoSearch(finder, rotate="if-missed").detect([PHOTO])
    assert (face.turn, len(finder.shapes)) == (0, 1)
    finder = Finder()
    ((face,),) = PhotoSearch(finder, rotate="always").detect([PHOTO])
    assert (face.turn, len(finder.shapes)) == (0, 4)


def test_settings_out_of_range() -> None:
    with pytest.raises(UsageError, match="rotate: give one of never, if-missed, always"):
        DetectionSettings(rotate="sometimes")
    with pytest.raises(UsageError, match="detect_at"):
        DetectionSettings(detect_at=-1)


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["hog", "mtcnn"])
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_crop_of_a_turned_photo_is_the_upright_one(detector: str, turn: int) -> None:
    portrait, _ = draw_image(seed=3, person=1, image=0)
    crop = override(OPENFACE_OUTER if detector == "mtcnn" else DLIB_CHIP, detector=detector)
    ((_, upright),) = FaceCropper(crop).crops(portrait)
    cropper = FaceCropper(crop, DetectionSettings(rotate="if-missed"))
    ((face, found),) = cropper.crops(turned(View(portrait), 360 - turn).pixels)
    assert face.turn == turn
    assert np.abs(np.subtract(found, upright, dtype=float)).mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["hog", "mtcnn"])
@pytest.mark.parametrize("tilt", [-45, 45])
def test_tilted_faces_are_cut_upright(detector: str, tilt: int) -> None:
    portrait, _ = draw_image(seed=3, person=1, image=0)
    crop = override(DLIB_CHIP, detector=detector)
    ((_, upright),) = FaceCropper(crop).crops(portrait)
    tilted = turned(View(portrait), tilt).pixels
    cropper = FaceCropper(crop, DetectionSettings(rotate="if-missed"))
    ((_, found),) = cropper.crops(tilted)
    similarity = cv2.matchTemplate(found, upright[15:-15, 15:-15], cv2.TM_CCOEFF_NORMED)
    assert similarity.max() > 0.8


def test_a_large_photo_is_found_at_another_size() -> None:
    portrait, _ = draw_image(seed=3, person=1, image=0)
    large = np.asarray(cv2.resize(portrait, (1000, 1000)), dtype=np.uint8)
    ((face,),) = create_detector("hog").detect([portrait])
    settings = DetectionSettings(detect_at=250)
    ((found,),) = create_detector("hog", settings).detect([large])
    np.testing.assert_allclose(found.box, np.multiply(face.box, 4), atol=24)


def test_the_surroundings_of_a_face_at_the_border() -> None:
    face = Face(Box(-5.0, -4.0, 20.0, 21.0), 1.0, turn=90)
    view = upright_view(PHOTO, face)
    assert min(view.pixels.shape[:2]) > 20
    box = view.from_photo(face).box
    assert box.right - box.left == pytest.approx(25)


class Scripted:
    """Finds in each image what it is told to, in turn."""

    def __init__(self, *found: list[Face]) -> None:
        self.found = list(found)

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        return [self.found.pop(0) for _ in images]


UPRIGHT = np.array([[45, 45], [55, 45], [50, 50], [46, 55], [54, 55]], dtype=np.float64)
"""Eyes, nose and mouth corners."""


def scored(score: float, points: np.ndarray = UPRIGHT) -> Face:
    return Face(Box(40, 40, 60, 60), score, points)


LYING = UPRIGHT[:, ::-1]
"""With its mouth to the right of its eyes, as MTCNN finds some upright faces."""


@pytest.mark.parametrize(
    ("found", "turn"),
    [
        ([[], [], []], None),
        ([[], [scored(0.7)], []], None),
        ([[], [scored(0.9)], [], []], 180),
        ([[], [scored(0.9)], [], [scored(0.85)]], 180),
        ([[], [scored(0.9)], [], [scored(0.95)]], None),
        ([[scored(0.9, LYING)], [], [scored(0.9, LYING)]], None),
    ],
)
def test_a_face_is_not_upright_where_turning_shows_a_clearer_one(
    found: list[list[Face]], turn: int | None
) -> None:
    search = PhotoSearch(Scripted(*found), sure=0.99)
    photo = np.zeros((100, 100, 3), np.uint8)
    better = search.better_turned(photo, scored(0.8))
    assert (better and better.turn) == turn
