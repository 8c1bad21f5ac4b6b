from math import comb

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from numsym.shares import Difference, Mean, Share, shares_by, spearman


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


def test_a_share_is_printed_with_its_interval():
    assert repr(Share.of_counts(1, 3)) == "Share(0.3333 [0.06149, 0.7923], n=3)"


def test_groups_add_up(generator):
    right, group = torch.rand(100, generator=generator) < 0.5, torch.randint(4, (100,), generator=generator)
    shares = shares_by(right, group)
    assert list(shares) == [0, 1, 2, 3]
    assert sum(share.value * share.n for share in shares.values()) == pytest.approx(right.sum().item())


def test_no_answers_are_no_evidence():
    share = Share.of(torch.empty(0, dtype=torch.bool))
    assert (share.low, share.high, share.n) == (0.0, 1.0, 0)


def test_a_paired_difference_covers_the_truth_as_often_as_it_says(generator):
    """Two answers that share a cause, 400 times over: the interval holds the true difference in about 95 %."""
    shared, own, n = 0.5, (0.9, 0.75), 150
    truth, held, widths = 0.5 * (own[0] - own[1]), 0, []
    for _ in range(400):
        easy = torch.rand(n, generator=generator) < shared
        first, second = (easy | (torch.rand(n, generator=generator) < p) for p in own)
        difference = Difference.of(first, second)
        held += difference.low <= truth <= difference.high
        widths.append(difference.high - difference.low)
        assert difference.value == pytest.approx((difference.only_first - difference.only_second) / n)
    assert 0.92 < held / 400 < 0.98
    independent = 2 * 1.96 * ((0.95 * 0.05 + 0.875 * 0.125) / n) ** 0.5
    assert sum(widths) / 400 < 1.1 * independent


def test_mcnemar_is_the_binomial_test():
    for one, other in ((0, 0), (3, 3), (1, 9), (25, 4)):
        first = torch.tensor([True] * one + [False] * other + [True])
        expected = min(1.0, 2 * sum(comb(one + other, i) for i in range(min(one, other) + 1)) / 2 ** (one + other))
        assert Difference.of(first, torch.cat([~first[:-1], first[-1:]])).p == pytest.approx(expected)


def test_the_same_answers_do_not_differ():
    right = torch.tensor([True, False, True, True])
    assert Difference.of(right, right).value == 0
    assert Difference.of(right, right).p == 1
    assert Difference.of(right[:0], right[:0]) is None


def test_rank_correlation_is_scipys_ties_included(generator):
    x = torch.randint(6, (40,), generator=generator)
    y = x + 2 * torch.randn(40, generator=generator)
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x.numpy(), y.numpy()).statistic)
    assert spearman(x, -(x**3)) == pytest.approx(-1)
    assert spearman(x, torch.ones(40)) is None


def test_joined_shares_are_the_share_of_all_answers(generator):
    right = torch.rand(90, generator=generator) < 0.7
    assert Share.joined(
        [Share.of(right[:20]), Share.of(right[20:50]), Share.of(right[50:]), Share.of(right[:0])]
    ) == Share.of(right)


def test_a_mean_has_students_interval_and_one_value_has_none():
    mean = Mean.of([0.7, 0.9, 0.8])
    assert (mean.value, mean.n) == (pytest.approx(0.8), 3)
    assert mean.high - 0.8 == pytest.approx(0.8 - mean.low) == pytest.approx(4.302652729749462 * 0.1 / 3**0.5)
    alone = Mean.of([0.5])
    assert alone.value == 0.5
    assert alone.low != alone.low


def test_of_several_shares_that_are_looked_at_each_has_a_wider_interval():
    """Bonferroni: each of twenty at 99.75 %, whose normal quantile is 3.0233."""
    wide = Share.of_counts(50, 100, among=20)
    z = 3.0233
    half = z * (0.25 / 100 + z**2 / (4 * 100**2)) ** 0.5 / (1 + z**2 / 100)
    assert (wide.low, wide.high) == (pytest.approx(0.5 - half, abs=1e-4), pytest.approx(0.5 + half, abs=1e-4))
    assert Share.of(torch.arange(100) < 50, among=20) == wide
