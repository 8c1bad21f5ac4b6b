"""The fast route against the pyvene route: same parameters, same pairs, same loss, gradients and correctness."""

import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.models.site import Site
from numsym.tasks import MultiObject

WIDTH = 12


def make(cell, layers):
    model = RecurrentLM(RecurrentConfig(cell=cell, vocab_size=9, hidden_size=WIDTH, num_layers=layers)).eval()
    return model.requires_grad_(False)


def draw(variables, n=96, seed=0, program="up_down"):
    task = MultiObject(void_prob=0.1)
    return interchange_pairs(task, task.program(program), variables, n, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def both(routes):
    def one():
        torch.manual_seed(0)
        return make("gru", 1)

    return routes(RecurrentEngine, Site(), one, draw, {"max_steps": 12, "batch_size": 32, "check_every": 4}, (300, 100))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (2, 1), (3, 1)])
@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
@pytest.mark.parametrize("variables", [("count",), ("phase", "count")])
def test_loss_gradients_and_correctness_equal_the_pyvene_route(both, cell, layers, layer, function, variables):
    if ALIGNMENTS[function].mask is not None and len(variables) > 1:
        pytest.skip("a learned boundary has one block")
    model, site, pairs = make(cell, layers), Site("state", layer), draw(variables)
    interventions = [build(function, WIDTH, 4, len(variables), seed=1, conditions=3)]
    both.check_equal(model, site, interventions, pairs, torch.arange(10, 90))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (3, 1)])
def test_torchs_own_packed_recurrence_gives_the_same(both, cell, layers, layer):
    """As on CUDA, where that is cuDNN's."""
    one = [build("linear", WIDTH, 4, 1, seed=1)]
    both.check_equal(make(cell, layers), Site("state", layer), one, draw(("count",)), torch.arange(96), fused=True)


@pytest.mark.cuda
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("home", [None, "cpu"])
def test_cuda_gives_what_the_cpu_gives(both, cell, home):
    pairs, found = draw(("count",)), []
    torch.manual_seed(0)
    model = make(cell, 2)
    for device in ("cpu", "cuda"):
        one = build("linear", WIDTH, 4, 1, seed=1).to(device)
        engine = RecurrentEngine(model.to(device), Site("state", 0), [one], home=home)
        found.append([side.cpu() for side in both.measured(engine, pairs, torch.arange(96))])
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-6), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
def test_a_model_of_another_type_gives_the_same_by_both_routes(both, function, dtype, close):
    model, pairs = make("gru", 2).to(dtype), draw(("count",))
    losses = []
    for kind in (PyveneEngine, RecurrentEngine):
        engine = kind(model, Site("state", 1), [build(function, WIDTH, 4, 1, seed=1)])
        loss, _, gradient = both.measured(engine, pairs, torch.arange(90))
        assert gradient.dtype == torch.float32
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], abs=close)


def test_standardised_features_are_honoured():
    model, pairs = make("gru", 1), draw(("count",))
    laf = build("linear", WIDTH, 4, 1, seed=1)
    laf.standardise(torch.randn(50, WIDTH) * torch.rand(WIDTH) * 3)
    losses = []
    for kind in (PyveneEngine, RecurrentEngine):
        engine = kind(model, Site(), [laf])
        losses.append(engine.measure([engine.prepare(pairs)], [torch.arange(96)], [0])[0])
    torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=1e-5)


def test_stacked_alignments_end_as_each_does_alone(both):
    both.check_stacked()


def test_both_routes_search_to_the_same_alignment(both):
    both.check_searches()


def test_what_it_supports():
    model = make("gru", 1)
    known = [build("linear", WIDTH, 4, 1, seed=0)]
    assert RecurrentEngine.supports(model, Site(), known)
    assert not RecurrentEngine.supports(model, Site("state_1"), known)
    assert not RecurrentEngine.supports(model, Site(), [pv.VanillaIntervention(embed_dim=WIDTH)])
    assert not RecurrentEngine.supports(torch.nn.Linear(1, 1), Site(), known)
