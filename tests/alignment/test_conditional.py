"""An exchange given a condition, on states and on a network whose codes are known."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment import Hypothesis, align, align_many
from numsym.alignment.conditional import found_codes, probe, starts
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.starts import Seen
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import counting_gru_by_phase
from numsym.tasks import MultiObject

WIDTH = 12


@pytest.fixture
def coded():
    """States with the count by one code in each of two phases, and what an exchange of the count should give."""
    generator = torch.Generator().manual_seed(3)
    turns = torch.linalg.qr(torch.randn(2, WIDTH, WIDTH, generator=generator, dtype=torch.double)).Q
    code = torch.randn(8, 3, generator=generator, dtype=torch.double)

    def states(values):
        phase, count = values.unbind(1)
        own = torch.einsum("nk,nkd->nd", code[count], turns[phase, :3])
        return own + 4 * (2 * phase[:, None] - 1) * turns[0, 5]

    base, source = (
        torch.stack([torch.randint(2, (900,), generator=generator), torch.randint(8, (900,), generator=generator)], 1)
        for _ in range(2)
    )
    wanted = torch.stack([base[:, 0], source[:, 1]], 1)
    noise = 0.01 * torch.randn(2, 900, WIDTH, generator=generator, dtype=torch.double)
    block = torch.zeros(900, dtype=torch.long)
    condition = torch.cat([base[:, 0], source[:, 0]])
    seen = Seen(
        states(base) + noise[0], states(source) + noise[1], base, source, wanted, block, ((1,),), ("phase", "count"),
        condition,
    )  # fmt: skip
    return seen, states(wanted)


def off(seen, goal, parameters, conditions=2, k=3, name="conditional"):
    """How far the exchanges of an intervention with these parameters are from the goal, as a share of the way."""
    one = build(name, WIDTH, k, 1, 0, conditions).double()
    with torch.no_grad():
        for key, value in parameters.items():
            getattr(one, key).copy_(value)
        left = (one(seen.base.clone(), seen.source) - goal).square().mean()
    return (left / (seen.base - goal).square().mean()).item()


def test_each_start_but_the_random_one_exchanges_what_has_another_code_in_each_phase(coded):
    seen, goal = coded
    found = starts(build("conditional", WIDTH, 3, 1, 0, 2), seen)
    assert {name: off(seen, goal, one) < 1e-2 for name, one in found.items()} == {
        name: name != "random" for name in found
    }


def test_a_condition_whose_states_are_all_one_leaves_the_random_start(coded):
    """There the value has no code, and a map that writes nothing has no inverse."""
    seen, _ = coded
    sides = [(seen.base, seen.base_values), (seen.source, seen.source_values)]
    base, source = (torch.where(values[:, :1] == 0, seen.base[:1], side) for side, values in sides)
    one = replace(seen, base=base, source=source)
    assert list(starts(build("conditional", WIDTH, 3, 1, 0, 2), one)) == ["random"]


def test_no_linear_exchange_of_any_rank_does(coded):
    """A bound: least squares of the wanted move on the difference, with no limit of rank, leaves a good part of it."""
    seen, goal = coded
    moved, target = seen.source - seen.base, goal - seen.base
    best = torch.linalg.lstsq(moved, target).solution
    assert (moved @ best - target).square().mean() / target.square().mean() > 0.2


def test_codes_that_nothing_names_are_found(coded):
    seen, goal = coded
    label = found_codes(seen, 2)
    agreement = (label == seen.condition).float().mean().item()
    assert max(agreement, 1 - agreement) > 0.99
    found = starts(build("conditional", WIDTH, 3, 1, 0, 2), replace(seen, condition=None))
    assert min(off(seen, goal, one) for one in found.values()) < 1e-2


def test_one_condition_begins_where_the_low_rank_map_does(coded):
    seen, _ = coded
    given = starts(build("conditional", WIDTH, 3, 1, 0, 1), replace(seen, condition=None))
    plain = ALIGNMENTS["low_rank"].starts(build("low_rank", WIDTH, 3, 1, 0), seen)
    for name in set(given) & set(plain) - {"random"}:
        results = [off(seen, seen.base + 1, one, 1, name=kind)
                   for one, kind in ((given[name], "conditional"), (plain[name], "low_rank"))]  # fmt: skip
        assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_the_probe_reads_the_condition(coded):
    seen, _ = coded
    weights, threshold = probe(seen.states, seen.condition, 2)
    assert torch.equal((seen.states @ weights + threshold).argmax(1), seen.condition)


def test_a_condition_that_shares_no_value_takes_the_directions_of_all(coded):
    """The count stands still in one of the phases: nothing says how its code corresponds."""
    seen, _ = coded
    still = torch.where(seen.base_values[:, :1] == 0, 0, seen.base_values)
    moved = torch.where(seen.source_values[:, :1] == 0, 0, seen.source_values)
    found = starts(build("conditional", WIDTH, 3, 1, 0, 2), replace(seen, base_values=still, source_values=moved))
    for one in found.values():
        assert all(tensor.isfinite().all() for tensor in one.values())


def test_conditions_with_too_few_states_are_named_with_their_numbers(coded):
    seen, _ = coded
    rare = torch.where(torch.arange(1800) < 3, 2, seen.condition)
    with pytest.raises(
        InvalidArgumentError, match=r"condition with 3 values .* \[\d+, \d+, 3\] states of each, and each"
    ):
        starts(build("conditional", WIDTH, 3, 1, 0, 3), replace(seen, condition=rare))


SMALL = {"train": 400, "validation": 100, "test": 200}


def test_a_count_by_a_code_per_phase_is_found_whole_where_no_linear_map_finds_it():
    """A hand-built network, whose count is neuron 0 in the demonstration and another direction in the response."""
    task = MultiObject(counts=range(1, 9), held_out=(4,))
    model = counting_gru_by_phase(task.vocabulary)
    wanted = [Hypothesis(alignment=name, subspace_dim=1) for name in ("conditional", "low_rank", "orthogonal")]
    given, *linear = align_many(model, task, wanted, search={"max_steps": 60, "check_every": 20}, pairs=SMALL,
                                controls=("floor",))  # fmt: skip
    assert (given.iia, given.heldout_iia, given.condition) == (1.0, 1.0, "phase")
    assert max(one.iia for one in linear) < 0.8
    blind = align(model, task, alignment="conditional", subspace_dim=1, pairs=SMALL, controls=False,
                  search={"max_steps": 1})  # fmt: skip
    assert blind.steps == 0  # the start is the answer: no step is needed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alignment": "linear", "condition": "phase"}, "condition='phase' is not allowed with alignment='linear'"),
        ({"condition": "mood"}, "unknown variable in condition 'mood': choose one of count, phase"),
        ({"condition": "count"}, "condition='count' is not allowed: it is exchanged itself"),
        ({"condition": 0}, "condition=0 is not allowed: it must be at least 1"),
        (
            {"subspace_dim": 6},
            r"subspace_dim=6 is not allowed with condition='phase': the means of count span at most 5",
        ),
    ],
)
def test_a_condition_that_cannot_be_is_refused_before_the_search(counter, small_task, arguments, message):
    wanted = Hypothesis(**{"variable": "count", "alignment": "conditional", **arguments})
    with pytest.raises((InvalidArgumentError, UnknownNameError), match=message):
        align_many(counter, small_task, [wanted], pairs=SMALL)


def test_a_condition_that_never_varies_is_refused_where_it_was_named(counter, small_task):
    options = {"positions": {"phase": 1}, "pairs": SMALL, "controls": False, "search": {"max_steps": 1}}
    named = Hypothesis(alignment="conditional", condition="phase", subspace_dim=2)
    with pytest.raises(InvalidArgumentError, match="condition='phase' is not allowed: it is 1 in all of the pairs"):
        align_many(counter, small_task, [named], **options)
    (usual,) = align_many(counter, small_task, [replace(named, condition=None)], **options)
    assert usual.intervention.latent_dim == 1
