"""The fast route against the pyvene route: same parameters, same pairs, same loss, gradients and correctness."""

from dataclasses import replace

import pytest
import torch

from numsym._pyvene import component_width, pv
from numsym.alignment.engines.choice import engine_for
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import TransformerConfig, TransformerLM
from numsym.models.site import Site
from numsym.tasks import MultiObject

WIDTH = 12
TASK = MultiObject(counts=range(1, 7), held_out=(), void_prob=0.1)


def make(**changes):
    torch.manual_seed(0)
    shape = {"vocab_size": 9, "hidden_size": WIDTH, "num_heads": 2, "num_layers": 2, "max_positions": 48}
    model = TransformerLM(TransformerConfig(**shape | changes)).eval()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # biases and scales too: they start at 0 and 1, where mistakes hide
            torch.nn.init.normal_(parameter, 1.0 if "ln" in name else 0.0, 0.3)
    return model.requires_grad_(False)


def draw(variables=("count",), n=48, seed=0):
    return interchange_pairs(TASK, TASK.program("up_down"), variables, n, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def both(routes):
    short = {"max_steps": 8, "batch_size": 32, "check_every": 4}
    return routes(TransformerEngine, Site("block_output", 0), make, draw, short, (100, 50))


def check_equal(both, model, site, function="linear", variables=("count",), **options):
    interventions = [build(function, component_width(model, site.component), 4, len(variables), seed=1)]
    both.check_equal(model, site, interventions, draw(variables), torch.arange(5, 45), **options)


@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
@pytest.mark.parametrize("component", TransformerEngine.components)
@pytest.mark.parametrize("variables", [("count",), ("phase", "count")])
def test_loss_gradients_and_correctness_equal_the_pyvene_route(both, function, component, variables):
    if ALIGNMENTS[function].mask is not None and len(variables) > 1:
        pytest.skip("a learned boundary has one block")
    check_equal(both, make(num_layers=3), Site(component, 1), function, variables)


@pytest.mark.parametrize("component", TransformerEngine.components)
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (2, 1), (3, 2)])
def test_at_every_layer(both, layers, layer, component):
    check_equal(both, make(num_layers=layers), Site(component, layer))


@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@pytest.mark.parametrize("norm", ["rms", "layer", "none"])
def test_in_every_architecture(both, positions, norm):
    for component in ("embeddings", "block_output"):
        check_equal(both, make(positions=positions, norm=norm), Site(component, 0))


def on_the_left(ids, mask, at, pad):
    """Each row's padding moved to its front, and a column of padding more."""
    ids = torch.nn.functional.pad(ids, (0, 1), value=pad)
    mask, gap = torch.nn.functional.pad(mask, (0, 1)), ids.shape[1] - mask.sum(1)
    columns = (torch.arange(ids.shape[1]) - gap[:, None]) % ids.shape[1]
    return ids.gather(1, columns), mask.gather(1, columns), at + gap, columns


