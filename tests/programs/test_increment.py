"""Increment and Decrement against exact fractions, one word at a time."""

from fractions import Fraction
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.errors import InvalidArgumentError
from numsym.programs import exchange, state_at, unroll
from numsym.tasks import TASKS, MultiObject

ASKED = {"multi_object": lambda n: n, "mod": lambda n: n % 4, "square": lambda n: n**2}


def turned(state, asked, span, rising):
    """After the trigger."""
    due = asked(ceil(state["count"]))
    step = Fraction(span, max(1, due))
    start, end = (0, span) if rising else (span, 0)
    return {"phase": 1, "count": Fraction(start if due else end), "incr": step}


def read(words, asked, span, rising):
    """The variables after each word."""
    state, rows = {"phase": -1, "count": Fraction(0), "incr": Fraction(0)}, []
    for word in words:
        if word == "T":
            state = turned(state, asked, span, rising)
        elif word.startswith("D"):
            state = {**state, "count": state["count"] + 1, "incr": Fraction(span, ceil(state["count"] + 1))}
        elif word == "R":
            state = {**state, "count": state["count"] + (state["incr"] if rising else -state["incr"])}
        rows.append(state)
    return rows


def follows(state, target, asked, span, rising):
    """The words that follow, with one word for every demonstration token."""
    words, state = [], dict(state)
    if state["phase"] == -1:
        while ceil(state["count"]) < target:
            words.append("D")
            state["count"] += 1
        words.append("T")
        state = turned(state, asked, span, rising)
    while state["count"] < span if rising else state["count"] > 0:
        words.append("R")
        state["count"] += state["incr"] if rising else -state["incr"]
    return [*words, "E"]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(ASKED)),
    st.booleans(),
    st.lists(st.integers(1, 20), min_size=2, max_size=2),
    st.data(),
)
def test_every_exchange_is_followed_by_what_the_rules_say(name, rising, counts, data):
    task, asked = TASKS[name](), ASKED[name]
    span = task.counts[-1]
    counts = [min(count, span) for count in counts]
    batch, program = (
        task.sample(2, plan={"target": torch.tensor(counts)}),
        task.program(["decrement", "increment"][rising]),
    )
    words = [task.text(row).split() for row in batch.input_ids]
    states = task.trace(program, batch).states
    told = [read(row, asked, span, rising) for row in words]
    for row in range(2):
        for t, state in enumerate(told[row]):
            assert {key: Fraction(int(states[key][row, t]), program.unit(key)) for key in state} == state
    t, s = (data.draw(st.sampled_from([i for i, w in enumerate(row) if w[0] in "DR"])) for row in words)
    at = state_at(states, torch.tensor([t, s]))
    base, source = ({key: value[i : i + 1] for key, value in at.items()} for i in (0, 1))
    for variable in (*program.variables, "full"):
        names = program.block(variable)
        edited = told[0][t] | {key: told[1][s][key] for key in names}
        assert program.admits(base, source, names).item()
        said = task.text(unroll(program, exchange(base, source, names)).tokens[0]).split()
        assert [w[0] for w in said] == follows(edited, counts[0], asked, span, rising)


@pytest.mark.parametrize("program", ["increment", "decrement"])
def test_it_generates_the_trials_of_up_down(program):
    task = MultiObject()
    plan = {"target": torch.arange(1, 21)}
    run = unroll(task.program(program), task.program(program).start(plan), generator=torch.Generator().manual_seed(0))
    batch = task.sample(20, plan=plan, generator=torch.Generator().manual_seed(0))
    assert torch.equal(run.tokens, batch.input_ids)
    assert torch.equal(run.predictable, batch.predictable)


def test_five_of_twenty_rise_by_four():
    task = MultiObject()
    batch = task.sample(1, plan={"target": torch.tensor([5])})
    program = task.program("increment")
    count, step = (task.trace(program, batch).states[name][0] // program.parts for name in ("count", "incr"))
    assert count.tolist() == [0, 1, 2, 3, 4, 5, 0, 4, 8, 12, 16, 20, 20]
    assert step.tolist() == [0, 20, 10, 6, 5, 4, 4, 4, 4, 4, 4, 4, 4]
    assert torch.equal(task.trace("decrement", batch).states["count"][0, 6:] // program.parts, 20 - count[6:])


def test_fractions_beyond_int64_are_refused():
    with pytest.raises(InvalidArgumentError, match="counts up to 50 are not allowed in Increment"):
        MultiObject(counts=range(1, 51)).program("increment")
