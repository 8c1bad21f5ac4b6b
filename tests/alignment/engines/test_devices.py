"""Where engines make their tensors, and that a step waits for no device: on the meta device, which has no values.

A torch without CUDA refuses fake CUDA tensors in its recurrences and in Python's indexing, so they would not do here.
"""

import pytest
import torch
from torch.utils._pytree import tree_map

import numsym
from numsym.alignment.engines.cross import ALL, CrossEngine, Joint, Side
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.engines.stepped import SteppedEngine
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM
from numsym.models.discover import layers_of
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


def draw():
    g = torch.Generator().manual_seed(0)
    return interchange_pairs(TASK, TASK.program("up_down"), ("count",), 20, generator=g)


def check(engine):
    pairs = draw()
    loss, right = engine.measure([engine.prepare(pairs)], [torch.arange(8)], [0])
    loss.sum().backward()
    grads = [parameter.grad for parameter in engine.parameters() if parameter.grad is not None]
    assert grads
    assert {tensor.device.type for tensor in (loss, *right, *grads)} == {"meta"}


@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
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


@pytest.fixture
def eager(decoder):
    """A decoder whose attention asks no mask for values: transformers' other kinds do, where no cache comes first."""

    def made(name):
        model = decoder(name)
        model.set_attn_implementation("eager")
        return model

    return made


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
@pytest.mark.parametrize("site", ["block_output:1", "attention_output:2", "embeddings"])
@pytest.mark.parametrize("cache_bytes", [1 << 30, 0])
def test_the_engine_of_decoders(eager, name, site, cache_bytes):
    model, place = eager(name).to("meta"), Site.of(site)
    check(SuffixEngine(model, place, [away("low_rank", place.check(model))], cache_bytes))


@pytest.mark.parametrize("site", ["block_output:1", "embeddings"])
def test_a_decoder_that_goes_on_by_itself(eager, site):
    model, place = eager("llama").to("meta"), Site.of(site)
    engine = SuffixEngine(model, place, [away("low_rank", place.check(model))])
    with torch.no_grad():
        logits, states = engine._begun(engine.prepare(draw()).rows(torch.arange(8)), 0)
        for _ in range(2):
            logits = states.step(logits.argmax(-1))
    assert logits.device.type == states._mask.device.type == "meta"
    assert len(logits) == 8


@pytest.mark.parametrize("site", ["embeddings", "block_output:0", "attention_output:1", "block_output:2"])
@pytest.mark.parametrize("cache_bytes", [1 << 30, 0])
def test_the_engine_of_transformers(site, cache_bytes):
    config = TransformerConfig(vocab_size=9, hidden_size=8, num_heads=2, num_layers=3)
    model = torch.nn.Module.to(TransformerLM(config).eval().requires_grad_(False), "meta")
    check(TransformerEngine(model, Site.of(site), [away("linear", 8)], cache_bytes))


def test_the_engine_of_two_networks():
    sides = tuple(
        Side(cell, RecurrentLM(RecurrentConfig(cell=cell, vocab_size=9, hidden_size=12)).eval().to("meta"), TASK)
        for cell in ("gru", "lstm")
    )
    engine = CrossEngine(sides, [(away("linear", 12), away("orthogonal", 12))])
    prepared = engine.prepare(Joint({direction: draw() for direction in ALL}))
    loss, right = engine.measure([prepared], [torch.arange(8)], [0])
    loss.sum().backward()
    grads = [parameter.grad for parameter in engine.parameters() if parameter.grad is not None]
    assert grads
    assert {tensor.device.type for tensor in (loss, *right, *grads)} == {"meta"}


def spread(model, first):
    """Blocks from `first` on and what follows them elsewhere, given what they take there, as accelerate does it."""

    def there(_module, args, kwargs):
        return tree_map(lambda one: one.to("meta") if isinstance(one, torch.Tensor) else one, (args, kwargs))

    for block in [*layers_of(model)[1][first:], model.model.norm, model.lm_head]:
        block.to("meta")
        block.register_forward_pre_hook(there, with_kwargs=True)
    return model


@pytest.mark.parametrize("layer", [0, 1])
def test_of_a_decoder_spread_over_devices_all_lies_where_its_block_does(eager, layer):
    """Two of three blocks are elsewhere; what is exchanged at the last that is here goes on there."""
    model, site = spread(eager("llama"), 1), Site("block_output", layer)
    engine = SuffixEngine(model, site, [away("linear", 32) if layer else build("linear", 32, 4, 1, 0)])
    with torch.set_grad_enabled(layer > 0):
        prepared = engine.prepare(draw())
        loss, right = engine.measure([prepared], [torch.arange(8)], [0])
    assert {side.device.type for both in prepared.kept.past.values() for side in both} == {"meta"}
    assert prepared.kept.stream.device.type == ("meta" if layer else "cpu")
    assert {tensor.device.type for tensor in (loss, *right)} == {"meta"}
