from itertools import pairwise

import torch

from numsym.alignment import interchange_pairs
from numsym.alignment.cells import crossed, picked
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 11))


def test_the_grid_of_the_phases_is_that_of_the_pairs(generator):
    """By hand: right where base and source are in one phase."""
    program = TASK.program("up_down")
    pairs = interchange_pairs(TASK, program, ("count",), 300, generator=generator)
    same = pairs.base_state["phase"] == pairs.source_state["phase"]
    cells = crossed(same, pairs, program)
    assert list(cells) == ["phase", "count"]
    for (base, source), share in cells["phase"].items():
        assert share.value == float(base == source)
    assert sum(share.n for share in cells["phase"].values()) == 300
    assert {base for base, _ in cells["phase"]} == {"demonstration", "response"}
    # Ten counts and zero are gathered in ranges that lie one after the other.
    ranges = sorted({tuple(map(int, base.split(" to "))) for base, _ in cells["count"]})
    assert (ranges[0][0], ranges[-1][-1]) == (0, 10)
    assert all(after[0] == before[-1] + 1 for before, after in pairwise(ranges))


def test_examples_are_wrong_ones_of_each_cell_and_some_right_ones(generator):
    program = TASK.program("up_down")
    pairs = interchange_pairs(TASK, program, ("count",), 200, generator=generator)
    same = pairs.base_state["phase"] == pairs.source_state["phase"]
    rows = picked(same, pairs, program, 6)
    assert [bool(same[row]) for row in rows] == [False] * 4 + [True] * 2
    cells = {(int(pairs.base_state["phase"][r]), int(pairs.source_state["phase"][r])) for r in rows.tolist()}
    assert len(cells) == 4
    assert len(picked(torch.ones(200, dtype=torch.bool), pairs, program, 6)) == 6
    assert len(picked(torch.zeros(200, dtype=torch.bool), pairs, program, 6)) == 6
    assert len(picked(same, pairs, program, 0)) == 0
