"""Programs against a scalar re-telling of a trial, one token at a time, that shares no code with them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs import exchange, state_at, unroll
from numsym.tasks import TASKS, MultiObject, SameObject


def numbers_by_hand(words, same):
    """Demonstrations and responses seen so far, and the phase, after each word."""
    rows, phase, demonstrations, responses = [], -1, 0, 0
    for word in words:
        if word == "T":
            phase = 1
        elif word == "R" or (same and word == "D" and phase == 1):
            responses += 1
        elif word.startswith("D"):
            demonstrations += 1
        rows.append((phase, demonstrations, responses))
    return rows


@pytest.mark.parametrize("name", ["multi_object", "single_object", "same_object"])
@pytest.mark.parametrize("void_prob", [0.0, 0.3])
def test_traces_equal_counting_by_hand(name, void_prob):
    task = TASKS[name](void_prob=void_prob)
    batch = task.sample(50, generator=torch.Generator().manual_seed(0))
    down, up = batch.states, task.trace("up_up", batch).states
    for row in range(50):
        words = task.text(batch.input_ids[row]).split()
        for t, (phase, seen, answered) in enumerate(numbers_by_hand(words, name == "same_object")):
            assert down["phase"][row, t] == up["phase"][row, t] == phase
            assert down["count"][row, t] == seen - answered
            assert (up["demo_count"][row, t], up["resp_count"][row, t]) == (seen, answered)


def continue_by_hand(phase, count, target):
    """The words that follow under Up-Down, with one word for every demonstration token."""
    words = []
    if phase == -1:
        while count < target:
            words.append("D")
            count += 1
        words.append("T")
    return words + ["R"] * count + ["E"]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_the_counterfactual_of_every_exchange_is_what_the_edited_program_says(base_count, source_count, data):
    task = MultiObject()
    batch = task.sample(2, plan={"target": torch.tensor([base_count, source_count])})
    program = task.program()
    length = int(batch.lengths.min())
    t, s = data.draw(st.integers(0, length - 2)), data.draw(st.integers(0, length - 2))
    states = state_at(batch.states, torch.tensor([t, s]))
    base, source = ({k: v[i : i + 1] for k, v in states.items()} for i in (0, 1))
    for variable in ("phase", "count", "full"):
        edited = exchange(base, source, program.block(variable))
        edited["begun"] = torch.ones_like(edited["begun"])
        run = unroll(program, edited)
        words = ["D" if w.startswith("D") else w for w in task.text(run.tokens[0]).split()]
        want = continue_by_hand(int(edited["phase"]), int(edited["count"]), base_count)
        assert words == want
        assert run.predictable[0].tolist() == [w in "RE" for w in want]


def test_up_up_answers_what_is_still_missing():
    program = MultiObject().program("up_up")
    state = {**program.start({"target": torch.tensor([5])}), "begun": torch.tensor([1]), "phase": torch.tensor([1])}
    state |= {"demo_count": torch.tensor([7]), "resp_count": torch.tensor([4])}
    assert MultiObject().text(unroll(program, state).tokens[0]) == "R R R E"
    state["demo_count"] = torch.tensor([3])
    assert MultiObject().text(unroll(program, state).tokens[0]) == "E"


def test_exchanging_a_variable_with_itself_changes_nothing():
    task = SameObject()
    batch = task.sample(200, generator=torch.Generator().manual_seed(1))
    at = (torch.rand(200) * (batch.lengths - 1)).long()
    state = state_at(batch.states, at)
    run = unroll(task.program(), exchange(state, state, ("count",)))
    for row in range(200):
        rest = batch.input_ids[row, int(at[row]) + 1 :]
        assert task.text(run.tokens[row]) == task.text(rest)


def test_tokens_that_mean_nothing_leave_the_state():
    task = MultiObject()
    program, names = task.program(), task.vocabulary.tokens
    state = {**program.start({"target": torch.tensor([5])}), "count": torch.tensor([2])}
    for word in ("R", "U", "P"):
        assert program.update(state, torch.tensor([names.index(word)]))["count"].item() == 2


def values_by_hand(words, same):
    """Each word's own value: +1 a demonstration, -1 a response, 0 anything else."""
    answering = [False] + ["T" in words[: t + 1] for t in range(len(words) - 1)]
    is_response = [w == "R" or (same and w == "D" and late) for w, late in zip(words, answering, strict=True)]
    return [-1 if r else int(w.startswith("D")) for w, r in zip(words, is_response, strict=True)]


@pytest.mark.parametrize("name", ["multi_object", "single_object", "same_object"])
def test_ctx_distr_gives_each_token_its_own_value_and_sums_the_context(name):
    task = TASKS[name](void_prob=0.3)
    batch = task.sample(40, generator=torch.Generator().manual_seed(0))
    states = task.trace("ctx_distr", batch).states
    assert task.program("ctx_distr").variables == ("value",)
    for row in range(40):
        values = values_by_hand(task.text(batch.input_ids[row]).split(), name == "same_object")
        assert states["value"][row, : len(values)].tolist() == values
        assert states["rest"][row, : len(values)].tolist() == [sum(values[:t]) for t in range(len(values))]


@pytest.mark.parametrize("name", ["multi_object", "same_object", "mod", "round", "square"])
@pytest.mark.parametrize("void_prob", [0.0, 0.3])
def test_with_nothing_exchanged_ctx_distr_emits_what_up_down_does(name, void_prob):
    task = TASKS[name](void_prob=void_prob)
    plan = {"target": torch.arange(1, 21).repeat(5)}
    emitted = []
    for program in (task.program("up_down"), task.program("ctx_distr")):
        emitted.append(unroll(program, program.start(plan), generator=torch.Generator().manual_seed(3)))
    assert torch.equal(emitted[0].tokens, emitted[1].tokens)
    assert torch.equal(emitted[0].predictable, emitted[1].predictable)


@pytest.mark.parametrize("name", ["multi_object", "same_object"])
def test_exchanging_one_value_moves_the_sum_by_the_difference(name):
    task, same = TASKS[name](void_prob=0.2), name == "same_object"
    base, source = (task.sample(100, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    program = task.program("ctx_distr")
    generator = torch.Generator().manual_seed(2)
    at = [
        torch.multinomial(task.intervenable(b.input_ids).float(), 1, generator=generator)[:, 0] for b in (base, source)
    ]
    states = [state_at(task.trace(program, b).states, t) for b, t in zip((base, source), at, strict=True)]
    run = unroll(program, exchange(*states, program.block("value")), generator=generator)
    for row in range(100):
        words = task.text(base.input_ids[row]).split()[: int(at[0][row]) + 1]
        values = values_by_hand(words, same)
        given = values_by_hand(task.text(source.input_ids[row]).split(), same)[int(at[1][row])]
        total, want = sum(values) - values[-1] + given, []
        follows = task.text(run.tokens[row]).split()
        if "T" not in words:
            demonstrated = sum(w.startswith("D") for w in follows[: follows.index("T")])
            assert demonstrated == max(0, int(base.counts[row]) - total)
            total, follows = total + demonstrated, follows[follows.index("T") + 1 :]
        want = ["D" if same else "R"] * max(0, total) + ["E"]
        assert follows == want


def test_values_have_words():
    program = MultiObject(counts=range(1, 4)).program("up_down")
    assert [program.word("phase", value) for value in (-1, 1)] == ["demonstration", "response"]
    assert program.word("count", 3) == "3"
