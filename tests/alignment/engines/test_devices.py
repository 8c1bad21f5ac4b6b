"""Where engines make their tensors, and that a step waits for no device: on the meta device, which has no values.

A torch without CUDA refuses fake CUDA tensors in its recurrences and in Python's indexing, so they would not do here.
"""

import pytest
import torch

import numsym
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.engines.stepped import SteppedEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.models.site import Site

TASK = numsym.tasks.MultiObject(counts=range(1, 5), held_out=())


def away(function, width):
    """An alignment on the meta device; its sizes, which are buffers, are read when an engine is made."""
    one = build(function, width, 4, 1, 0)
    for part in one.modules():
        sizes = {name: value for name, value in part._buffers.items() if name in ("interchange_dim", "embed_dim")}
        part._apply(lambda tensor: tensor.to("meta"), recurse=False)
        part._buffers.update(sizes)
    return one


def check(engine):
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(TASK, TASK.program("up_down"), ("count",), 20, generator=g)
    loss, right = engine.measure([engine.prepare(pairs)], [torch.arange(8)], [0])
    loss.sum().backward()
    grads = [parameter.grad for parameter in engine.parameters() if parameter.grad is not None]
    assert grads
    assert {tensor.device.type for tensor in (loss, *right, *grads)} == {"meta"}


@pytest.mark.parametrize("function", list(ALIGNMENTS))
@pytest.mark.parametrize(("cell", "layers", "layer"), [("gru", 1, 0), ("gru", 3, 1), ("lstm", 3, 1)])
def test_the_recurrent_engine_runs_torchs_packed_recurrence_there(function, cell, layers, layer):
    config = RecurrentConfig(cell=cell, vocab_size=9, hidden_size=12, num_layers=layers)
    model = RecurrentLM(config).eval().requires_grad_(False).to("meta")
    engine = RecurrentEngine(model, Site("state", layer), [away(function, 12)])
    assert engine.fused
    check(engine)


@pytest.mark.parametrize("kind", ["mamba2", "gated_deltanet"])
def test_the_engine_of_linear_rnns(kind):
    model = numsym.models.build(9, kind, hidden_size=8, num_heads=2, state_size=2, conv_kernel=2, num_layers=2)
    site = Site("state", 1)
    one = away("low_rank", site.check(model))
    check(SteppedEngine(model.requires_grad_(False).to("meta"), site, [one]))
