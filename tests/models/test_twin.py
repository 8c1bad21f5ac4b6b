import runpy
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PretrainedConfig

from numsym.errors import InvalidArgumentError
from numsym.models import RecurrentConfig, RecurrentLM, load
from numsym.models.own import RecurrentAdapter
from numsym.models.twin import check_twin, twin

MINE = runpy.run_path(str(Path(__file__).parent / "own_networks.py"))
IDS = torch.tensor([[1, 2, 3, 4]])


class Written(nn.Module):
    """Made with arguments that nothing tells; its first state is a weight of its own."""

    def __init__(self, width):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(9, width), nn.GRU(width, width, batch_first=True)
        self.first, self.out = nn.Parameter(torch.randn(width)), nn.Linear(width, 9)

    def forward(self, tokens):
        return self.out(self.rnn(self.embed(tokens) + self.first)[0])


class Resets(Written):
    def reset_parameters(self):
        with torch.no_grad():
            self.first.uniform_(3, 4)


class Configured(Written):
    def __init__(self, config):
        super().__init__(config.width)
        self.config = config


class Usual(Written):
    def __init__(self, width=5):
        super().__init__(width)


def fresh(model):
    """The twin, after what every twin must be."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.random.get_rng_state()
    made, again, other = twin(model, 1), twin(model, 1), twin(model, 2)
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert type(made) is type(model)
    assert not made.training
    assert not any(p.requires_grad for p in made.parameters())
    values, same, others = (torch.cat([p.flatten() for p in one.parameters()]) for one in (made, again, other))
    assert values.isfinite().all()
    assert torch.equal(values, same)
    assert not torch.equal(values, others)
    assert not torch.equal(values, torch.cat([p.flatten() for p in model.parameters()]))
    check_twin(model)
    return made


def test_a_twin_comes_from_the_config_else_from_defaults_else_from_resets():
    torch.manual_seed(0)
    made = fresh(load(Configured(PretrainedConfig(width=5))))
    assert isinstance(made, RecurrentAdapter)
    assert made(IDS).logits.shape == (1, 4, 9)
    assert fresh(load(Usual())).module.first.shape == (5,)
    # Another width than by default: its constructor cannot have made it, and no reset draws its own weight.
    with pytest.raises(
        InvalidArgumentError, match=r"for Usual: it is made neither .* no `reset_parameters` draws first"
    ):
        twin(load(Usual(7)), 0)
    assert 3 <= fresh(load(Resets(6))).module.first.min() <= 4


class Read(Usual):
    """Reads weights that somebody trained."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.fill_(0.5)


def test_a_constructor_that_reads_weights_makes_no_twin():
    with pytest.raises(InvalidArgumentError, match="no `reset_parameters` draws first"):
        check_twin(load(Read()))


def test_a_network_that_cannot_be_made_again_is_refused():
    model = load(Written(6))
    with pytest.raises(
        InvalidArgumentError, match=r"controls with 'untrained' is not allowed for Written.*other controls"
    ):
        check_twin(model)
    # All its weights belong to torch's own modules.
    del model.module.first
    model.module.first = 0.0
    fresh(model)


@pytest.mark.parametrize("kind", ["GRUTrue", "LSTMFalse", "RNNCell", "own cell"])
def test_twins_of_ones_own_networks_hold_the_same_sites(kind):
    torch.manual_seed(0)
    model = load(MINE["KINDS"][kind](2))
    made = fresh(model)
    assert made.config.widths == model.config.widths
    assert made.recurrences == model.recurrences


def test_the_twin_of_numsyms_own_is_what_its_constructor_draws():
    config = RecurrentConfig(hidden_size=8)
    model = RecurrentLM(config)
    torch.manual_seed(5)
    want = RecurrentLM(config).state_dict()
    assert all(torch.equal(value, want[name]) for name, value in twin(model, 5).state_dict().items())
    half = twin(model.to(torch.float64), 5)
    assert {p.dtype for p in half.parameters()} == {torch.float64}
