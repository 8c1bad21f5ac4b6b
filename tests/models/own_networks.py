"""Recurrent networks as users write them, and each step by step, by hand, from torch's own cells."""

from types import SimpleNamespace

import torch
from torch import nn

VOCAB, WIDTH = 9, 6
GIVES = {
    "tensor": lambda logits: logits,
    "tuple": lambda logits: (logits, "something"),
    "dict": lambda logits: {"loss": None, "logits": logits},
    "object": lambda logits: SimpleNamespace(logits=logits),
}


class Fused(nn.Module):
    """Embedding, a fused recurrence, a decoder."""

    def __init__(self, kind=nn.GRU, layers=1, batch_first=True, gives="tensor", **options):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 5)
        self.rnn = kind(5, WIDTH, num_layers=layers, batch_first=batch_first, **options)
        self.out = nn.Sequential(nn.Linear(options.get("proj_size", WIDTH), 8), nn.GELU(), nn.Linear(8, VOCAB))
        self.turned, self.gives = not batch_first, gives

    def forward(self, tokens):
        x = self.embed(tokens)
        hidden, _ = self.rnn(x.transpose(0, 1) if self.turned else x)
        return GIVES[self.gives](self.out(hidden.transpose(0, 1) if self.turned else hidden))


class TimeFirst(Fused):
    """As in many tutorials: (pos, batch), and a first state that the caller gives."""

    def __init__(self, kind=nn.GRU, layers=1):
        super().__init__(kind, layers, batch_first=False)

    def forward(self, tokens, hidden):
        x, hidden = self.rnn(self.embed(tokens), hidden)
        return self.out(x), hidden


class Packs(Fused):
    """Packs what its mask says is real."""

    def forward(self, input_ids, attention_mask=None):
        x = self.embed(input_ids)
        if attention_mask is None:
            return self.out(self.rnn(x)[0])
        lengths = attention_mask.sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], True, total_length=x.shape[1])
        return self.out(hidden)


class Stepped(Fused):
    """Calls the fused recurrence once a token, with a first state that it has learned."""

    def __init__(self, kind=nn.GRU, layers=1):
        super().__init__(kind, layers)
        self.first = nn.Parameter(torch.randn(2, layers, 1, WIDTH))

    def forward(self, tokens):
        first = self.first.expand(-1, -1, len(tokens), -1).contiguous()
        state, logits = tuple(first) if isinstance(self.rnn, nn.LSTM) else first[0], []
        for token in tokens.unbind(1):
            hidden, state = self.rnn(self.embed(token)[:, None], state)
            logits.append(self.out(hidden[:, 0]))
        return torch.stack(logits, 1)


class Looped(nn.Module):
    """A loop over one of torch's cells a layer."""

    def __init__(self, kind=nn.GRUCell, layers=1):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.cells = nn.ModuleList(kind(WIDTH, WIDTH) for _ in range(layers))
        self.out = nn.Linear(WIDTH, VOCAB)

    def forward(self, tokens):
        states, logits = [None] * len(self.cells), []
        for token in tokens.unbind(1):
            x = self.embed(token)
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
            logits.append(self.out(x))
        return torch.stack(logits, 1)


class OwnCell(nn.Module):
    """A gated cell with a slow memory beside its hidden state; what it passes on is neither of the two."""

    def __init__(self):
        super().__init__()
        self.gate, self.new = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(3 * WIDTH, WIDTH)
        self.read = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x, state):
        hidden, memory = state
        gate = self.gate(torch.cat([x, hidden], -1)).sigmoid()
        hidden = gate * hidden + (1 - gate) * self.new(torch.cat([x, hidden, memory], -1)).tanh()
        memory = 0.8 * memory + 0.2 * hidden
        return self.read(torch.cat([hidden, memory], -1)), (hidden, memory)


class Own(nn.Module):
    """A loop over cells of one's own, whose states a mask carries over padding."""

    def __init__(self, layers=1):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.cells = nn.ModuleList(OwnCell() for _ in range(layers))
        self.out = nn.Linear(WIDTH, VOCAB)

    def forward(self, input_ids, attention_mask):
        zero = self.embed.weight.new_zeros(len(input_ids), WIDTH)
        states, logits = [(zero, zero) for _ in self.cells], []
        for t in range(input_ids.shape[1]):
            x, real = self.embed(input_ids[:, t]), attention_mask[:, t, None]
            for layer, cell in enumerate(self.cells):
                x, new = cell(x, states[layer])
                states[layer] = tuple(torch.where(real, a, b) for a, b in zip(new, states[layer], strict=True))
            logits.append(self.out(x))
        return {"logits": torch.stack(logits, 1)}


