"""The exchange between two networks: within one it is the usual one, across two it is what plain sums give."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment.engines.cross import CrossEngine, Joint, Side, features, states
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import counting_gru
from numsym.tasks import TASKS, MultiObject

MULTI = MultiObject(counts=range(1, 6), held_out=(4,))
SINGLE = TASKS["single_object"](counts=range(1, 6), held_out=(4,))


@pytest.fixture(scope="module")
def sides():
    return (
        Side("multi", counting_gru(MULTI.vocabulary, width=6), MULTI),
        Side("single", counting_gru(SINGLE.vocabulary, width=8, seed=3, degrees=70), SINGLE),
    )


def pairs_of(base, source, generator, n=30):
    from_ = (source.task, source.task.program("up_down"))
    return interchange_pairs(base.task, base.task.program("up_down"), ("count",), n, generator=generator, source=from_)


@pytest.mark.parametrize("alignment", ["linear", "orthogonal"])
def test_within_one_network_it_is_the_exchange_of_the_usual_engine(alignment, sides, generator):
    model, interventions = sides[0].model, [build(alignment, 6, 2, 1, seed) for seed in (0, 1)]
    pairs = interchange_pairs(MULTI, MULTI.program(), ("count",), 30, generator=generator)
    engine = CrossEngine((sides[0], replace(sides[0], name="again")), [tuple(interventions)])
    prepared = engine.prepare(Joint({(0, 0): pairs}))
    usual = RecurrentEngine(model, sides[0].place, interventions)
    with torch.no_grad():
        _, (expected,) = usual.exchanged(0, usual.prepare(pairs))
        torch.testing.assert_close(engine.exchange(prepared[0, 0], (0, 0)), expected, atol=1e-5, rtol=1e-3)
        rows = [torch.arange(30)]
        ours, theirs = engine.measure([prepared], rows, [0]), usual.measure([usual.prepare(pairs)], rows, [0])
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-4, rtol=1e-3)
    h = torch.randn(4, 6)
    torch.testing.assert_close(states(interventions[0], features(interventions[0], h)), h, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_across_two_networks_the_first_coordinates_are_the_sources(sides, generator):
    """By rotations, from the weights: what is read in one network is written into the other's own coordinates."""
    interventions = [build("orthogonal", side.model.config.hidden_size, 2, 1, seed) for seed, side in enumerate(sides)]
    engine = CrossEngine(sides, [tuple(interventions)])
    pairs = pairs_of(sides[1], sides[0], generator)
    part = engine.prepare(Joint({(0, 1): pairs}))[0, 1]
    assert part.source.shape[1] == 6
    assert part.base.shape[1] == 8
    after = engine.exchange(part, (0, 1))
    read, written = (one.rotate_layer.weight for one in interventions)
    torch.testing.assert_close(after @ written[:, :2], part.source @ read[:, :2], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after @ written[:, 2:], part.base @ written[:, 2:], atol=1e-5, rtol=1e-4)


def test_what_was_learned_is_put_back(sides):
    engine = CrossEngine(sides, [(build("linear", 6, 2, 1, 0), build("linear", 8, 2, 1, 1))])
    before = engine.snapshot(0)
    h = torch.randn(3, 6)
    told = features(engine.interventions[0][0], h).detach()
    with torch.no_grad():
        for parameter in engine.parameters():
            parameter.add_(0.5)
    assert not torch.allclose(features(engine.interventions[0][0], h), told)
    engine.restore(0, before)
    torch.testing.assert_close(features(engine.interventions[0][0], h), told)


def test_directions_are_as_long_as_the_shortest(sides, generator):
    few, more = (pairs_of(sides[0], sides[0], generator, n) for n in (5, 9))
    assert len(Joint({(0, 0): more, (1, 0): few})) == 5
    joint = Joint({(0, 0): more, (1, 0): few})
    assert list(joint.only([(1, 0)])) == [(1, 0)]
    mixed = joint.with_permuted_sources(torch.Generator().manual_seed(3))
    expected = more.with_permuted_sources(torch.Generator().manual_seed(3))
    assert torch.equal(mixed[0, 0].source_ids, expected.source_ids)


def test_several_alignments_are_measured_as_each_alone(sides, generator):
    pairs = [(build("orthogonal", 6, 2, 1, s), build("orthogonal", 8, 2, 1, s + 1)) for s in (0, 5)]
    joint = Joint({(0, 1): pairs_of(sides[1], sides[0], generator)})
    both = CrossEngine(sides, pairs)
    prepared, rows = both.prepare(joint), [torch.arange(30)] * 2
    with torch.no_grad():
        losses, right = both.measure([prepared] * 2, rows, [0, 1])
        for index, pair in enumerate(pairs):
            loss, (correct,) = CrossEngine(sides, [pair]).measure([prepared], rows[:1], [0])
            assert loss[0] == losses[index]
            assert torch.equal(correct, right[index])
    assert losses[0] != losses[1]
    assert both.free_running(0, joint[0, 1], MULTI.program()) is None
