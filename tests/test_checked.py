"""Wrong values through the library: each is numsym's sentence, with the parameter, the value and what is allowed."""

import math
import subprocess
import sys
import time

import numpy
import pytest
import torch

SMALL = {
    "search": {"max_steps": 2}, "pairs": {"train": 50, "validation": 20, "test": 20}, "controls": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def counting():
    import numsym

    task = numsym.tasks.MultiObject(counts=range(1, 4))
    return numsym.models.counting_gru(task.vocabulary), task


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subspace_dim": 2.5}, "subspace_dim=2.5 is not allowed: it must be a whole number or None"),
        ({"subspace_dim": True}, "subspace_dim=True is not allowed: it must be a whole number or None"),
        ({"variable": ("count", "count")}, "variable=('count', 'count') is not allowed: name each once"),
        ({"search": {"boundary_weight": -1}}, "boundary_weight=-1 is not allowed: it must be at least 0"),
        ({"search": {"learning_rate": -1}}, "learning_rate=-1 is not allowed: it must be at least 0"),
        ({"search": {"learning_rate": math.inf}}, "search.learning_rate=inf is not allowed: it must be finite"),
        ({"search": {"learning_rate": "x"}}, "learning_rate='x' is not allowed: it must be a number"),
        ({"pairs": {"train": 1.5}}, "train=1.5 is not allowed: it must be a whole number"),
        ({"seed": 2**70}, "is not allowed: a whole number has at most 64 bits"),
        ({"seed": None}, "seed=None is not allowed: it must be a whole number"),
        ({"site": 3}, "site=3 is not allowed: it must be text, a Site or a list of texts or Sites"),
        ({"controls": 3}, "controls=3 is not allowed: it must be true or false or a list of texts"),
        ({"controls": "floor"}, "controls='floor' is not allowed: it must be true or false or a list of texts"),
        ({"run": "runs/x"}, "run='runs/x' is not allowed: it must be a NoRun"),
        ({"subspace_dims": 3}, "subspace_dims=3 is not allowed in align: did you mean subspace_dim?"),
    ],
)
def test_align_refuses(options, message, counting):
    import numsym

    with pytest.raises(numsym.errors.NumsymError) as raised:
        numsym.align(*counting, **{**SMALL, **options})
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


