import math

import pytest
import torch

from numsym.probes import separability, shuffled
from numsym.results import Mean
from numsym.studies.fourier.verdicts import BELIEVE, FREQUENT, NOTHING, SPIKE, SPREAD, Period, periods_of, verdict

CHANCE = Mean(0.0, -5.0, 5.0, 10)


def kappa(value):
    return Mean(value, value - 4, value + 4, 10)


def period(spike):
    return Period(spike, (1.0, 1.1, 1.2, 0.9), 1.0, 0.5, 2.0, {})


@pytest.mark.parametrize(
    ("own", "frequency", "spike", "believed", "word"),
    [
        (40.0, None, 4.0, {}, BELIEVE),
        (40.0, 5.0, 4.0, {}, BELIEVE),
        (40.0, 38.0, 4.0, {}, FREQUENT),
        (8.0, None, 4.0, {}, SPIKE),  # its interval begins below what shuffled numbers reach
        (8.0, None, 1.2, {}, NOTHING),
        (40.0, None, 1.2, {}, SPREAD),
        (30.0, None, 4.0, {2: 90.0}, "through n mod 2"),
        (30.0, None, 4.0, {3: 90.0}, BELIEVE),  # 3 does not divide 4
    ],
)
def test_a_verdict_holds_a_period_against_each_control(own, frequency, spike, believed, word):
    control = None if frequency is None else kappa(frequency)
    told = {T: kappa(value) for T, value in believed.items()}
    found, why = verdict(4, kappa(own), CHANCE, control, period(spike), told)
    assert found == word
    assert f"kappa {own:.3g} [{own - 4:.3g}, {own + 4:.3g}]; shuffled numbers reach 5" in why


def test_who_knows_only_parity_guesses_right_half_the_time_mod_4():
    """Right on every parity: half of the guesses mod 4 are right, which is a kappa of a third."""
    _, why = verdict(4, kappa(33.0), CHANCE, None, period(4.0), {2: Mean(100.0, 99.0, 100.0, 10)})
    assert why.endswith("n mod 2 alone, as well as it is read, tells it with 33.3")


def test_planted_periods_stand_out_and_others_do_not():
    generator = torch.Generator().manual_seed(0)
    n = torch.arange(200)[:, None]
    waves = torch.cat([(2 * math.pi * n / 5).cos(), (2 * math.pi * n / 5).sin(), n / 40], 1)
    embeddings = waves @ torch.randn(3, 12, generator=generator) + 0.5 * torch.randn(200, 12, generator=generator)
    control = shuffled(embeddings)
    found = periods_of(embeddings, {"other": control}, 7, 0)
    assert [T for T, one in found.items() if one.stands_out] == [5]
    own = separability(embeddings, 5)
    assert (found[5].fisher, found[5].lower) == pytest.approx((own.discriminant, own.lower))
    assert found[5].fisher > 5 * found[5].others["other"]
    assert found[5].others["other"] == pytest.approx(separability(control, 5).discriminant)
    wide = torch.randn(60, 100, generator=generator)  # in all dimensions, any residues are apart
    assert separability(wide, 3).discriminant > 1e3 > 10 > periods_of(wide, {}, 3, 0)[3].fisher