KINDS = {
    **{
        f"{kind.__name__}{first}": lambda layers, kind=kind, first=first: Fused(kind, layers, batch_first=first)
        for kind in (nn.GRU, nn.LSTM, nn.RNN)
        for first in (True, False)
    },
    "GRU, time first": lambda layers: TimeFirst(nn.GRU, layers),
    "LSTM, time first": lambda layers: TimeFirst(nn.LSTM, layers),
    "LSTM with projections": lambda layers: Fused(nn.LSTM, layers, proj_size=4),
    "RNN without biases": lambda layers: Fused(nn.RNN, layers, nonlinearity="relu", bias=False),
    "packed GRU": lambda layers: Packs(nn.GRU, layers, gives="dict"),
    "stepped GRU": lambda layers: Stepped(nn.GRU, layers),
    "stepped LSTM": lambda layers: Stepped(nn.LSTM, layers),
    "GRUCell": lambda layers: Looped(nn.GRUCell, layers),
    "LSTMCell": lambda layers: Looped(nn.LSTMCell, layers),
    "RNNCell": lambda layers: Looped(nn.RNNCell, layers),
    "own cell": Own,
}
"""Name -> a network of so many layers."""


def step(network, layer):
    """One layer's step: (x, state) -> (what it passes on, state), the state's parts side by side."""
    if isinstance(network, Fused):
        rnn = network.rnn
        x, h = getattr(rnn, f"weight_ih_l{layer}"), getattr(rnn, f"weight_hh_l{layer}")
        bx, bh = (getattr(rnn, f"bias_{part}_l{layer}") if rnn.bias else 0 for part in ("ih", "hh"))
        return lambda value, state: by_equations(rnn.mode, rnn.proj_size, state, value @ x.T + bx, h, bh, rnn, layer)
    cell = network.cells[layer]
    if isinstance(cell, OwnCell):

        def own(value, state):
            passed, (hidden, memory) = cell(value, state.chunk(2, -1))
            return passed, torch.cat([hidden, memory], -1)

        return own
    if isinstance(cell, nn.LSTMCell):

        def lstm(value, state):
            new = cell(value, tuple(state.chunk(2, -1)))
            return new[0], torch.cat(new, -1)

        return lstm
    return lambda value, state: (cell(value, state),) * 2


def by_equations(mode, projected, state, gx, weight, bias, rnn, layer):
    """Torch's documented equations of a layer."""
    passed = projected or WIDTH
    hidden = state[:, :passed]
    gh = hidden @ weight.T + bias
    if mode == "GRU":
        (rx, zx, nx), (rh, zh, nh) = gx.chunk(3, -1), gh.chunk(3, -1)
        update = (zx + zh).sigmoid()
        new = (1 - update) * (nx + (rx + rh).sigmoid() * nh).tanh() + update * hidden
    elif mode == "LSTM":
        i, f, g, o = (gx + gh).chunk(4, -1)
        memory = f.sigmoid() * state[:, passed:] + i.sigmoid() * g.tanh()
        new = o.sigmoid() * memory.tanh()
        new = new @ getattr(rnn, f"weight_hr_l{layer}").T if projected else new
        return new, torch.cat([new, memory], -1)
    else:
        new = (gx + gh).tanh() if mode == "RNN_TANH" else (gx + gh).relu()
    return new, new


def width(network):
    """The width of a layer's state."""
    if isinstance(network, Fused):
        passed = network.rnn.proj_size or WIDTH
        return passed + WIDTH if isinstance(network.rnn, nn.LSTM) else passed
    return WIDTH * (2 if isinstance(network.cells[0], OwnCell | nn.LSTMCell) else 1)


def by_hand(network, ids, edits=()):
    """Logits, and every layer's state after every token; `edits`: (layer, position by row, function of the states)."""
    layers = network.rnn.num_layers if isinstance(network, Fused) else len(network.cells)
    steps = [step(network, layer) for layer in range(layers)]
    states = [torch.zeros(len(ids), width(network), dtype=network.embed.weight.dtype) for _ in steps]
    if isinstance(network, Stepped):
        parts = 2 if isinstance(network.rnn, nn.LSTM) else 1
        states = [network.first[:parts, i, 0].flatten().expand(len(ids), -1) for i in range(layers)]
    trace, logits = [], []
    for t in range(ids.shape[1]):
        x = network.embed(ids[:, t])
        for layer, one in enumerate(steps):
            x, new = one(x, states[layer])
            for where, at, edit in edits:
                if where == layer:
                    changed = torch.where((at == t)[:, None], edit(new.clone()), new)
                    x = passed_on(network, layer, x, new, changed)
                    new = changed
            states[layer] = new
        trace.append(list(states))
        logits.append(network.out(x))
    return torch.stack(logits, 1), [torch.stack([step[layer] for step in trace], 1) for layer in range(layers)]


def passed_on(network, layer, x, before, after):
    """What a layer passes on once its state was changed: of a cell of one's own, what it had read already."""
    if isinstance(network, Own):
        return x
    return after[:, : x.shape[1]]
