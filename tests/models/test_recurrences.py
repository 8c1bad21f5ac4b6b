import runpy
from pathlib import Path

import torch
from torch import nn

from numsym.models.recurrences import Call, Recurrence, calls_of, candidates, carried, running

MINE = runpy.run_path(str(Path(__file__).parent / "own_networks.py"))
IDS = torch.tensor([[1, 2, 3, 4, 5], [2, 2, 0, 1, 3], [5, 4, 3, 2, 1]])


def found(network, **given):
    with calls_of(network) as calls, torch.no_grad():
        network(IDS, **given)
    return candidates(network, calls, 3, 5)


def test_fused_ones_and_cells_are_found_in_the_order_in_which_they_run():
    torch.manual_seed(0)
    kinds = MINE["KINDS"]
    assert found(kinds["GRUTrue"](2)) == [[Recurrence("rnn", 2)]]
    assert found(kinds["stepped LSTM"](2)) == [[Recurrence("rnn", 2)]]
    assert found(kinds["LSTMCell"](2)) == [[Recurrence("cells.0", state=(0, 1)), Recurrence("cells.1", state=(0, 1))]]
    mask = torch.ones_like(IDS, dtype=torch.bool)
    # What it reads off its state and passes on is the first that it gives, and is not carried.
    assert found(kinds["own cell"](1), attention_mask=mask) == [[Recurrence("cells.0", state=(1, 2))]]


class Within(nn.Module):
    """A cell of torch's within one of one's own, which holds a memory beside it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.GRUCell(4, 4)

    def forward(self, x, state):
        hidden, memory = state
        hidden = self.inner(x + memory, hidden)
        return hidden, 0.5 * memory + hidden


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.cell, self.out = nn.Embedding(9, 4), Within(), nn.Linear(4, 9)

    def forward(self, tokens):
        state, logits = (torch.zeros(len(tokens), 4),) * 2, []
        for token in tokens.unbind(1):
            state = self.cell(self.embed(token), state)
            logits.append(self.out(state[0]))
        return torch.stack(logits, 1)


def test_of_a_cell_within_a_cell_both_are_named():
    torch.manual_seed(0)
    inner, outer = found(Nested())
    assert inner == [Recurrence("cell.inner", state=(0,))]
    assert outer == [Recurrence("cell", state=(0, 1))]


def test_what_is_carried_is_told_by_what_the_next_call_takes():
    a, b, c, zero = torch.rand(3, 2), torch.rand(3, 2), torch.rand(3, 2), torch.zeros(3, 2)
    assert carried([Call([zero], [a]), Call([a], [b]), Call([b * 1], [c])], 3) == (0,)
    assert carried([Call([zero], [a]), Call([b], [c])], 3) == ()
    # A constant that looks the same says nothing; the very same tensor does.
    assert carried([Call([zero], [torch.ones(3, 2)]), Call([torch.ones(3, 2)], [a])], 3) == ()
    one = torch.ones(3, 2)
    assert carried([Call([zero], [one]), Call([one], [a])], 3) == (0,)
    assert carried([Call([zero], [a])], 3) == ()
    # Numbers of steps are no state, nor is what has no row for each of the batch.
    steps = torch.arange(3)
    assert carried([Call([zero], [steps, a[:2]]), Call([steps, a[:2]], [steps, b[:2]])], 3) == ()


def test_hooks_are_there_while_it_runs_and_no_longer():
    network = MINE["KINDS"]["LSTMCell"](2)
    recurrences = found(network)[0]
    with torch.no_grad():
        plain = network(IDS)
        with running(network, recurrences, {}, 1, 5) as run:
            torch.testing.assert_close(network(IDS), plain)
        assert run.states.shape == (3, 5, 2 * MINE["WIDTH"])
    assert not any(part._forward_hooks for part in network.modules())
    with running(network, recurrences, {}, None, 5) as run:
        assert not any(part._forward_hooks for part in network.modules())
        network(IDS)
    assert run.states is None
