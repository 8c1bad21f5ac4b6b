"""The fast route through decoders against the pyvene route: same parameters, same pairs, same loss and gradients."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.engines.choice import engine_for, right_whole
from numsym.alignment.engines.pyvene import PyveneEngine, Whole, predicted
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.search import right
from numsym.models import components_of
from numsym.models.site import Site, sites_named

DECODERS = runpy.run_path(str(Path(__file__).parents[2] / "models" / "hugging_face.py"))["DECODERS"]
ROWS = torch.arange(3, 19)


@pytest.fixture(scope="module")
def both(routes, decoder, prompts):
    def draw(variables=("count",), n=48, seed=0):
        return prompts(n, variables, seed)

    short = {"max_steps": 6, "batch_size": 16, "check_every": 3}
    return routes(SuffixEngine, Site("block_output", 1), lambda: decoder("gpt2"), draw, short, (40, 20))


def check_equal(both, model, site, pairs, function="linear", **options):
    interventions = [build(function, site.check(model), 4, len(pairs.variables), seed=1)]
    both.check_equal(model, site, interventions, pairs, ROWS, **options)


@pytest.mark.parametrize("name", DECODERS)
def test_every_architecture_gives_what_pyvene_gives(both, decoder, prompts, name):
    model = decoder(name)
    for site in ("block_output:1", "embeddings", "mlp_output:2"):
        if Site.of(site).component in components_of(model):
            assert SuffixEngine.supports(model, Site.of(site), []), site
            check_equal(both, model, Site.of(site), prompts())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_site_of_a_block(both, decoder, prompts, name, layer):
    model, pairs, skipped = decoder(name), prompts(), set()
    for component in components_of(model):
        if component.startswith("head_"):
            continue  # One of them is a site: see below.
        if not SuffixEngine.supports(model, Site(component, layer), []):
            skipped.add(component)
        else:
            check_equal(both, model, Site(component, layer), pairs)
    # pyvene's table gives these the width of all heads, where queries share keys and values.
    assert skipped <= ({"key_output", "value_output"} if name == "llama" else set())


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "falcon", "mixtral"])
def test_every_kind_of_head(both, decoder, prompts, name):
    model = decoder(name)
    kinds = [component for component in components_of(model) if component.startswith("head_")]
    assert "head_attention_value_output" in kinds
    for kind in kinds:
        for site in sites_named(model, [kind])[4:6]:
            assert SuffixEngine.supports(model, site, []), site
            check_equal(both, model, site, prompts(variables=("a", "b")))


@pytest.mark.parametrize("function", ["orthogonal", "low_rank"])
def test_a_head_is_exchanged_by_every_function_and_variable(both, decoder, prompts, function):
    check_equal(both, decoder("gpt2"), Site("value_output", 1, 3), prompts(variables=("a", "b")), function)


@pytest.mark.parametrize(
    ("site", "tokens"),
    [
        ("block_output:1", 3),
        ("embeddings", 2),
        ("block_output:0+block_output:2", 1),
        ("attention_output:2+mlp_output:0+block_input:1", 1),
        ("attention_value_output:1.2+attention_value_output:1.0", 2),
        ("block_output:2+mlp_output:1", 3),
        ("attention_value_output:2+mlp_output:0", 2),
    ],
)
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_several_places_and_tokens_together(both, decoder, prompts, name, site, tokens):
    model, side = decoder(name), "both" if name == "llama" else "right"
    assert SuffixEngine.supports(model, Site.of(site), [])
    check_equal(both, model, Site.of(site), prompts(variables=("a", "b"), tokens_each=tokens, side=side))


def test_several_tokens_whose_bases_are_run_again_in_each_step(both, decoder, prompts):
    check_equal(both, decoder("mistral"), Site("block_output", 1), prompts(tokens_each=3, shared=4), cache_bytes=0)


@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
@pytest.mark.parametrize("variables", [("count",), ("phase", "count")])
def test_every_alignment_function(both, decoder, prompts, function, variables):
    if ALIGNMENTS[function].mask is not None and len(variables) > 1:
        pytest.skip("a learned boundary has one block")
    check_equal(both, decoder("qwen3"), Site("attention_output", 1), prompts(variables=variables), function)


@pytest.mark.parametrize("name", ["gpt2", "bloom", "mistral", "mpt"])
@pytest.mark.parametrize("side", ["left", "both"])
def test_any_padding(both, decoder, prompts, name, side):
    check_equal(both, decoder(name), Site("block_output", 0), prompts(side=side))


def engine_at(model, site="block_output:1", **options):
    place = Site.of(site)
    return SuffixEngine(model, place, [build("linear", place.check(model), 4, 1, seed=1)], **options)


def test_what_all_prompts_begin_with_is_kept_once(both, decoder, prompts):
    model = decoder("llama")
    pairs, apart = prompts(shared=20), prompts(shared=20)
    generator = torch.Generator().manual_seed(1)
    apart = replace(apart, base_ids=torch.randint(3, 40, apart.base_ids.shape, generator=generator))
    alike, each = (engine_at(model).prepare(one).kept for one in (pairs, apart))
    assert (alike.shared, each.shared) == (20, 0)
    token = 4 * 2 * 16  # one layer above the site, with two heads of 8 for keys and for values
    assert each.nbytes - alike.nbytes == (len(pairs) - 1) * 20 * token
    check_equal(both, model, Site("block_output", 1), pairs)


@pytest.mark.parametrize("cache_bytes", [1 << 30, 0])
def test_trials_that_are_alike_are_run_once(both, decoder, prompts, cache_bytes):
    model, few = decoder("llama"), prompts(n=4, variables=("a", "b"), tokens_each=2, side="both")
    row = torch.randint(4, (2, 24), generator=torch.Generator().manual_seed(0))
    pairs, given = few.rows(row[0]), few.rows(row[1])
    names = ("source_ids", "source_mask", "source_at", "source_tokens", "block")
    pairs = replace(pairs, **{name: getattr(given, name) for name in names})
    engine, run = engine_at(model, cache_bytes=cache_bytes), []
    handle = model.model.layers[0].register_forward_hook(lambda _, args, output: run.append(len(output)))
    prepared = engine.prepare(pairs)
    handle.remove()
    assert max(run) == 4
    assert len(prepared.source) == 4
    assert cache_bytes == 0 or len(prepared.kept.starts) == 4
    check_equal(both, model, Site("block_output", 1), pairs, cache_bytes=cache_bytes)


@pytest.mark.parametrize(("name", "site", "tokens"), [("gpt2", "block_output:1", 1), ("gemma2", "mlp_output:1", 2)])
def test_the_whole_site_is_exchanged_as_by_pyvene(decoder, prompts, name, site, tokens):
    model, place, pairs = decoder(name), Site.of(site), prompts(n=60, tokens_each=tokens, side="left")
    said = predicted(model, place, pv.VanillaIntervention(embed_dim=32), pairs)
    half = torch.rand(said.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    pairs = replace(pairs, base_ids=torch.where(pairs.scored & half, said, pairs.base_ids))
    reference = right(Whole(model, [place]), 0, pairs)
    assert 0 < reference.sum() < 60
    assert torch.equal(right_whole(model, place, pairs), reference)
    assert torch.equal(right_whole(model, place, pairs, "pyvene"), reference)


def test_bases_are_shared_counted_and_let_go(decoder, prompts):
    pairs, model = prompts(), decoder("gpt2")
    engine = engine_at(model)
    first = engine.prepare(pairs)
    assert engine.prepare(pairs.with_permuted_sources(torch.Generator().manual_seed(0))).kept is first.kept
    tight = engine_at(model, cache_bytes=int(1.5 * first.kept.nbytes))
    kept = tight.prepare(pairs)
    assert kept.kept is not None
    assert tight.prepare(prompts(seed=1)).kept is None
    del kept
    assert tight.prepare(prompts(seed=1)).kept is not None
    assert engine_at(model, cache_bytes=0).prepare(pairs).kept is None


@pytest.mark.parametrize("site", ["block_output:1", "attention_value_output:1.2"])
def test_in_bfloat16_the_routes_agree(both, decoder, prompts, site):
    model, place = decoder("qwen3").to(torch.bfloat16), Site.of(site)
    assert SuffixEngine.supports(model, place, [])
    interventions, pairs = [build("low_rank", place.check(model), 4, 1, seed=1)], prompts(n=48, tokens_each=2)
    slow, fast = (
        both.measured(kind(model, place, interventions), pairs, torch.arange(48))
        for kind in (PyveneEngine, SuffixEngine)
    )
    torch.testing.assert_close(fast[0], slow[0], atol=0.05, rtol=0.05)
    assert (fast[1] == slow[1]).float().mean() > 0.9
    assert torch.nn.functional.cosine_similarity(fast[2], slow[2], dim=0) > 0.98


def test_a_model_that_looks_ahead_is_left_to_pyvene_and_that_is_said_once(decoder, caplog):
    model = decoder("bert")
    assert not SuffixEngine.supports(model, Site("block_output", 1), [])
    assert not SuffixEngine.supports(model, Site("block_output", 1), [])
    said = [record.message for record in caplog.records if "is not run on from block_output:1" in record.message]
    assert len(said) == 1
    assert "a search takes pyvene" in said[0]
    assert engine_for(model, Site("block_output", 1), [build("linear", 32, 4, 1, 0)]).name == "pyvene"


def test_stacked_alignments_end_as_each_does_alone(both):
    both.check_stacked()


def test_both_routes_search_to_the_same_alignment(both):
    both.check_searches()
