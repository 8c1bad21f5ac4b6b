"""The fast route through decoders against the pyvene route: same parameters, same pairs, same loss and gradients."""

import runpy
from pathlib import Path

import pytest
import torch

from numsym._pyvene import component_width
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.models import components_of
from numsym.models.site import Site

DECODERS = runpy.run_path(str(Path(__file__).parents[2] / "models" / "hugging_face.py"))["DECODERS"]
ROWS = torch.arange(3, 19)


@pytest.fixture(scope="module")
def both(routes, decoder, prompts):
    def draw(variables=("count",), n=48, seed=0):
        return prompts(n, variables, seed)

    short = {"max_steps": 6, "batch_size": 16, "check_every": 3}
    return routes(SuffixEngine, Site("block_output", 1), lambda: decoder("gpt2"), draw, short, (40, 20))


def check_equal(both, model, site, pairs, function="linear", **options):
    interventions = [build(function, component_width(model, site.component), 4, len(pairs.variables), seed=1)]
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
