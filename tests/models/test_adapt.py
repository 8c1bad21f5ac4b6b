"""What of a network is found, and what is said of one that cannot be adapted."""

import logging
import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

import numsym
from numsym.errors import ModelMismatchError
from numsym.models import Component, components_of, load, register
from numsym.models.adapt import adapt
from numsym.models.own import Interface
from numsym.models.recurrences import Recurrence

MINE = runpy.run_path(str(Path(__file__).parent / "own_networks.py"))
RECURRENCES = runpy.run_path(str(Path(__file__).parent / "test_recurrences.py"))
Fused, Looped, VOCAB = MINE["Fused"], MINE["Looped"], MINE["VOCAB"]


@pytest.mark.parametrize("gives", MINE["GIVES"])
def test_logits_may_be_given_in_four_ways(gives):
    torch.manual_seed(0)
    network = Fused(gives=gives)
    ids = torch.randint(VOCAB, (2, 5))
    model = load(network)
    assert model(ids).logits.shape == (2, 5, VOCAB)
    assert (model.config.vocab_size, model.config.hidden_size) == (VOCAB, MINE["WIDTH"])


def test_how_it_is_called_is_found():
    torch.manual_seed(0)
    kinds = MINE["KINDS"]
    assert adapt(kinds["GRUTrue"](1)).interface == Interface()
    assert adapt(kinds["GRU, time first"](1)).interface == Interface(nothing=("hidden",), time_first=True)
    assert adapt(kinds["packed GRU"](1)).interface == Interface(mask=torch.long)
    # `torch.where` takes no numbers for a mask.
    assert adapt(kinds["own cell"](1)).interface == Interface(mask=torch.bool, needs_mask=True)


class TimeFirstLoop(Looped):
    def forward(self, tokens):
        return super().forward(tokens.T).transpose(0, 1)


def test_a_loop_over_the_first_dimension_is_turned():
    torch.manual_seed(0)
    network, ids = TimeFirstLoop(nn.LSTMCell), torch.randint(VOCAB, (2, 5))
    model = load(network)
    assert model.interface.time_first
    torch.testing.assert_close(model(ids).logits, network(ids.T).transpose(0, 1))


def test_of_a_cell_within_a_cell_the_one_with_the_whole_state_is_taken():
    torch.manual_seed(0)
    model = adapt(RECURRENCES["Nested"]())
    assert model.recurrences == (Recurrence("cell", state=(0, 1)),)
    assert model.whole


class LooksBack(Fused):
    """Attends over all earlier outputs besides."""

    def forward(self, tokens):
        hidden, _ = self.rnn(self.embed(tokens))
        return self.out(hidden + hidden.cumsum(1) / torch.arange(1, 1 + tokens.shape[1])[:, None])


def test_a_network_that_carries_more_is_adapted_with_a_warning(caplog):
    torch.manual_seed(0)
    with caplog.at_level(logging.WARNING):
        model = load(LooksBack())
    assert not model.whole
    assert "the states of 'rnn' at one position do not decide all that follows it" in caplog.text


class Both(Fused):
    def __init__(self):
        super().__init__(bidirectional=True)

    def forward(self, tokens, prompt):
        return self.out(self.rnn(self.embed(tokens))[0][..., : MINE["WIDTH"]]) + prompt.mean()


class Last(Fused):
    def forward(self, tokens):
        return super().forward(tokens)[:, -1]


class Ahead(Fused):
    def forward(self, tokens):
        return super().forward(tokens).flip(1)


class Mixed(Fused):
    def forward(self, tokens):
        logits = super().forward(tokens)
        return logits - logits.mean(0)


class Longer(Fused):
    def forward(self, tokens):
        return super().forward(torch.cat([tokens[:, :1], tokens], 1))[:, 1:]


class Written(nn.Module):
    """A recurrence that is written out, over a linear layer."""

    def __init__(self):
        super().__init__()
        self.embed, self.step, self.out = nn.Embedding(VOCAB, 4), nn.Linear(4, 4), nn.Linear(4, VOCAB)

    def forward(self, tokens):
        state, logits = torch.zeros(len(tokens), 4), []
        for token in tokens.unbind(1):
            state = (self.embed(token) + self.step(state)).tanh()
            logits.append(self.out(state))
        return torch.stack(logits, 1)


class Nothing(Fused):
    def forward(self, tokens):
        return {"values": super().forward(tokens)}


