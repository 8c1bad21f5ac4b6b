"""What is tried beside an alignment, on a counter whose count has another direction in each phase."""

import pytest
import torch

from numsym.alignment import align, interchange_pairs
from numsym.alignment.restrictions import FEWEST, kinds_of, other_functions
from numsym.models import counting_gru
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=())


@pytest.fixture
def pairs(generator):
    return interchange_pairs(TASK, TASK.program("up_down"), ("count",), 300, generator=generator)


def test_the_kinds_are_of_the_phases_and_of_small_counts(pairs):
    kinds = kinds_of(TASK.program("up_down"), pairs)
    assert list(kinds)[:3] == ["phase the same", "phase demonstration", "phase response"]
    middle = int(torch.cat([pairs.base_state["count"], pairs.source_state["count"]]).median())
    assert list(kinds)[3:] == [f"count at most {middle}"]
    base, source = pairs.base_state, pairs.source_state
    same = base["phase"] == source["phase"]
    assert torch.equal(kinds["phase the same"](pairs), same)
    assert torch.equal(kinds["phase response"](pairs), same & (base["phase"] == 1))
    assert torch.equal(kinds[f"count at most {middle}"](pairs), (base["count"] <= middle) & (source["count"] <= middle))


def test_the_kinds_of_the_phase_hold_nothing_of_many_values(generator):
    drawn = interchange_pairs(TASK, TASK.program("up_down"), ("phase",), 300, generator=generator)
    assert kinds_of(TASK.program("up_down"), drawn) == {}  # seven counts are no kinds, two phases no small ones


def test_the_other_functions_are_those_that_fit():
    assert {"linear", "low_rank"} <= set(other_functions("orthogonal", 8, 2, 1))
    assert "boundless" not in other_functions("orthogonal", 8, 2, 1)
    assert other_functions("orthogonal", 4096, 2, 1) == ["low_rank"]
    assert other_functions("low_rank", 4096, 2, 1) == []


@pytest.fixture(scope="module")
def tried():
    """The count by a rotation that is not searched for: each that is tried has three hundred steps."""
    model = counting_gru(TASK.vocabulary, width=6)
    found = align(
        model, TASK, alignment="orthogonal", subspace_dim=2, controls=False, seed=1,
        search={"max_steps": 150, "learning_rate": 0.05, "batch_size": 64, "check_every": 50},
        pairs={"train": 600, "validation": 100, "test": 100},
    )  # fmt: skip
    return found.explain(measured=400, examples=0)


def test_what_succeeds_is_found_by_trying(tried):
    by_name = {(one.pairs, one.function): one for one in tried.tried}
    within = by_name["phase response", "orthogonal"]
    assert within.succeeds
    assert within.iia.value == 1
    assert within.permuted.high < 0.9
    assert within.nearest < 1
    assert str(within).startswith("orthogonal, phase response: 100 % [")
    assert "What succeeds: " in tried.said[1]


def test_intervals_are_widened_for_how_many_were_tried(tried):
    n = len(tried.tried)
    assert n >= 6
    for one in tried.tried:
        assert one.iia.n >= FEWEST
        right = round(one.iia.value * one.iia.n)
        assert one.iia == type(one.iia).of_counts(right, one.iia.n, among=n)
        assert one.iia.low < type(one.iia).of_counts(right, one.iia.n).low or right == 0


def test_nothing_is_tried_where_it_is_not_wanted(generator):
    model = counting_gru(TASK.vocabulary, width=6)
    found = align(
        model, TASK, subspace_dim=1, controls=False, search={"max_steps": 1},
        pairs={"train": 100, "validation": 50, "test": 50},
    )  # fmt: skip
    assert found.explain(measured=50, examples=0, tries=False).tried == ()
    # Of fewer pairs than a batch nothing can be searched for.
    assert {one.pairs for one in found.explain(measured=50, examples=0).tried} <= {"all pairs"}
