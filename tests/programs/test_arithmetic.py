"""Arithmetic against a reading of its words, one at a time, that shares no code with the programs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs import exchange, state_at, unroll
from numsym.tasks import Arithmetic

TASK = Arithmetic()


def apply(value, op, operand):
    return value + (operand if op == "+" else -operand)


def read(words, eager):
    """Value, remaining operations and what waits, after each word from v0 on."""
    told, value, remaining, op, operand = {}, int(words[2]), int(words[1]), None, None
    for t in range(2, len(words) - 1):
        step = (t - 3) % 5
        if t > 2 and step == 0:
            op = words[t]
        elif step == 1:
            operand = int(words[t])
            if eager:
                value, op, operand = apply(value, op, operand), None, None
        elif t > 2 and step == 3:
            value, op, operand, remaining = int(words[t]), None, None, remaining - 1
        told[t] = {"value": value, "remaining": remaining, "op": op, "operand": operand}
    return told


def check(state, step, words):
    """Whether the words are what may follow from a state at this step: 0 op, 1 operand, 2 `=`, 3 result, 4 `,`."""
    state, words = dict(state), iter(words)
    while True:
        step = (step + 1) % 5
        word = next(words)
        if step == 0:
            assert word in "+-"
            state["op"] = word
        elif step == 1:
            state["operand"] = int(word)
        elif step == 2:
            assert word == "="
        elif step == 3:
            waits = None not in (state["op"], state["operand"])
            value = apply(state["value"], state["op"], state["operand"]) if waits else state["value"]
            assert 0 <= value <= 20
            assert word == str(value)
            state |= {"value": value, "remaining": state["remaining"] - 1, "op": None, "operand": None}
        elif state["remaining"] == 0:
            assert word == "E"
            assert next(words, None) is None
            return
        else:
            assert word == ","


@settings(max_examples=25, deadline=None)
@given(st.booleans(), st.lists(st.integers(1, 20), min_size=2, max_size=2), st.integers(0, 999), st.data())
def test_every_admitted_exchange_is_followed_by_what_the_rules_say(eager, counts, seed, data):
    generator = torch.Generator().manual_seed(seed)
    program = TASK.program("eager_arithmetic" if eager else "deferred_arithmetic")
    batch = TASK.sample(2, plan={"target": torch.tensor(counts)}, generator=generator)
    words = [TASK.text(row).split() for row in batch.input_ids]
    check({"value": int(words[0][2]), "remaining": counts[0], "op": None, "operand": None}, 4, words[0][3:])
    states = TASK.trace(program, batch).states
    told = [read(row, eager) for row in words]

    def plain(state):
        sign = {-1: None, 0: "+", 1: "-"}[int(state["op"])]
        operand = int(state["operand"])
        return {"value": int(state["value"]), "remaining": int(state["remaining"]), "op": sign} | {
            "operand": None if operand == -1 else operand
        }

    for row in range(2):
        for t, state in told[row].items():
            assert plain({name: states[name][row, t] for name in state}) == state
    step = data.draw(st.sampled_from([0, 1, 3, 4]))
    # At the step of `,` stands v0, once in a trial; at `,` itself no exchange is made.
    t, s = (2 if step == 4 else data.draw(st.sampled_from([t for t in row if (t - 3) % 5 == step])) for row in told)
    at = state_at(states, torch.tensor([t, s]))
    base, source = ({key: value[i : i + 1] for key, value in at.items()} for i in (0, 1))
    for variable in (*program.variables, "full"):
        names = program.block(variable)
        edited = told[0][t] | {name: told[1][s][name] for name in names}
        waits = None not in (edited["op"], edited["operand"])
        held = any(told[i][j][name] is not None for i, j in ((0, t), (1, s)) for name in names)
        fits = not waits or 0 <= apply(edited["value"], edited["op"], edited["operand"]) <= 20
        assert bool(program.admits(base, source, names)) == (held and fits)
        if held and fits:
            run = unroll(program, exchange(base, source, names), generator=generator)
            rest = TASK.text(run.tokens[0]).split()
            check(edited, step, rest)
            assert run.predictable[0].tolist() == [(step + 1 + i) % 5 >= 2 for i in range(len(rest))]


@pytest.mark.parametrize("said", ["+", "20", "E"])
def test_a_wrong_result_is_followed_by_the_models_own_course(said):
    program, word = TASK.program(), TASK.vocabulary.tokens.index
    state = program.start({"target": torch.tensor([2])})
    for token in ("B", "2", "7", "+", "3", "=", said):
        state = program.update(state, torch.tensor([word(token)]))
    assert state["value"].item() == {"+": 10, "20": 20, "E": 10}[said]
    assert TASK.vocabulary.tokens[int(program.emit(state)[0])] == ("P" if said == "E" else ",")


def test_values_and_operands_cover_their_range(generator):
    batch = TASK.sample(4000, generator=generator)
    assert set(batch.states["value"].unique().tolist()) == set(range(21))
    assert set(batch.states["operand"].unique().tolist()) == set(range(-1, 21))
    share = (batch.input_ids == TASK.vocabulary.minus).sum() / (batch.input_ids == TASK.vocabulary.equals).sum()
    assert abs(float(share) - 0.5) < 0.02
