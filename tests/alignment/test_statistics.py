import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numsym.alignment.statistics import Share, shares_by


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # The intervals of statsmodels' proportion_confint(method="wilson"), to six digits.
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (81, 263, 0.255289, 0.366210), (15, 148, 0.062386, 0.160487)],
)
def test_wilson_intervals_equal_published_ones(right, n, low, high):
    share = Share.of(torch.arange(n) < right)
    assert share.value == pytest.approx(right / n)
    assert (share.low, share.high) == (pytest.approx(low, abs=2e-6), pytest.approx(high, abs=2e-6))


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_the_interval_holds_the_share_inside_0_and_1(answers):
    share = Share.of(torch.tensor(answers))
    assert 0 <= share.low <= share.value + 1e-12
    assert share.value - 1e-12 <= share.high <= 1
    assert share.n == len(answers)


def test_groups_add_up(generator):
    right, group = torch.rand(100, generator=generator) < 0.5, torch.randint(4, (100,), generator=generator)
    shares = shares_by(right, group)
    assert list(shares) == [0, 1, 2, 3]
    assert sum(share.value * share.n for share in shares.values()) == pytest.approx(right.sum().item())


def test_no_answers_are_no_evidence():
    share = Share.of(torch.empty(0, dtype=torch.bool))
    assert (share.low, share.high, share.n) == (0.0, 1.0, 0)
