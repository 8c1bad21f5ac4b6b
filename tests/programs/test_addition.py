import torch

from numsym.programs.base import exchange, state_at, unroll
from numsym.tasks.addition import AdditionTask


def test_the_variables_are_the_numbers_read_so_far():
    task = AdditionTask(base=10, digits=2)
    batch = task.sample(1, plan={"a": torch.tensor([25]), "b": torch.tensor([17])})
    assert task.text(batch.input_ids[0]) == "2 5 + 1 7 = 4 2"
    assert batch.states["left"][0].tolist() == [2, 25, 25, 25, 25, 25, 25, 25]
    assert batch.states["right"][0].tolist() == [0, 0, 0, 1, 17, 17, 17, 17]
    traced = task.trace("addition", batch)
    assert all(torch.equal(traced.states[name], batch.states[name]) for name in ("left", "right"))


def test_exchanging_a_number_changes_the_answer_accordingly():
    task = AdditionTask(base=10, digits=2)
    base = task.sample(40, generator=torch.Generator().manual_seed(0))
    source = task.sample(40, generator=torch.Generator().manual_seed(1))
    at = torch.full((40,), 5)
    state = exchange(state_at(base.states, at), state_at(source.states, at), ("left",))
    answer = unroll(task.program(), state).tokens
    expected = (source.plan["a"] + base.plan["b"]) % 100
    assert torch.equal(answer[:, 0] * 10 + answer[:, 1], expected)
