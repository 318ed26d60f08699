import numpy as np
import pytest

from facetool.classification import fit


def test_folds_test_every_repeated_image_once_and_lose_nobody():
    labels = np.array([0] * 7 + [1] * 2 + [2] + [3] * 5 + [4] * 3)
    folds = fit.split_folds(labels)
    assert len(folds) == 5
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == [row for row in range(len(labels)) if labels[row] != 2]
    for train, test in folds:
        assert set(labels[train]) == {0, 1, 2, 3, 4}
        assert not set(train) & set(test) and len(train) + len(test) == len(labels)


def test_no_folds_where_nobody_has_two_images():
    assert fit.split_folds(np.arange(4)) == []


def test_folds_repeat_themselves():
    labels = np.repeat(np.arange(5), 4)
    for one, other in zip(fit.split_folds(labels), fit.split_folds(labels), strict=True):
        assert (one[1] == other[1]).all()


def test_class_means_of_unsorted_labels():
    vectors = np.array([[1.0, 0], [0, 2], [3, 0], [0, 4]])
    means = fit.class_means(vectors, np.array([1, 0, 1, 0]))
    np.testing.assert_array_equal(means, [[0, 3], [2, 0]])


def test_lda_parts_people_that_differ_in_one_direction_only():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 8)) * 10
    labels = np.repeat([0, 1, 2], 20)
    vectors[:, 5] = labels + 0.05 * rng.normal(size=60)
    lda = fit.fit_lda(vectors, labels, 1)
    reduced = lda(vectors)[:, 0]
    assert reduced.shape == (60,)
    assert abs(np.corrcoef(reduced, labels)[0, 1]) > 0.9
    assert fit.fit_lda(vectors, np.arange(60) // 2, 8).projection.shape == (8, 8)


def test_one_image_each(draw):
    vectors, labels = draw(6, 1)
    for kind, train in fit.FITTERS.items():
        scores = train(vectors, labels).scores(vectors)
        assert scores.shape == (6, 6), kind
        if kind != "decision-tree":
            assert (scores.argmax(axis=1) == labels).all(), kind


@pytest.mark.parametrize("length", [0.0, 1e-18, 1.0, 1e18])
@pytest.mark.parametrize("images", [1, 2, 5, 20])
@pytest.mark.parametrize("kind", fit.FITTERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_people_who_all_look_the_same(kind: str, images: int, length: float) -> None:
    """Such a classifier names nobody, but its file can be read again."""
    labels = np.repeat(np.arange(2), images)
    vectors = np.full((len(labels), 8), length)
    fit.FITTERS[kind](vectors, labels).check(8, 2)
