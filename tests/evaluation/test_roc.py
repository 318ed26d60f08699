import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from facetool.evaluation.roc import Curve, count, tar_at_far

RNG = np.random.default_rng(1)
SAME = RNG.random(500) < 0.4
# Rounded, so that there are ties within and between the two kinds.
DISTANCES = np.round(RNG.normal(1.5 - 0.8 * SAME, 0.5), 2)


def test_counts_one_threshold_at_a_time() -> None:
    thresholds = [-1, 0.5, 0.7, 0.70001, 1.1, 9]
    counts = count(DISTANCES, SAME, thresholds)
    for index, threshold in enumerate(thresholds):
        accepted = threshold > DISTANCES
        assert counts.true_positives[index] == (accepted & SAME).sum()
        assert counts.false_positives[index] == (accepted & ~SAME).sum()
        assert counts.accuracy[index] == (accepted == SAME).mean()
    assert counts.genuine + counts.impostors == 500


def test_equal_to_the_threshold_is_not_below() -> None:
    counts = count([0.5], np.array([True]), [0.5, np.nextafter(0.5, 1)])
    assert counts.true_positives.tolist() == [0, 1]


def test_no_pairs_of_a_kind() -> None:
    counts = count([0.5], np.array([True]), [0.0, 1.0])
    assert counts.fpr.tolist() == [0, 0] and counts.tpr.tolist() == [0, 1]
    assert not counts.has_curve


def test_exact_curve_and_area_are_scikit_learns() -> None:
    curve = Curve.exact(DISTANCES, SAME)
    fpr, tpr, _ = roc_curve(SAME, -DISTANCES, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-15)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-15)
    assert curve.auc == pytest.approx(roc_auc_score(SAME, -DISTANCES), abs=1e-12)


def test_area_of_a_curve_that_ends_early_goes_on_level() -> None:
    assert Curve(np.array([0, 0.5]), np.array([0, 0.8])).auc == pytest.approx(0.2 + 0.4)


def test_equal_error_rate() -> None:
    curve = Curve(np.array([0, 0.1, 0.3, 1]), np.array([0, 0.6, 0.9, 1]))
    # Between (0.1, 0.6) and (0.3, 0.9): fpr = 0.1 + 0.2 s, 1 - tpr = 0.4 - 0.3 s, s = 0.6.
    assert curve.eer == pytest.approx(0.22)
    assert Curve(np.array([0, 1]), np.array([0, 1])).eer == pytest.approx(0.5)
    assert Curve(np.array([0.0, 0, 1]), np.array([0.0, 1, 1])).eer == 0
    # The last rate goes on level to where the two meet.
    assert Curve(np.array([0, 0.1, 0.2]), np.array([0, 0.3, 0.6])).eer == pytest.approx(0.4)
    exact = Curve.exact(DISTANCES, SAME)
    assert 1 - exact.at(exact.eer) == pytest.approx(exact.eer, abs=1e-12)


def test_points_in_any_order() -> None:
    curve = Curve.through([1, 0, 0.5, 0.5], [1, 0, 0.9, 0.7])
    assert curve.fpr.tolist() == [0, 0.5, 0.5, 1] and curve.tpr.tolist() == [0, 0.7, 0.9, 1]
    assert curve.at(0.5) == 0.9 and curve.at(0.25) == 0.35


@pytest.mark.parametrize("target", [0, 0.001, 0.01, 0.1, 0.29, 0.5])
def test_tar_at_far_is_the_best_of_all_thresholds(target: float) -> None:
    rate = tar_at_far(DISTANCES, SAME, target)
    genuine, impostors = DISTANCES[SAME], DISTANCES[~SAME]
    allowed = [t for t in np.unique(DISTANCES) if (impostors < t).mean() <= target]
    best = max((genuine < t).mean() for t in allowed)
    assert rate.tar == best == rate.genuine_accepted / rate.genuine
    assert rate.far == rate.impostors_accepted / rate.impostors <= target
    assert (genuine < rate.threshold).mean() == best
    assert rate.tar_std is None
    assert rate.measurable == (target >= 1 / len(impostors))


def test_a_thousandth_of_lfws_impostors_is_three() -> None:
    same = np.repeat([True, False], 3000)
    rate = tar_at_far(np.arange(6000)[::-1], same, 1e-3)
    assert rate.impostors_accepted == 3 and rate.measurable
