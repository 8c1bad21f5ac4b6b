import pytest
import torch

from numsym.models.adders import build_adder
from numsym.results import Share
from numsym.studies.routes import task_of
from numsym.studies.spikes import _verdict, spikes_of


def test_an_adder_that_only_knows_circles_uses_them(bench):
    """The even harmonics of the modular adder's numbers are used; of an untrained one nothing is."""
    (found,) = spikes_of(bench.model, bench.task, [6], trials=300)
    states = bench.states()
    residues = torch.stack([states[r::6].mean(dim=0) for r in range(6)])
    between = 2 * (residues - states.mean(dim=0)).square().sum() / (states - states.mean(dim=0)).square().sum()
    assert (found.period, found.rank, found.read) == (6, 5, "used")
    assert found.power == pytest.approx(float(between), rel=1e-3)
    assert found.right.value >= found.random_ablated.value > 0.9 > 0.7 > found.ablated.value
    assert found.moved.value > 0.3 > 0.1 > found.random_moved.value
    untrained = build_adder("transformer", bench.task, width=32, layers=1)
    assert spikes_of(untrained, bench.task, [3], trials=50)[0].read == "nothing is right"


@pytest.mark.parametrize("architecture", ["transformer", "mamba2", "gated_deltanet"])
def test_every_network_that_pyvene_knows_is_measured(architecture):
    task = task_of("left", 10, 5)
    found = spikes_of(build_adder(architecture, task, width=8), task, [2, 5], trials=20)
    assert [(one.period, one.rank) for one in found] == [(2, 1), (5, 4)]
    assert all(one.right.n == 20 and one.random_ablated.n == 100 for one in found)


def test_a_verdict_holds_the_cost_against_random_subspaces():
    right, low, high = Share.of_counts(98, 100), Share.of_counts(10, 100), Share.of_counts(300, 500)
    assert _verdict(right, low, high) == "used"
    assert _verdict(right, Share.of_counts(58, 100), high) == "as any subspace"
    assert _verdict(right, Share.of_counts(97, 100), high) == "idle"
    assert _verdict(Share.of_counts(1, 100), Share.of_counts(0, 100), low) == "nothing is right"