WRONG = {
    "a model that is text": (lambda n: n.align("x", 3), "model='x' is not allowed: it must be a PyTorch module"),
    "a task that is a number": (lambda n: n.evaluate(torch.nn.Linear(1, 1), 3), "task=3 is not allowed"),
    "no task at all": (lambda n: n.align(torch.nn.Linear(1, 1)), "align is not called rightly: missing a required"),
    "hypotheses that are none": (
        lambda n: n.align_many(torch.nn.Linear(1, 1), n.tasks.Parity(), [3]),
        "hypotheses=[3] is not allowed: it must be a list of Hypotheses, a mapping from text to a Hypothesis or None",
    ),
    "counts with a fraction": (lambda n: n.tasks.MultiObject(counts=[1.5]), "counts=[1.5] is not allowed"),
    "counts of text": (lambda n: n.tasks.MultiObject(counts="abc"), "counts='abc' is not allowed"),
    "a recipe with a typo": (
        lambda n: n.tasks.load_task({"name": "multi_object", "argumnets": {}}),
        "unknown key of a task recipe 'argumnets': choose one of arguments, model, name",
    ),
    "a task's argument with a typo": (
        lambda n: n.tasks.load_task({"name": "multi_object", "arguments": {"cuonts": [1, 2]}}),
        "cuonts=[1, 2] is not allowed in CountingTask: did you mean counts?",
    ),
    "a recipe without a name": (lambda n: n.tasks.load_task({}), "name=None of a task recipe is not allowed"),
    "counts that are no pair": (
        lambda n: n.tasks.load_task({"name": "multi_object", "arguments": {"counts": 3}}),
        "counts=3 is not allowed: give [lowest, highest]",
    ),
    "arguments that are no mapping": (
        lambda n: n.tasks.load_task({"name": "multi_object", "arguments": 3}),
        "arguments=3 is not allowed: it must be a mapping",
    ),
    "a model's shape with a typo": (
        lambda n: n.models.RecurrentConfig(hidden_sized=64),
        "hidden_sized=64 is not allowed in RecurrentConfig: did you mean hidden_size?",
    ),
    "half a neuron": (
        lambda n: n.models.RecurrentConfig(hidden_size=2.5), "hidden_size=2.5 is not allowed",
    ),
    "half a period": (
        lambda n: n.interventions.FourierSubspaceIntervention(embed_dim=8, period=2.5), "period=2.5 is not allowed",
    ),
    "a rank for a map without one": (
        lambda n: n.interventions.LinearAlignmentIntervention(embed_dim=8, low_rank_dimension=2),
        "low_rank_dimension=2 is not allowed: LinearAlignmentIntervention has none",
    ),
    "a fit to nothing": (
        lambda n: n.circuits.logit_fve(torch.full((5, 5, 5), math.nan), n.circuits.Circle(5, 1, (0, 1), 1.0, 1.0)),
        "is not allowed",
    ),
    "embeddings with a hole": (
        lambda n: n.probes.spectrum(torch.cat([torch.full((1, 4), math.inf), torch.randn(20, 4)])),
        "float32> is not allowed: it holds NaN or infinite values in 1 of 21 rows (the first is row 0)",
    ),
    "a tokenizer that is none": (
        lambda n: n.tasks.AdditionPrompts(tokenizer=3), "tokenizer=3 is not allowed: give a tokenizer of transformers",
    ),
    "a path of a component that is no component": (
        lambda n: n.models.register(torch.nn.Linear, {"x": "nothere"}), "must be a mapping from text to a Component",
    ),
    "a layer before the first": (lambda n: n.models.Site("state", -1), "layer=-1 is not allowed"),
    "a group that is a number": (lambda n: n.programs.group(3), "name=3 is not allowed: it must be text"),
    "runs that are one": (lambda n: n.collect(runs=3), "runs=3 is not allowed: it must be a list of texts"),
    "no variable": (
        lambda n: n.alignment.interchange_pairs(task := n.tasks.MultiObject(), task.program("up_down"), [], 5),
        "variables=() is not allowed: give at least one",
    ),
    "a number for results that only type checkers know": (
        lambda n: n.alignment.to_mib(3, "folder"), "results=3 is not allowed: it must be a list of",
    ),
    "blocks without coordinates": (
        lambda n: n.interventions.LinearAlignmentIntervention(embed_dim=8, subspace_partition=[None]),
        "subspace_partition=[None] is not allowed",
    ),
    "a batch without tokens": (
        lambda n: n.models.activations(n.models.build(9), "state", {}),
        "batch with nothing in it is not allowed: RecurrentLM has missing a required argument: 'input_ids'",
    ),
    "a state without the program's variables": (
        lambda n: n.programs.unroll(n.tasks.MultiObject().program("up_down"), {"ended": torch.zeros(2)}),
        "state with ended is not allowed: UpDown keeps phase, count, too",
    ),
    "counts up to less than one": (
        lambda n: n.programs.Decrement(n.tasks.MultiObject().vocabulary, highest=-2), "highest=-2 is not allowed",
    ),
    "a device that no machine has": (
        lambda n: n.modular_adder(n.tasks.ModularAddition(p=5), device="ä"), "device='ä' is not allowed: there is none",
    ),
    "a folder that is a number": (lambda n: n.Run(3), "path=3 is not allowed: it must be text or a path"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence(what):
    import numsym

    call, message = WRONG[what]
    with pytest.raises(numsym.errors.NumsymError) as raised:
        call(numsym)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_device_that_is_not_here_is_named(counting, tmp_path):
    import numsym

    counting[0].save_pretrained(tmp_path)
    with pytest.raises(numsym.errors.InvalidArgumentError, match="device='mps:7' is not allowed: there is none here"):
        numsym.models.read_model(tmp_path, device="mps:7")


def test_weights_that_are_not_finite_are_named(counting):
    import numsym

    model = numsym.models.build(counting[1].vocab_size, hidden_size=8)
    with torch.no_grad():
        model.embed.weight[0, 0] = math.nan
    for call in (numsym.evaluate, numsym.train, numsym.align):
        with pytest.raises(numsym.errors.InvalidArgumentError, match=r"its weights embed\.weight are not all finite"):
            call(model, counting[1])


def test_a_training_that_diverges_says_so(counting):
    import numsym

    model = numsym.models.build(counting[1].vocab_size, hidden_size=8).half()
    with pytest.raises(numsym.errors.DivergedError, match="a wider type than float16"):
        numsym.train(model, counting[1], steps=4, batch_size=8, check_every=2)


def test_numbers_of_numpy_and_lists_are_taken_as_what_they_are(counting):
    import numsym

    found = numsym.align(*counting, **SMALL, subspace_dim=numpy.int64(2))
    assert found.subspace_dim == 2
    assert type(found.subspace_dim) is int
    assert numsym.alignment.Site("state", numpy.int64(0)) == numsym.alignment.Site()


def test_a_border_costs_microseconds_and_importing_no_checker():
    from numsym.checked import checked

    def plain(a: int, b: str | None = None) -> int:
        return a

    guarded = checked(plain)
    guarded(1)
    start = time.perf_counter()
    for _ in range(1000):
        guarded(1, b="x")
    assert time.perf_counter() - start < 0.5
    code = "import sys, numsym; assert 'beartype.door' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("module", "asked"),
    [("mine", True), ("numsym.lab.given", True), ("numsym.alignment.align", False), ("torch.nn.modules.module", False)],
)
def test_numsym_itself_is_not_asked_again(module, asked):
    from numsym.checked import checked
    from numsym.errors import WrongTypeError

    def plain(a: int) -> int:
        return a

    names = {"__name__": module, "settings": checked(plain), "method": checked(plain, inside=False)}
    exec("def wrong(name): return globals()[name]('x')", names)
    with pytest.raises(WrongTypeError, match="a='x' is not allowed: it must be a whole number"):
        names["wrong"]("settings")
    if asked:
        with pytest.raises(WrongTypeError):
            names["wrong"]("method")
    else:
        assert names["wrong"]("method") == "x"


def test_methods_and_copies_are_held(counting):
    import dataclasses

    import numsym

    model, task = counting
    wrong = {
        "n='x' is not allowed": lambda: task.sample("x"),
        "name=3 is not allowed": lambda: task.program(3),
        "variable=3 is not allowed": lambda: task.program("up_down").block(3),
        "max_steps='x' is not allowed": lambda: dataclasses.replace(numsym.alignment.SearchSettings(), max_steps="x"),
        "ids='x' is not allowed": lambda: model.forward("x"),
    }
    for said, call in wrong.items():
        with pytest.raises(numsym.errors.WrongTypeError, match=said):
            call()


def test_an_alignment_asks_a_few_times_however_long_it_searches(counting, monkeypatch):
    import numsym
    from numsym.checked import _Signature

    asked, held = [], _Signature.held
    monkeypatch.setattr(_Signature, "held", lambda self, *given: asked.append(self.name) or held(self, *given))
    found = []
    for steps in (2, 12):
        asked.clear()
        numsym.align(*counting, **{**SMALL, "search": {"max_steps": steps, "check_every": 1}}, alignment="orthogonal")
        found.append(len(asked))
    assert found[0] == found[1] < 200


def test_a_room_that_is_checked_keeps_its_signatures_and_types():
    import inspect

    import numsym

    assert "subspace_dim" in inspect.signature(numsym.align).parameters
    assert numsym.align.__doc__ == inspect.unwrap(numsym.align).__doc__
    assert numsym.alignment.SearchSettings(max_steps=3) == numsym.alignment.SearchSettings(3)