@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("side", ["base", "source", "both"])
def test_padding_on_either_side_gives_the_same(both, side, positions):
    model, site, rows = make(positions=positions), Site("block_output", 0), torch.arange(48)
    moved = pairs = draw()
    if side != "source":
        ids, mask, at, columns = on_the_left(pairs.base_ids, pairs.base_mask, pairs.base_at, TASK.vocabulary.pad)
        scored = torch.nn.functional.pad(pairs.scored, (0, 1)).gather(1, columns)
        moved = replace(moved, base_ids=ids, base_mask=mask, base_at=at, scored=scored)
    if side != "base":
        ids, mask, at, _ = on_the_left(pairs.source_ids, pairs.source_mask, pairs.source_at, TASK.vocabulary.pad)
        moved = replace(moved, source_ids=ids, source_mask=mask, source_at=at)
    interventions = [build("linear", WIDTH, 4, 1, seed=1)]
    found = [
        both.measured(kind(model, site, interventions), one, rows)
        for kind in (PyveneEngine, TransformerEngine)
        for one in (pairs, moved)
    ]
    for loss, right, gradient in found[1:]:
        torch.testing.assert_close(loss, found[0][0], atol=1e-5, rtol=1e-5)
        assert torch.equal(right, found[0][1])
        torch.testing.assert_close(gradient.flatten(), found[0][2].flatten(), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("component", ["embeddings", "block_output", "mlp_activation"])
def test_without_room_the_bases_are_run_again_with_the_same_result(both, component):
    check_equal(both, make(num_layers=3), Site(component, 1), cache_bytes=0)
    engine = TransformerEngine(make(), Site("block_output", 0), [build("linear", WIDTH, 4, 1, 0)], cache_bytes=0)
    assert engine.prepare(draw()).context is None


def test_what_is_kept_is_counted_shared_and_let_go():
    engine = TransformerEngine(make(), Site("block_output", 0), [build("linear", WIDTH, 4, 1, 0)])
    pairs = draw()
    kept = engine.prepare(pairs)
    permuted = engine.prepare(pairs.with_permuted_sources(torch.Generator().manual_seed(0)))
    assert permuted.context is kept.context
    assert not torch.equal(permuted.source, kept.source)
    tight = TransformerEngine(
        engine.model, Site("block_output", 0), engine.interventions, cache_bytes=int(1.5 * kept.context.nbytes)
    )
    first = tight.prepare(pairs)
    assert first.context is not None
    assert tight.prepare(draw(seed=1)).context is None
    del first
    assert tight.prepare(draw(seed=1)).context is not None


def test_stacked_alignments_end_as_each_does_alone(both):
    both.check_stacked()


def test_both_routes_search_to_the_same_alignment(both):
    both.check_searches()


@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
def test_in_bfloat16_the_exchange_is_in_float32_and_the_routes_agree(both, function):
    model, site, rows = make().to(torch.bfloat16), Site("block_output", 0), torch.arange(48)
    interventions, pairs = [build(function, WIDTH, 4, 1, seed=1)], draw()
    fast = TransformerEngine(model, site, interventions)
    prepared = fast.prepare(pairs)
    base, source = prepared.context.value, prepared.source
    exchanged = fast.exchange([base], [source], [prepared.block], [0])
    assert base.dtype == source.dtype == exchanged.dtype == torch.bfloat16
    want = interventions[0](base.float(), source.float())
    assert want.dtype == torch.float32
    for ours in (exchanged, interventions[0](base.clone(), source)):
        assert ours.dtype == torch.bfloat16
        # A last place of bfloat16 at most: the float32 results may fall on either side of a half.
        torch.testing.assert_close(ours.float(), want.to(torch.bfloat16).float(), atol=1e-6, rtol=2**-7)
    slow = both.measured(PyveneEngine(model, site, interventions), pairs, rows)
    loss, _, gradient = both.measured(fast, pairs, rows)
    torch.testing.assert_close(loss, slow[0], atol=0.02, rtol=0.02)
    assert torch.nn.functional.cosine_similarity(gradient, slow[2], dim=0) > 0.98
    assert {p.dtype for p in fast.parameters()} == {torch.float32}


def test_what_it_supports():
    model, known = make(), [build("linear", WIDTH, 4, 1, seed=0)]
    assert engine_for(model, Site("block_output", 1), known).name == "resumed"
    assert engine_for(model, Site("value_output", 1), known).name == "pyvene"
    assert not TransformerEngine.supports(model, Site("block_output"), [pv.VanillaIntervention(embed_dim=WIDTH)])
    assert not TransformerEngine.supports(torch.nn.Linear(1, 1), Site("block_output"), known)
    with pytest.raises(ValueError, match=r"at 'value_output:1' .* TransformerLM at embeddings, block_input"):
        engine_for(model, Site("value_output", 1), known, "resumed")


@pytest.mark.cuda
def test_cuda_gives_what_the_cpu_gives(both):
    pairs, rows, site = draw(), torch.arange(48), Site("block_output", 0)
    here, there = (
        both.measured(TransformerEngine(model, site, [build("linear", WIDTH, 4, 1, 1).to(model.device)]), pairs, rows)
        for model in (make(), make().to("cuda"))
    )
    torch.testing.assert_close(there[0].cpu(), here[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(there[2].cpu(), here[2], atol=1e-4, rtol=1e-2)
