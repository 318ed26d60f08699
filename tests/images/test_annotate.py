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
