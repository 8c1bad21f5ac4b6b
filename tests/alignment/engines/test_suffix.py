"""The fast route through decoders against the pyvene route: same parameters, same pairs, same loss and gradients."""

import runpy
from pathlib import Path

import pytest
import torch

from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import ALIGNMENTS, build
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
    ],
)
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_several_places_and_tokens_together(both, decoder, prompts, name, site, tokens):
    model, side = decoder(name), "both" if name == "llama" else "right"
    assert SuffixEngine.supports(model, Site.of(site), [])
    check_equal(both, model, Site.of(site), prompts(variables=("a", "b"), tokens_each=tokens, side=side))


def test_several_tokens_whose_bases_are_run_again_in_each_step(both, decoder, prompts):
    check_equal(both, decoder("mistral"), Site("block_output", 1), prompts(tokens_each=3, shared=4), cache_bytes=0)


@pytest.mark.parametrize("function", list(ALIGNMENTS))
@pytest.mark.parametrize("variables", [("count",), ("phase", "count")])
def test_every_alignment_function(both, decoder, prompts, function, variables):
    if function == "boundless" and len(variables) > 1:
        pytest.skip("a learned boundary has one block")
    check_equal(both, decoder("qwen3"), Site("attention_output", 1), prompts(variables=variables), function)


@pytest.mark.parametrize("name", ["gpt2", "bloom", "mistral", "mpt"])
@pytest.mark.parametrize("side", ["left", "both"])
def test_any_padding(both, decoder, prompts, name, side):
    check_equal(both, decoder(name), Site("block_output", 0), prompts(side=side))


def test_stacked_alignments_end_as_each_does_alone(both):
    both.check_stacked()


def test_both_routes_search_to_the_same_alignment(both):
    both.check_searches()
