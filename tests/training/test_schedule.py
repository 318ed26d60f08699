import pytest

from facetool.training.schedule import Schedule


def test_step_schedule_of_insightface_divides_by_ten_at_its_milestones():
    schedule = Schedule("step", 0.1, 200_000, milestones=(100_000, 140_000, 160_000))
    rates = [schedule.at(step) for step in (0, 99_999, 100_000, 140_000, 160_000, 199_999)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001, 0.0001])


def test_warmup_rises_linearly_to_the_base_and_joins_the_schedule():
    schedule = Schedule("cosine", 0.4, 110, warmup=10)
    assert [schedule.at(step) for step in (0, 4, 9)] == pytest.approx([0.04, 0.2, 0.4])
    assert schedule.at(10) == pytest.approx(0.4)


@pytest.mark.parametrize("kind", ["cosine", "polynomial"])
def test_falling_schedules_go_from_base_to_zero(kind):
    schedule = Schedule(kind, 0.1, 100)
    rates = [schedule.at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[100] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


def test_values_halfway():
    assert Schedule("cosine", 1.0, 100).at(50) == pytest.approx(0.5)
    assert Schedule("polynomial", 1.0, 100, power=2).at(50) == pytest.approx(0.25)
    assert Schedule("constant", 1.0, 100).at(99) == 1.0
