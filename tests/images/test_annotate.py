import numpy as np

from facetool.images.annotate import Label, annotate


def test_boxes_and_text_stay_in_the_photo():
    image = np.zeros((200, 300, 3), np.uint8)
    before = image.copy()
    labels = [Label((50, 60, 120, 130), "Tony_Blair 98%"), Label((-20, -10, 40, 30), "unknown 50%")]
    drawn = annotate(image, [*labels, Label((280, 150, 320, 260), "Somebody with a long name")])
    assert (image == before).all() and drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (drawn[60:131, 50] == (255, 214, 0)).all()
    assert (drawn[62:129, 52:119] == 0).all()
    assert (drawn[45:58, 60:100] == (255, 214, 0)).any()  # above the box
    assert (drawn[32:40, 5:30] == (255, 214, 0)).any()  # below it, where there is no room
    text = np.argwhere((drawn[140:150] == (255, 214, 0)).all(axis=2))[:, 1]
    assert text.min() < 200 and text.max() <= 299


def test_no_labels():
    image = np.full((20, 20, 3), 7, np.uint8)
    assert (annotate(image, []) == image).all()


def test_a_box_needs_no_text() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    drawn = annotate(image, [Label((20, 20, 60, 60), "")])
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (20, 20, 60, 60)


def test_letters_stand_in_the_middle_of_their_ground():
    image = np.full((400, 600, 3), 255, np.uint8)
    for box in ((200, 150, 300, 250), (-60, 150, 20, 250), (590, 150, 640, 250)):
        drawn = annotate(image, [Label(box, "HxH")]).astype(int)
        ground = (drawn[:149] != 255).any(axis=2)  # above the box
        rows, columns = np.nonzero(ground)
        top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
        letters = np.argwhere(drawn[top : bottom + 1, left : right + 1].sum(axis=2) < 60)
        above, before = letters.min(axis=0)
        below, behind = (bottom - top, right - left) - letters.max(axis=0)
        assert abs(above - below) <= 1 and abs(before - behind) <= 1, box
        assert left >= 0 and right < 600


def test_lines_of_a_small_photo_are_one_pixel():
    drawn = annotate(np.zeros((100, 100, 3), np.uint8), [Label((20, 20, 60, 60), "")])
    assert drawn[40, 20].any() and not drawn[40, 21].any() and not drawn[40, 59].any()
