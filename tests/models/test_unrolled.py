"""The layers of torch's recurrences one by one, against torch's own; what follows a changed state is in test_own.py."""

import pytest
import torch
from torch import nn

from numsym.models.unrolled import Borrowed

KINDS = {
    "GRU": (nn.GRU, {}),
    "LSTM": (nn.LSTM, {}),
    "LSTM with projections": (nn.LSTM, {"proj_size": 3}),
    "RNN": (nn.RNN, {}),
    "relu, no biases": (nn.RNN, {"nonlinearity": "relu", "bias": False}),
}


def both(kind):
    """The last layer's outputs and the final states, by torch and by borrowed layers; and these layers' states."""
    torch.manual_seed(0)
    make, options = KINDS[kind]
    rnn, x = make(4, 6, num_layers=3, batch_first=True, **options), torch.randn(5, 7, 4)
    want, end = rnn(x)
    states, out = [], x
    for layer in range(3):
        part = Borrowed(rnn, layer)
        states.append(part.states(out))
        out = part.output(states[-1])
    return rnn, want, torch.cat(end, -1) if isinstance(end, tuple) else end, out, states


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize("kind", KINDS)
def test_borrowed_layers_give_what_the_whole_gives(kind):
    rnn, want, end, got, states = both(kind)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.stack([one[:, -1] for one in states]), end)
    grads = [torch.autograd.grad(out.square().sum(), list(rnn.parameters()), retain_graph=True) for out in (got, want)]
    for mine, its in zip(*grads, strict=True):
        torch.testing.assert_close(mine, its)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize("kind", KINDS)
def test_states_go_on_from_a_start_and_over_padding(kind):
    torch.manual_seed(1)
    make, options = KINDS[kind]
    rnn, x = make(4, 6, batch_first=True, **options), torch.randn(5, 7, 4)
    part = Borrowed(rnn, 0)
    whole = part.states(x)
    torch.testing.assert_close(part.states(x[:, 3:], start=whole[:, 2]), whole[:, 3:])
    mask = torch.rand(5, 7) < 0.6
    got = part.states(x, mask)
    for row in range(5):
        alone = part.states(x[row, mask[row]][None])[0]
        seen = mask[row].cumsum(0)
        for position in range(7):
            want = alone[seen[position] - 1] if seen[position] else torch.zeros_like(alone[0])
            torch.testing.assert_close(got[row, position], want)


def test_nothing_of_the_recurrence_changes():
    rnn = nn.LSTM(4, 6, num_layers=2)
    weights = {name: (value, value.clone()) for name, value in rnn.named_parameters()}
    part = Borrowed(rnn, 1)
    part.states(torch.randn(2, 3, 6)).sum().backward()
    assert part.rnn.weight_hh_l0 is rnn.weight_hh_l1
    assert all(rnn.get_parameter(name) is value for name, (value, _) in weights.items())
    assert all(torch.equal(*both) for both in weights.values())
    assert rnn.weight_hh_l1.grad is not None
    assert rnn.weight_hh_l0.grad is None
