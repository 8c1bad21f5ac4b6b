"""Against exact transport, closed forms, and clouds whose distance is known."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from numsym.alignment.divergence import Divergence, earth_movers, nearest, standardised


def cloud(n, width, generator):
    return torch.randn(n, width, generator=generator, dtype=torch.float64)


def test_the_earth_movers_distance_is_that_of_the_best_assignment(generator):
    """With equal numbers of points the exact transport is a permutation."""
    x, y = cloud(60, 3, generator), 0.5 * cloud(60, 3, generator) + torch.tensor([2.0, 0, 0])
    cost = torch.cdist(x, y).square() / 2
    exact = cost[linear_sum_assignment(cost.numpy())].mean().item()
    assert earth_movers(x, y, blur=0.02, scaling=0.9) == pytest.approx(exact, rel=0.01)
    assert earth_movers(x, y) == pytest.approx(exact, rel=0.03)


def test_a_shift_costs_half_its_square_and_the_same_points_nothing(generator):
    x = cloud(200, 4, generator)
    assert earth_movers(x, x[torch.randperm(200, generator=generator)]) == pytest.approx(0, abs=1e-6)
    assert earth_movers(x, x + 3.0) == pytest.approx(0.5 * 4 * 9, rel=1e-3)
    assert earth_movers(x, x[:100] + 3.0) == pytest.approx(0.5 * 4 * 9, rel=0.2)  # of unequal numbers too


def test_the_nearest_of_others_is_not_the_state_itself():
    line = torch.tensor([[0.0], [1.0], [4.0]])
    assert nearest(line, line).tolist() == [0, 0, 0]
    assert nearest(line, line, others=True).tolist() == [1, 1, 3]
    assert nearest(torch.tensor([[2.4]]), line).item() == pytest.approx(1.4)


def test_states_of_the_same_kind_do_not_diverge_and_long_ones_do(generator):
    natural, same = cloud(2000, 8, generator), cloud(500, 8, generator)
    found = Divergence.of(same, natural)
    assert found.beyond.value < 0.05
    assert found.earth_movers == pytest.approx(found.natural_earth_movers, rel=0.5)
    long = Divergence.of(5 * same, natural)
    assert long.beyond.value > 0.9
    assert long.natural_beyond.value < 0.05
    # Each cloud is standardised by itself, as in [D]: a length is invisible to that distance.
    assert long.earth_movers == pytest.approx(found.earth_movers, rel=1e-6)


def test_another_shape_shows_in_the_earth_movers_distance(generator):
    natural, signs = cloud(1000, 2, generator), cloud(500, 2, generator).sign()
    found = Divergence.of(signs, natural)
    assert found.earth_movers > 3 * found.natural_earth_movers


def test_a_few_states_that_come_back_again_and_again_have_distances_too(generator):
    """A counter without noise has one state a count: between two of them nothing is far, beyond them it is."""
    natural = torch.arange(10.0)[torch.randint(10, (400,), generator=generator)][:, None].repeat(1, 3)
    assert Divergence.of(natural[:50] + 1e-6, natural).beyond.value == 0
    assert Divergence.of(natural[:50] + 20, natural).beyond.value == 1


def test_standardised_features_have_unit_length_together_and_constant_ones_stay(generator):
    states = torch.cat([7 * cloud(500, 3, generator) + 2, torch.full((500, 1), 4.0, dtype=torch.float64)], 1)
    assert standardised(states).square().sum(1).mean().item() == pytest.approx(0.75, rel=0.01)
    assert torch.equal(standardised(states)[:, 3], torch.zeros(500, dtype=torch.float64))


def test_it_is_said_in_words(generator):
    said = str(Divergence.of(9 * cloud(50, 8, generator), cloud(400, 8, generator)))
    assert said.startswith("100 % of the exchanged states lie farther from every natural state than natural")