class StatesFirst(Fused):
    def forward(self, tokens):
        hidden, _ = self.rnn(self.embed(tokens))
        return hidden, self.out(hidden)


class CellFirst(Looped):
    def forward(self, tokens):
        state, states = None, []
        for token in tokens.unbind(1):
            state = self.cells[0](self.embed(token), state)
            states.append(state)
        return torch.stack(states, 1), self.out(torch.stack(states, 1))


SAID = {
    "no decoder": (
        lambda: nn.GRU(4, 4),
        r"GRU is not allowed: its forward does not run on tokens alone, torch.long.*; it is an nn.GRU alone: give the "
        "network that embeds",
    ),
    "states first": (StatesFirst, "its forward gives the states of 'rnn' first, where logits may be a tensor"),
    "a cell's first": (CellFirst, "its forward gives the states of 'cells.0' first, where logits may be a tensor"),
    "two things": (
        Both,
        r"and None as prompt \(AttributeError: .*; its nn.GRU at 'rnn' runs in both directions, so that its states",
    ),
    "one vector": (Last, r"its forward gives \(3, 9\) for tokens \(3, 6\): logits are \(batch, pos, vocab\)"),
    "later tokens": (Ahead, "its logits at a position depend on later tokens"),
    "other rows": (Mixed, "its logits in a row depend on other rows"),
    "another token": (Longer, "its nn.GRU at 'rnn' runs over 7 steps for 6 tokens: it must run over each once"),
    "no cell": (
        Written,
        r"no recurrence is found in it: .*; of it 'embed' \(Embedding\), 'step' \(Linear\), 'out' \(Linear\) run "
        "several times, but none once a token and with what its last call gave: make the whole step",
    ),
    "no recurrence": (
        lambda: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9)),
        "no recurrence is found in it: an nn.RNN",
    ),
    "no weights": (nn.Identity, "it has no weights"),
    "no logits": (Nothing, "its forward gives dict, where logits may be a tensor, the first of a tuple, or `logits`"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_missing_is_said_in_a_sentence(case):
    make, said = SAID[case]
    torch.manual_seed(0)
    network = make().train()
    with pytest.raises(ModelMismatchError, match=said) as caught:
        load(network)
    assert "\n" not in str(caught.value)
    assert all(part.training for part in network.modules())


class Plain(Fused):
    config = type("Config", (), {"hidden_size": MINE["WIDTH"]})()

    def forward(self, input_ids):
        return super().forward(input_ids)


class PlainLoop(Looped):
    config = type("Config", (), {"hidden_size": MINE["WIDTH"]})()

    def forward(self, input_ids):
        return super().forward(input_ids)


class OwnLoop(MINE["Own"]):
    config = type("Config", (), {"hidden_size": MINE["WIDTH"]})()

    def forward(self, input_ids):
        return super().forward(input_ids, torch.ones_like(input_ids, dtype=torch.bool))


class WrittenOut(Written):
    config = type("Config", (), {"hidden_size": 4})()

    def forward(self, input_ids):
        return super().forward(input_ids)


def test_a_bare_recurrence_as_a_site_is_refused_before_the_search():
    task = numsym.tasks.MultiObject(counts=range(1, 4))
    register(Plain, {"state": Component("rnn", "hidden_size"), "read": Component("out", "hidden_size", "input")})
    network = Plain()
    said = (
        r"'state' is not allowed for Plain: its module is a fused nn.GRU.*numsym.models.load\(model\) makes its state"
    )
    with pytest.raises(ModelMismatchError, match=said):
        numsym.align(network, task, site="state")
    assert components_of(network) == ("read",)
    model = load(network)
    assert components_of(model)[0] == "state"
    register(OwnLoop, {"state": Component("cells[%s]", "hidden_size")})
    with pytest.raises(ModelMismatchError, match="runs 3 times for 3 tokens"):
        numsym.align(OwnLoop(), task, site="state")
    assert components_of(load(OwnLoop()))[0] == "state"
    register(WrittenOut, {"pre": Component("step", "hidden_size")})
    with pytest.raises(ModelMismatchError, match="no recurrence is found in it"):
        load(WrittenOut())
    register(PlainLoop, {"state": Component("cells[%s]", "hidden_size")})
    with pytest.raises(
        ModelMismatchError, match=r"its module runs 3 times for 3 tokens.*load\(model\) makes the state of"
    ):
        numsym.align(PlainLoop(), task, site="state")
    assert components_of(load(PlainLoop()))[0] == "state"
