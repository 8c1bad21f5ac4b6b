"""The fast route through decoders against the pyvene route: same parameters, same pairs, same loss and gradients."""

import runpy
from pathlib import Path

import pytest
import torch

from numsym._pyvene import component_width
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.models import components_of
from numsym.models.site import Site

DECODERS = runpy.run_path(str(Path(__file__).parents[2] / "models" / "hugging_face.py"))["DECODERS"]
ROWS = torch.arange(3, 19)


@pytest.fixture(scope="module")
def both(routes, decoder, prompts):
    def draw(variables=("count",), n=48, seed=0):
        return prompts(n, ("one", "two") if variables == ("full",) else variables, seed)

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
