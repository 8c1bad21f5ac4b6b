import math

import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.errors import InvalidArgumentError
from numsym.probes import Separability, period_power, residue, separability


@st.composite
def embeddings_and_period(draw):
    """Random embeddings with a wave of random strength, N a multiple of T."""
    period = draw(st.integers(2, 12))
    members = draw(st.integers(2, 20))
    width = draw(st.integers(1, 24))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    n = torch.arange(period * members)[:, None].double()
    noise = torch.randn(len(n), width, generator=generator, dtype=torch.float64)
    wave = torch.randn(1, width, generator=generator, dtype=torch.float64) * (2 * math.pi * n / period).cos()
    return draw(st.floats(0.0, 10.0)) * wave + draw(st.floats(1e-3, 10.0)) * noise, period


@settings(max_examples=100, deadline=None)
@given(embeddings_and_period())
def test_the_trace_identity_and_both_bounds_hold(case):
    embeddings, period = case
    result = separability(embeddings, period)
    assert result.trace == pytest.approx(period_power(embeddings, period) / len(embeddings), rel=1e-6, abs=1e-12)
    # The bounds hold for S_W + ridge whether or not S_W is singular.
    assert result.lower <= result.discriminant * (1 + 1e-6)
    assert result.discriminant <= result.upper * (1 + 1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(3, 12), st.floats(0, 1e6))
def test_the_counterexample_keeps_its_power_whatever_grows_within_classes(period, members, strength):
    """Insufficiency: e(n) = A r + B m with n = r + mT has the period power of B = 0."""
    n = torch.arange(period * members)
    remainder, member = (n % period).double(), (n // period).double()
    start = period_power(remainder[:, None], period)
    # m - mean(m) keeps the family as it is and the numbers small enough for 1e-9 in float64.
    grown = remainder + strength * (member - member.mean())
    assert period_power(grown[:, None], period) == pytest.approx(start, rel=1e-9)


def test_the_counterexample_falls_from_perfect_to_chance():
    n = torch.arange(500)
    remainder, member = (n % 5).double(), (n // 5).double()
    kappa, power, discriminant = [], [], []
    for strength in (0.0, 1e3):
        embeddings = (remainder + strength * member)[:, None]
        kappa.append(residue(embeddings, (5,), C=1e3).kappa[5])
        power.append(period_power(embeddings, 5))
        discriminant.append(separability(embeddings, 5).discriminant)
    assert kappa[0] == pytest.approx(100.0)
    assert abs(kappa[1]) < 10
    assert power[1] == pytest.approx(power[0], rel=1e-9)
    assert discriminant[1] < 1e-6 < 1 < discriminant[0]


def test_scatter_is_the_definition_and_the_discriminant_its_largest_eigenvalue():
    embeddings = torch.randn(60, 4, dtype=torch.float64) + 5
    result = separability(embeddings, 3, ridge=0)
    grand = embeddings.mean(dim=0)
    between, within = torch.zeros(2, 4, 4, dtype=torch.float64)
    for r in range(3):
        members = embeddings[r::3]
        between += torch.outer(members.mean(0) - grand, members.mean(0) - grand) / 3
        within += (members - members.mean(0)).T @ (members - members.mean(0)) / 60
    torch.testing.assert_close(result.between, between)
    torch.testing.assert_close(result.within, within)
    expected = torch.linalg.eigvals(torch.linalg.solve(within, between)).real.max()
    assert result.discriminant == pytest.approx(float(expected), rel=1e-9)
    assert result.ridge == 0


def test_no_power_means_no_scatter_between():
    """Necessity: a wave of another period has Phi_T = 0 and S_B = 0."""
    n = torch.arange(60)[:, None].double()
    result = separability((2 * math.pi * n / 5).cos(), 3)
    assert result.power == pytest.approx(0, abs=1e-20)
    assert result.discriminant < 1e-20


def test_numbers_beyond_the_last_full_period_are_left_out():
    embeddings = torch.randn(62, 3)
    assert separability(embeddings, 7).count == 56
    assert separability(embeddings, 7).discriminant == pytest.approx(separability(embeddings[:56], 7).discriminant)


def test_a_singular_scatter_needs_a_ridge_and_is_stable_with_one():
    embeddings = torch.randn(20, 64)
    with pytest.raises(InvalidArgumentError, match=r"64 x 64 scatter .* is singular; give a ridge above 0"):
        separability(embeddings, 4, ridge=0)
    result = separability(embeddings, 4, ridge=1e-3)
    assert result.lower <= result.discriminant <= result.upper
    assert math.isfinite(separability(embeddings, 4).discriminant)


def test_a_negative_ridge_is_refused():
    with pytest.raises(InvalidArgumentError, match="ridge=-1 is not allowed"):
        separability(torch.randn(20, 3), 4, ridge=-1)


def test_the_result_is_saved_with_its_scatter_and_drawn(tmp_path):
    found = separability(torch.randn(60, 4), 3)
    found.save(tmp_path / "saved")
    read = Separability.load(tmp_path / "saved")
    assert read == found
    assert torch.equal(read.within, found.within)
    assert Separability.from_dict(found.to_dict()).within is None
    (row,) = read.rows()
    assert row["lower"] <= row["discriminant"] <= row["upper"]
    figure = read.figure()
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[read.lower, read.upper], [read.discriminant]]
    plt.close(figure)
