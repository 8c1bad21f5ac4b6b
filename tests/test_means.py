import pytest
from scipy.stats import t

from numsym.means import Mean, t95


def test_t_is_scipys():
    for freedom in (*range(1, 40), 99):
        assert t95(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=1e-9)


def test_a_mean_has_students_interval_and_one_value_has_none():
    mean = Mean.of([0.7, 0.9, 0.8])
    assert (mean.value, mean.n) == (pytest.approx(0.8), 3)
    assert mean.high - 0.8 == pytest.approx(0.8 - mean.low) == pytest.approx(4.302652729749462 * 0.1 / 3**0.5)
    alone = Mean.of([0.5])
    assert alone.value == 0.5
    assert alone.low != alone.low
