"""The fast route against the pyvene route: same parameters, same pairs, same loss, gradients and correctness."""

import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.pyvene_engine import PyveneEngine
from numsym.alignment.recurrent_engine import RecurrentEngine
from numsym.alignment.search import SearchSettings, correct, search
from numsym.alignment.site import Site
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import MultiObject

WIDTH = 12


def make(cell, layers):
    model = RecurrentLM(RecurrentConfig(cell=cell, vocab_size=9, hidden_size=WIDTH, num_layers=layers)).eval()
    return model.requires_grad_(False)


def draw(variables, n=96, seed=0, program="up_down"):
    task = MultiObject(void_prob=0.1)
    return interchange_pairs(task, task.program(program), variables, n, generator=torch.Generator().manual_seed(seed))


def gradients(engine, loss):
    for parameter in engine.parameters():
        parameter.grad = None
    loss.sum().backward()
    return [parameter.grad for parameter in engine.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (2, 1), (3, 1)])
@pytest.mark.parametrize("function", list(ALIGNMENTS))
@pytest.mark.parametrize("variables", [("count",), ("phase", "count")])
def test_loss_gradients_and_correctness_equal_the_pyvene_route(cell, layers, layer, function, variables):
    if function == "boundless" and len(variables) > 1:
        pytest.skip("a learned boundary has one block")
    model, site, pairs = make(cell, layers), Site("state", layer), draw(variables)
    interventions = [build(function, WIDTH, 4, len(variables), seed=1)]
    rows, results = torch.arange(10, 90), []
    for kind in (PyveneEngine, RecurrentEngine):
        engine = kind(model, site, interventions)
        loss, right = engine.measure([engine.prepare(pairs)], [rows], [0])
        results.append((loss, right[0], torch.cat([g.flatten() for g in gradients(engine, loss)])))
    (loss, right, gradient), (fast_loss, fast_right, fast_gradient) = results
    torch.testing.assert_close(fast_loss, loss, atol=1e-5, rtol=1e-5)
    assert torch.equal(fast_right, right)
    torch.testing.assert_close(fast_gradient, gradient, atol=1e-4 * gradient.abs().max().item(), rtol=1e-4)
    assert gradient.abs().max() > 1e-5


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-6), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("function", list(ALIGNMENTS))
def test_a_model_of_another_type_gives_the_same_by_both_routes(function, dtype, close):
    model, pairs = make("gru", 2).to(dtype), draw(("count",))
    losses = []
    for kind in (PyveneEngine, RecurrentEngine):
        engine = kind(model, Site("state", 1), [build(function, WIDTH, 4, 1, seed=1)])
        loss, _ = engine.measure([engine.prepare(pairs)], [torch.arange(90)], [0])
        assert all(g.dtype == torch.float32 for g in gradients(engine, loss))
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


def jobs():
    return [
        ("orthogonal", 4, ("count",), 1),
        ("linear", 4, ("count",), 1),
        ("linear", 7, ("full",), 2),
        ("low_rank", 3, ("phase",), 3),
    ]


def searched(kind, picked, settings):
    model = make("gru", 1)
    interventions = [build(function, WIDTH, k, len(names), seed) for function, k, names, seed in picked]
    engine = kind(model, Site(), interventions)
    train = [draw(names, 300, seed) for _, _, names, seed in picked]
    valid = [draw(names, 100, seed + 100) for _, _, names, seed in picked]
    runs = search(engine, train, valid, [seed for *_, seed in picked], settings)
    right = [correct(engine, i, engine.prepare(v), 100) for i, v in enumerate(valid)]
    return runs, right, interventions


SHORT = SearchSettings(max_steps=12, batch_size=32, check_every=4)


def test_stacked_alignments_end_as_each_does_alone():
    torch.manual_seed(0)
    stacked = searched(RecurrentEngine, jobs(), SHORT)
    for i, job in enumerate(jobs()):
        torch.manual_seed(0)
        alone = searched(RecurrentEngine, [job], SHORT)
        for ours, own in zip(stacked[0][i].records, alone[0][0].records, strict=True):
            assert ours["loss"] == pytest.approx(own["loss"], rel=1e-4)
            assert ours["iia"] == own["iia"]
        assert torch.equal(stacked[1][i], alone[1][0])
        for a, b in zip(stacked[2][i].parameters(), alone[2][0].parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_both_routes_search_to_the_same_alignment():
    torch.manual_seed(0)
    fast = searched(RecurrentEngine, jobs()[:2], SHORT)
    torch.manual_seed(0)
    slow = searched(PyveneEngine, jobs()[:2], SHORT)
    for ours, reference in zip(fast[0], slow[0], strict=True):
        assert [r["loss"] for r in ours.records] == pytest.approx([r["loss"] for r in reference.records], rel=1e-3)
    for a, b in zip(fast[2], slow[2], strict=True):
        base, source = torch.randn(2, 5, WIDTH)
        torch.testing.assert_close(a(base.clone(), source), b(base.clone(), source), atol=1e-3, rtol=0)


def test_what_it_supports():
    model = make("gru", 1)
    known = [build("linear", WIDTH, 4, 1, seed=0)]
    assert RecurrentEngine.supports(model, Site(), known)
    assert not RecurrentEngine.supports(model, Site("state_1"), known)
    assert not RecurrentEngine.supports(model, Site(), [pv.VanillaIntervention(embed_dim=WIDTH)])
    assert not RecurrentEngine.supports(torch.nn.Linear(1, 1), Site(), known)
