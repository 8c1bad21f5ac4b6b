import numpy as np
import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import helix, period_power, residue, separability, shuffled, spectrum
from numsym.probes.inputs import check_embeddings, check_numbers, check_period, check_periods
from numsym.results import plain

PROBES = {
    "spectrum": spectrum,
    "period_power": lambda e, **k: period_power(e, 3, **k),
    "residue": lambda e, **k: residue(e, [3], 3, **k),
    "separability": lambda e, **k: separability(e, 3, **k),
    "helix": lambda e, **k: helix(e, [3, 5], **k),
}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([*range(29), 28], "numbers repeat"),
        ([1, 0, *range(2, 30)], "numbers are not ordered: row 1 holds 0 after 1"),
        ([*range(29), 30], "numbers miss some: 28 is followed by 30"),
        (range(29), "one integer for each of the 30"),
    ],
)
def test_every_probe_refuses_numbers_that_are_not_consecutive(probe, numbers, message):
    with pytest.raises(InvalidArgumentError, match=message):
        probe(torch.randn(30, 4), numbers=list(numbers))


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_every_probe_refuses_values_that_are_not_finite(probe, value):
    embeddings = torch.randn(30, 4)
    embeddings[7, 2] = value
    with pytest.raises(InvalidArgumentError, match=r"NaN or infinite values in 1 of 30 rows \(the first is row 7\)"):
        probe(embeddings)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_every_probe_refuses_constants_and_numbers_that_share_a_row(probe):
    with pytest.raises(InvalidArgumentError, match="the same for every number: there is nothing to measure"):
        probe(torch.full((30, 4), 0.1) * (1 + 1e-8 * torch.randn(30, 4)))
    table = torch.randn(7, 4)
    with pytest.raises(InvalidArgumentError, match="only 7 different rows for 30 numbers: numbers that share a row"):
        probe(table[torch.arange(30) % 7])


def test_several_numbers_may_have_one_count():
    assert torch.equal(check_embeddings(torch.tensor([[1.0], [1.0], [2.0], [2.0]])), torch.tensor([[1.0, 1, 2, 2]]).T)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_every_probe_takes_arrays_and_lists(probe):
    embeddings = torch.randn(30, 4)
    wide = np.random.default_rng(0).normal(size=(30, 4))
    for given, same in (
        (embeddings.numpy(), embeddings),
        (embeddings.tolist(), embeddings),
        (wide, torch.tensor(wide)),
    ):
        found, expected = probe(given), probe(same)
        assert plain(found) == plain(expected)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_numbers_may_start_anywhere(probe):
    assert probe(torch.randn(30, 4), numbers=torch.arange(17, 47)) is not None


def test_power_does_not_depend_on_where_the_numbers_start():
    embeddings = torch.randn(30, 4)
    moved = spectrum(embeddings, numbers=torch.arange(17, 47)).power
    torch.testing.assert_close(moved, spectrum(embeddings).power)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_and_double_stays(dtype):
    assert check_embeddings(torch.randn(5, 2).to(dtype)).dtype == torch.float32
    assert check_embeddings(torch.randn(5, 2).double()).dtype == torch.float64
    wide, narrow = torch.randn(40, 8), None
    narrow = wide.to(dtype)
    assert spectrum(narrow).power.dtype == torch.float32
    assert spectrum(wide.double()).power.dtype == torch.float64
    assert period_power(narrow, 5) == pytest.approx(period_power(narrow.float(), 5))


@pytest.mark.parametrize("bad", [torch.ones(5, 2, dtype=torch.int64), torch.randn(5), torch.randn(3, 2)])
def test_what_is_not_a_matrix_of_numbers_is_refused(bad):
    with pytest.raises(InvalidArgumentError, match="embeddings of shape"):
        check_embeddings(bad)


@pytest.mark.parametrize("bad", [None, "embeddings", [[1.0, 2.0], [3.0]], np.array([["a"]])])
def test_what_is_no_numbers_is_refused(bad):
    with pytest.raises(InvalidArgumentError, match=r"embeddings of type .* are not allowed"):
        check_embeddings(bad)


@pytest.mark.parametrize("period", [16, 1, 0, -3])
def test_a_period_lies_between_two_and_half_the_numbers(period):
    with pytest.raises(InvalidArgumentError, match=rf"T={period} is not allowed: a period is an integer of 2..15"):
        check_period(period, 31, parameter="T")
    with pytest.raises(InvalidArgumentError, match="half of the 31 numbers"):
        period_power(torch.randn(31, 2), period)
    assert check_period(15, 31) == 15


@pytest.mark.parametrize("periods", [(), (3, 3)])
def test_periods_are_one_or_more_and_different(periods):
    with pytest.raises(InvalidArgumentError, match="one or more different periods"):
        check_periods(periods, 30)


def test_shuffling_moves_every_row_and_keeps_them_all():
    embeddings = torch.arange(100.0)[:, None]
    moved = shuffled(embeddings)
    assert torch.equal(moved.sort(dim=0).values, embeddings)
    assert (moved == embeddings).float().mean() < 0.1
    assert torch.equal(moved, shuffled(embeddings.numpy()))


def test_the_first_number_comes_back():
    assert check_numbers(None, 4) == 0
    assert check_numbers(torch.tensor([5, 6, 7, 8]), 4) == 5
