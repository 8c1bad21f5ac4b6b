"""The route of linear RNNs against the pyvene route: same parameters and pairs, same loss and gradients."""

import runpy
from pathlib import Path

import pytest
import torch

import numsym
from numsym.alignment.engines.choice import engine_for
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.stepped import SteppedEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.models.site import Site, state_sites
from numsym.tasks import MultiObject

ZOO = runpy.run_path(str(Path(__file__).parents[2] / "models" / "hugging_face.py"))
TASK = MultiObject(counts=range(1, 4), held_out=(), void_prob=0.1)
SHAPE = {"hidden_size": 8, "num_heads": 2, "state_size": 2, "conv_kernel": 2}
SMALL = ("mamba2", "gated_deltanet")


def draw(variables=("count",), n=20, seed=0, program="up_down"):
    return interchange_pairs(TASK, TASK.program(program), variables, n, generator=torch.Generator().manual_seed(seed))


def tiny(name, layers=1):
    torch.manual_seed(0)
    return numsym.models.build(TASK.vocab_size, name, num_layers=layers, **SHAPE).requires_grad_(False)


@pytest.mark.parametrize("name", list(ZOO["LINEAR"]))
def test_loss_gradients_and_correctness_equal_the_pyvene_route(name, decoder, routes):
    model, pairs = decoder(name), draw(("phase", "count"))
    site = state_sites(model)[-2 if name != "xlstm" else 0]
    one = build("low_rank", site.check(model), 4, 2, seed=1)
    routes(SteppedEngine, site, None, draw, {}, (1, 1)).check_equal(model, site, [one], pairs, torch.arange(3, 18))


@pytest.mark.parametrize(
    ("name", "function"), [("mamba2", "orthogonal"), ("mamba2", "boundless"), ("gated_deltanet", "linear")]
)
def test_every_alignment_function_equals_the_pyvene_route(name, function, routes):
    model, site = tiny(name, 2), Site("state", 1)
    one = build(function, site.check(model), 4, 1, seed=1)
    routes(SteppedEngine, site, None, draw, {}, (1, 1)).check_equal(model, site, [one], draw(), torch.arange(20))


@pytest.mark.parametrize("name", ["mamba", "rwkv"])
def test_padding_on_the_left_and_what_is_not_kept_change_nothing(name, decoder, prompts, routes):
    model, site = decoder(name), Site("state", 1)
    one = build("orthogonal", site.check(model), 4, 1, seed=1)
    pairs = prompts(10, side="left")
    engines = [PyveneEngine(model, site, [one]), *(SteppedEngine(model, site, [one], size) for size in (1 << 30, 0))]
    want, *found = [routes.measured(engine, pairs, torch.arange(10)) for engine in engines]
    for other in found:
        torch.testing.assert_close(other, want, atol=1e-4, rtol=1e-3)


def test_several_alignments_run_as_one_batch():
    model, site, pairs = tiny("mamba2"), Site("state"), [draw(seed=1), draw(("full",), seed=2)]
    ones = [build("linear", site.check(model), k, 1, seed=k) for k in (3, 7)]
    rows = [torch.arange(8), torch.arange(8, 16)]
    both = SteppedEngine(model, site, ones)
    loss, right = both.measure([both.prepare(one) for one in pairs], rows, [0, 1])
    for i, one in enumerate(ones):
        engine = PyveneEngine(model, site, [one])
        want, its = engine.measure([engine.prepare(pairs[i])], [rows[i]], [0])
        torch.testing.assert_close(loss[i], want[0])
        assert torch.equal(right[i], its[0])


@pytest.mark.parametrize("name", SMALL)
def test_a_search_takes_it_with_all_its_controls(name):
    model = tiny(name, 2)
    found = numsym.align(
        model, TASK, site="state:0", subspace_dim=3, search={"max_steps": 2, "check_every": 1, "batch_size": 8},
        pairs={"train": 40, "validation": 10, "test": 20},
    )  # fmt: skip
    assert found.engine == "resumed"
    assert set(found.controls) == {"floor", "ceiling", "permuted", "untrained", "neurons"}


@pytest.mark.parametrize("name", ["mamba2", "gated_deltanet", "rwkv"])
def test_whole_trials_are_right_by_itself_exactly_when_they_are_teacher_forced(name, decoder):
    if name == "rwkv":
        model = decoder(name)
    else:
        model = tiny(name).requires_grad_(True)
        numsym.train(model, TASK, steps=25, batch_size=16, learning_rate=0.03, check_every=25)
        model.requires_grad_(False)
    pairs, site = draw(n=40), Site("state")
    engine = SteppedEngine(model, site, [build("linear", site.check(model), site.check(model), 1, seed=0)])
    run = engine.free_running(0, pairs, TASK.program("up_down"))
    _, right = engine.measure([engine.prepare(pairs)], [torch.arange(40)], [0])
    assert torch.equal(run.right, right[0])
    assert (run.said[run.right] == run.wanted[run.right]).all()


def test_what_it_supports(decoder):
    known = lambda model: [build("low_rank", Site("state").check(model), 2, 1, seed=0)]  # noqa: E731
    model = tiny("mamba2")
    assert isinstance(engine_for(model, Site(), known(model)), SteppedEngine)
    assert not SteppedEngine.supports(model, Site("block_output"), known(model))
    assert not SteppedEngine.supports(model, Site("state_1"), known(model))
    assert not SteppedEngine.supports(model, Site.of("state:0+state:1"), known(model))  # pyvene exchanges these
    hybrid = decoder("qwen3_next")
    assert not SteppedEngine.supports(hybrid, Site(), known(hybrid))
