"""Small linear RNNs: their shapes, that they learn, and that they are read back."""

import pytest
import torch
from torch import nn
from transformers import Qwen3NextConfig, Qwen3NextForCausalLM

import numsym
from numsym.errors import InvalidArgumentError
from numsym.models import Site, build, state_sites
from numsym.models.linear_rnns import gated_deltanet_config, mamba2_config
from numsym.models.twin import twin

SHAPE = {"hidden_size": 16, "num_heads": 2, "state_size": 4, "conv_kernel": 3}
WIDTHS = {
    "mamba2": 2 * 16 * 4 + (2 * 16 + 2 * 4) * 3,
    "gated_deltanet": 2 * 16 * 4 + (2 * 16 + 2 * 2 * 4) * 3,
}
"""Of a state: the heads' matrices, and the last inputs of the convolution."""


@pytest.mark.parametrize("kind", WIDTHS)
def test_every_layer_has_its_state_and_the_convolutions_last_inputs(kind):
    model = build(9, kind, num_layers=2, **SHAPE)
    assert state_sites(model) == [Site("state", 0), Site("state", 1)]
    assert model.state_widths == dict.fromkeys(range(2), WIDTHS[kind])
    assert model(torch.zeros(2, 5, dtype=torch.long)).logits.shape == (2, 5, 9)


@pytest.mark.parametrize("kind", WIDTHS)
def test_it_learns_and_is_read_back(kind, tmp_path):
    task = numsym.tasks.Parity(counts=range(1, 3), held_out=())
    model = build(task.vocab_size, kind, **SHAPE)
    log = numsym.train(model, task, steps=60, batch_size=16, learning_rate=0.01, check_every=20)
    assert log.records[-1]["accuracy"] > 0.9
    model.save_pretrained(tmp_path / "model")
    again = numsym.models.load(tmp_path / "model")
    ids = task.sample(8, generator=torch.Generator().manual_seed(0)).input_ids
    torch.testing.assert_close(again(ids).logits, model(ids).logits)
    assert again.state_widths == model.state_widths


def test_the_time_steps_of_a_gated_deltanet_are_small_and_its_twins_are_too(tmp_path):
    build(9, "gated_deltanet", num_layers=2, num_heads=8).save_pretrained(tmp_path / "model")
    model = numsym.models.load(tmp_path / "model")
    for one in (model, twin(model, 1)):
        steps = torch.cat([nn.functional.softplus(p) for name, p in one.named_parameters() if name.endswith("dt_bias")])
        assert len(steps) == 16
        assert steps.min() >= 0.00099
        assert 0.01 < steps.max() <= 0.1001
    plain = Qwen3NextForCausalLM(Qwen3NextConfig(**model.config.to_dict() | {"time_step_limits": None}))
    assert (plain.model.layers[0].linear_attn.dt_bias == 1).all()


def test_a_shape_that_does_not_fit_is_named():
    with pytest.raises(InvalidArgumentError, match="num_heads=3 is not allowed with hidden_size=16"):
        mamba2_config(hidden_size=16, num_heads=3)
    with pytest.raises(InvalidArgumentError, match="state_size=0 is not allowed"):
        gated_deltanet_config(state_size=0)
    with pytest.raises(InvalidArgumentError, match="model has cell, which is not allowed: mamba2_config takes vocab"):
        build(9, "mamba2", cell="gru")
