"""Up-Down and Up-Up with a transform, against a scalar re-telling of a trial that shares no code with them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs import TRANSFORMS, exchange, state_at, unroll
from numsym.tasks import TASKS

ASKED = {
    "multi_object": lambda n: n,
    "mod": lambda n: n % 4,
    "round": lambda n: 3 * round(n / 3),
    "square": lambda n: n**2,
}


def test_the_first_twenty_are_these():
    n = torch.arange(1, 11)
    assert TRANSFORMS["identity"](n).tolist() == n.tolist()
    assert TRANSFORMS["mod"](n).tolist() == [1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert TRANSFORMS["round"](n).tolist() == [0, 3, 3, 3, 6, 6, 6, 9, 9, 9]
    assert TRANSFORMS["square"](n).tolist() == [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]


def read(program, words, asked):
    """The variables after each word, one dictionary a word."""
    phase, counts, rows = -1, {"count": 0, "demo_count": 0, "resp_count": 0}, []
    for word in words:
        if word == "T":
            phase = 1
            counts |= {name: asked(counts[name]) for name in ("count", "demo_count")}
        elif word.startswith("D"):
            counts["count"] += 1
            counts["demo_count"] += 1
        elif word == "R":
            counts["count"] -= 1
            counts["resp_count"] += 1
        rows.append({"phase": phase} | {name: counts[name] for name in program.variables if name != "phase"})
    return rows


def follows(state, target, asked):
    """How many demonstrations (`None` where the trigger has been) and responses follow from a state."""
    shown = "count" if "count" in state else "demo_count"
    state = dict(state)
    demonstrations = None
    if state["phase"] == -1:
        demonstrations = max(0, target - state[shown])
        state[shown] = asked(state[shown] + demonstrations)
    return demonstrations, max(0, state[shown] - state.get("resp_count", 0))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(ASKED)),
    st.sampled_from(["up_down", "up_up"]),
    st.lists(st.integers(1, 10), min_size=2, max_size=2),
    st.data(),
)
def test_every_exchange_is_followed_by_what_the_rules_say(name, program, counts, data):
    task, asked = TASKS[name](), ASKED[name]
    batch, program = task.sample(2, plan={"target": torch.tensor(counts)}), task.program(program)
    words = [task.text(row).split() for row in batch.input_ids]
    states = task.trace(program, batch).states
    told = [read(program, row, asked) for row in words]
    for row in range(2):
        for t, state in enumerate(told[row]):
            assert {key: int(states[key][row, t]) for key in state} == state
    t, s = (data.draw(st.sampled_from([i for i, w in enumerate(row) if w[0] in "DR"])) for row in words)
    at = state_at(states, torch.tensor([t, s]))
    base, source = ({key: value[i : i + 1] for key, value in at.items()} for i in (0, 1))
    for variable in (*program.variables, "full"):
        names = program.block(variable)
        edited = told[0][t] | {key: told[1][s][key] for key in names}
        shown = edited["count" if "count" in edited else "demo_count"]
        admitted = edited["phase"] == 1 or name != "square" or shown <= 10
        assert bool(program.admits(base, source, names)) == admitted
        if not admitted:
            continue
        demonstrations, responses = follows(edited, counts[0], asked)
        said = task.text(unroll(program, exchange(base, source, names)).tokens[0]).split()
        head = [] if demonstrations is None else ["D"] * demonstrations + ["T"]
        assert [w[0] for w in said] == [*head, *["R"] * responses, "E"]


@pytest.mark.parametrize(("name", "count"), [("mod", 4), ("round", 1)])
def test_no_response_is_due_where_the_transform_is_0(name, count):
    task = TASKS[name]()
    batch = task.sample(1, plan={"target": torch.tensor([count])})
    assert task.text(batch.input_ids[0]).split()[-2:] == ["T", "E"]
    assert batch.predictable[0].nonzero().flatten().tolist() == [count + 2]
