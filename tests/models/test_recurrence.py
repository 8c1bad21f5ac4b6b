"""The packed recurrences against torch's own modules and against finite differences."""

import pytest
import torch
from torch import nn

from numsym.models.recurrence import Packing, run_packed


def make(cell, width=5):
    return {"gru": nn.GRU, "lstm": nn.LSTM}[cell](3, width, batch_first=True).double()


def run(rnn, x, mask, start):
    packing = Packing.of(mask)
    inputs = nn.functional.linear(x.flatten(0, 1)[packing.tokens], rnn.weight_ih_l0, rnn.bias_ih_l0)
    states = run_packed(rnn, inputs, start[packing.order], packing.sizes)
    return torch.cat([states, start])[packing.states]


def masks(generator):
    some = torch.rand(6, 9, generator=generator) < 0.6
    some[2] = False
    return {
        "full": torch.ones(6, 9, dtype=torch.bool),
        "right": torch.arange(9) < torch.arange(6)[:, None],
        "any": some,
    }


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("kind", ["full", "right", "any"])
def test_states_and_gradients_equal_torchs(cell, kind, generator):
    rnn, mask = make(cell), masks(generator)[kind]
    x = torch.randn(6, 9, 3, dtype=torch.float64, requires_grad=True)
    start = torch.randn(6, 5 if cell == "gru" else 10, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(6, 9, 5, dtype=torch.float64)

    def by_torch():
        states, carry = [], start.split(5, 1)
        for t in range(9):
            given = carry[0][None] if cell == "gru" else (carry[0][None], carry[1][None])
            new = rnn(x[:, t : t + 1], tuple(g.contiguous() for g in given) if cell == "lstm" else given.contiguous())[
                1
            ]
            new = (new[0],) if cell == "gru" else (new[0][0], new[1][0])
            carry = [torch.where(mask[:, t, None], after, before) for after, before in zip(new, carry, strict=True)]
            states.append(torch.cat(list(carry), 1))
        return torch.stack(states, 1)

    got, want = run(rnn, x, mask, start), by_torch()
    torch.testing.assert_close(got, want)
    leaves = [x, start, *rnn.parameters()]
    ours, theirs = (torch.autograd.grad((s[..., :5] * upstream).sum(), leaves) for s in (got, want))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gradients_equal_finite_differences_also_of_the_cell_states(cell, generator):
    rnn, mask = make(cell, 3), torch.rand(4, 6, generator=generator) < 0.7
    x = torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)
    start = torch.randn(4, 3 if cell == "gru" else 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, start, *_: run(rnn, x, mask, start), (x, start, *rnn.parameters()))


def test_frozen_weights_get_no_gradient():
    rnn = make("gru").requires_grad_(False)
    start = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    states = run(rnn, torch.randn(2, 4, 3, dtype=torch.float64), torch.ones(2, 4, dtype=torch.bool), start)
    states.sum().backward()
    assert start.grad.abs().sum() > 0
    assert rnn.weight_hh_l0.grad is None
