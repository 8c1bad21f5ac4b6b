"""Which pairs two hypotheses have in common."""

import pytest
import torch

from numsym import recipes
from numsym.alignment import Hypothesis, PairCounts, measured_pairs
from numsym.studies.compare.shared import common, comparable_pairs
from numsym.tasks import MultiObject, load_task

TASK = MultiObject(counts=range(1, 7), held_out=(4,))
COUNTS = PairCounts(train=60, validation=20, test=80)


def drawn(hypotheses, task=TASK):
    return comparable_pairs(task, hypotheses, COUNTS, None)


def test_where_all_exchanges_are_admitted_they_are_the_pairs_that_were_measured():
    asked = [Hypothesis("up_down", "count"), Hypothesis("up_up", "resp_count")]
    for pairs, one in zip(drawn(asked), asked, strict=True):
        assert torch.equal(pairs.base_ids, measured_pairs(TASK, one, COUNTS).base_ids)
    first, second = common(*drawn(asked))
    assert first.tolist() == second.tolist() == list(range(len(drawn(asked)[0])))


def test_common_rows_are_those_met_at_the_same_places():
    one, other = drawn([Hypothesis("up_down", "count"), Hypothesis("up_up", "demo_count")])
    mine, theirs = one.rows(slice(20, None)), other.rows(torch.arange(60).flip(0))
    rows, others = common(mine, theirs)
    keys = mine.keys(), theirs.keys()
    assert [keys[0][i] for i in rows] == [keys[1][i] for i in others]
    assert {keys[0][i] for i in rows} == set(keys[0]) & set(keys[1])
    assert len(rows) > 20
    apart = common(one.rows(slice(0, 20)), other.without(other.rows(slice(0, 20))))
    assert [len(rows) for rows in apart] == [0, 0]


@pytest.mark.parametrize(("variables", "some"), [(("op", "remaining"), True), (("op", "operand"), False)])
def test_where_programs_admit_other_exchanges_new_pairs_are_drawn_that_both_may_have(variables, some):
    """In Eager Arithmetic an operator is held where the deferred one holds no operand: those two are never met."""
    recipe = recipes.read("tasks", "arithmetic")
    task = load_task({**recipe, "arguments": {**recipe["arguments"], "counts": [1, 10], "highest": 10}})
    asked = [Hypothesis("eager_arithmetic", variables[0]), Hypothesis("deferred_arithmetic", variables[1])]
    pairs = drawn(asked, task)
    assert (len(common(*pairs)[0]) > 60) is some
    for one, found in zip(asked, pairs, strict=True):
        trained = set(measured_pairs(task, one, COUNTS, part="train").keys())
        assert not trained & set(found.keys())
        assert len(found) > 200
