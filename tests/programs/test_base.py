import pytest
import torch

from numsym.errors import NumsymError, UnknownNameError
from numsym.programs import PROGRAMS, exchange, state_at, unroll
from numsym.tasks import MultiObject


def test_every_registered_program_says_its_variables_and_resolves():
    assert {"up_down", "up_up", "ctx_distr"} <= set(PROGRAMS)
    for name in PROGRAMS:
        assert len(set(PROGRAMS[name].variables)) == len(PROGRAMS[name].variables) > 0


def test_full_is_every_variable_and_unknown_ones_are_listed():
    program = MultiObject().program("up_up")
    assert program.block("full") == ("phase", "demo_count", "resp_count")
    assert program.block("phase") == ("phase",)
    with pytest.raises(UnknownNameError, match="unknown variable 'count': choose one of demo_count, full, phase"):
        program.block("count")


def test_exchange_and_state_at_pick_by_row():
    states = {"count": torch.tensor([[1, 2], [3, 4]]), "phase": torch.tensor([[5, 6], [7, 8]])}
    base = state_at(states, torch.tensor([0, 1]))
    assert base["count"].tolist() == [1, 4]
    source = state_at(states, torch.tensor([1, 0]))
    assert {k: v.tolist() for k, v in exchange(base, source, ("count",)).items()} == {"count": [2, 3], "phase": [5, 8]}
    assert base["count"].tolist() == [1, 4]


def test_a_sequence_that_does_not_end_is_an_error():
    program = MultiObject().program()
    start = program.start({"target": torch.tensor([20])})
    with pytest.raises(NumsymError, match="has not ended after max_steps=5"):
        unroll(program, start, max_steps=5)


def test_unrolling_nothing_gives_empty_tensors():
    program = MultiObject().program()
    state = {**program.start({"target": torch.tensor([3, 4])}), "ended": torch.ones(2, dtype=torch.long)}
    run = unroll(program, state)
    assert run.tokens.shape == run.predictable.shape == run.states["count"].shape == (2, 0)
