import pytest
import torch
from torch import nn

from numsym.errors import UnknownNameError
from numsym.models.adders import ARCHITECTURES, build_adder
from numsym.tasks.addition import AdditionTask
from numsym.training.optimisers import MUON_RATE, SCHEDULES, Optimisers, adamw_or_muon, warmed

TASK = AdditionTask(base=8, digits=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_muon_takes_the_hidden_matrices_and_adamw_the_rest(architecture):
    model = build_adder(architecture, TASK, width=16)
    muon, adamw = adamw_or_muon(model, "muon", 1e-2, 0.1)
    assert (muon.param_groups[0]["lr"], adamw.param_groups[0]["lr"]) == (MUON_RATE * 1e-2, 1e-2)
    taken = [p for group in muon.param_groups for p in group["params"]]
    others = [p for group in adamw.param_groups for p in group["params"]]
    assert isinstance(muon, torch.optim.Muon)
    assert all(p.ndim == 2 for p in taken)
    assert any(p is model.get_input_embeddings().weight for p in others)
    assert len(taken) + len(others) == len(list(model.parameters()))
    assert {id(p) for p in taken}.isdisjoint(id(p) for p in others)


def test_several_step_together_by_one_schedule():
    """Plain gradient descent: each step is the gradient times the rate of its optimiser and the schedule."""
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    pair = torch.optim.SGD([first], lr=1.0), torch.optim.SGD([second], lr=10.0)
    both = Optimisers(*pair, schedule=lambda step: [0.5, 1.0, 0.0][step])
    seen = []
    for _ in range(2):
        both.zero_grad()
        (first + second).sum().backward()
        both.step()
        seen.append((first.item(), second.item()))
    assert seen == [(-0.5, -5.0), (-1.5, -15.0)]
    both.zero_grad()
    assert first.grad is None


def test_schedules_are_by_what_is_done():
    assert [warmed(step, 4) for step in (0, 1, 3, 4, 9)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert warmed(0, 0) == 1.0
    assert [SCHEDULES["linear"](share) for share in (0, 0.25, 1)] == [1, 0.75, 0]
    assert SCHEDULES["constant"](0.7) == 1


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(UnknownNameError, match="unknown optimiser 'sgd': choose one of adamw, muon"):
        adamw_or_muon(nn.Linear(2, 2), "sgd", 1e-3, 0.0)
