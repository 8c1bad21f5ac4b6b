import pytest
import torch

from numsym.alignment import Hypothesis, align, align_many
from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.tasks import TASKS, MultiObject

PAIRS = {"train": 1000, "validation": 200, "test": 300}
FEW = {"train": 60, "validation": 50, "test": 50}


@pytest.fixture(scope="module")
def found(counter, small_task):
    search = {"max_steps": 600, "learning_rate": 5e-3, "check_every": 50}
    hypotheses = [Hypothesis(alignment=name, subspace_dim=8) for name in ("orthogonal", "linear")]
    return align_many(counter, small_task, hypotheses, search=search, pairs=PAIRS)


def test_a_trained_networks_count_is_found_and_the_controls_find_nothing(found):
    assert found[1].iia > 0.9
    for result in found:
        assert result.iia > 0.75
        assert result.heldout_iia > 0.7
        assert result.test.iia.low < result.iia < result.test.iia.high or result.iia == 1
        assert result.ceiling > 0.95
        assert result.floor < 0.4
        for control in ("permuted", "untrained", "neurons"):
            assert result.controls[control].value < result.iia - 0.2, control
        assert sum(share.n for share in result.test.by_base_count.values()) == result.test.iia.n == 300
        assert set(result.held_out.by_base_count) == {3}
        assert result.engine == "resumed"


def test_the_model_is_left_as_it_was(counter, small_task):
    counter.requires_grad_(True)
    counter.train()
    before = {name: value.clone() for name, value in counter.state_dict().items()}
    align(counter, small_task, search={"max_steps": 2}, controls=False, pairs=PAIRS)
    assert counter.training
    assert all(p.requires_grad for p in counter.parameters())
    assert all(torch.equal(before[name], value) for name, value in counter.state_dict().items())
    counter.eval()


@pytest.mark.parametrize("engine", ["resumed", "pyvene"])
def test_the_same_seed_gives_the_same_numbers(counter, small_task, engine):
    options = {"search": {"max_steps": 4, "check_every": 2}, "controls": False, "engine": engine, "pairs": PAIRS}
    first, second = (align(counter, small_task, seed=3, **options) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert align(counter, small_task, seed=4, **options).records != first.records


def test_both_engines_measure_the_same(counter, small_task):
    options = {"search": {"max_steps": 4, "check_every": 2}, "controls": ("floor", "ceiling"), "pairs": PAIRS}
    fast, slow = (align(counter, small_task, engine=engine, **options) for engine in ("resumed", "pyvene"))
    assert (fast.engine, slow.engine) == ("resumed", "pyvene")
    assert fast.iia == pytest.approx(slow.iia, abs=0.01)
    assert fast.controls == slow.controls
    assert [r["loss"] for r in fast.records] == pytest.approx([r["loss"] for r in slow.records], rel=1e-3)


@pytest.mark.parametrize("program", ["up_down", "up_up", "ctx_distr"])
def test_every_variable_of_every_program_can_be_asked_for(program):
    for task in (TASKS[name](counts=range(1, 5), held_out=(2,)) for name in ("multi_object", "same_object")):
        model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))
        for variable in (*task.program(program).variables, "full"):
            asked = {"program": program, "variable": variable}
            result = align(model, task, **asked, search={"max_steps": 1}, controls=False, pairs=FEW)
            assert result.variables == (variable,)
            assert result.controls == {}
            assert result.floor is None


def test_two_variables_of_a_known_network_are_found_each_in_its_block():
    task = MultiObject(counts=range(1, 9), held_out=(4,))
    model = counting_gru(task.vocabulary, width=8)
    result = align(
        model, task, variable=("count", "phase"), alignment="orthogonal", subspace_dim=2, pairs=PAIRS,
        search={"max_steps": 1500, "learning_rate": 0.02, "check_every": 50}, controls=("floor",),
    )  # fmt: skip
    assert result.iia > 0.97
    assert result.floor < 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"program": "down"}, r"unknown program of multi_object 'down'.* ctx_distr, .* up_down, up_up"),
        ({"variable": "counts"}, "unknown variable 'counts': choose one of count, full, phase"),
        ({"variable": ()}, r"variable=\(\) is not allowed: name at least one"),
        ({"alignment": "rotation"}, "unknown alignment 'rotation'"),
        ({"subspace_dim": 0}, r"subspace_dim=0 is not allowed: it must lie in 1..16"),
        ({"subspace_dim": 17}, r"subspace_dim=17 is not allowed"),
        ({"site": "stat"}, "unknown component of RecurrentLM 'stat': choose one of state"),
        ({"site": "state:1"}, "layer=1 is not allowed"),
        ({"engine": "fast"}, "unknown engine 'fast': choose one of auto, pyvene, resumed"),
        ({"engine": "resumed", "site": "state_1"}, "engine='resumed' is not allowed for RecurrentLM at 'state_1:0'"),
        ({"site": "state:0.1"}, "site='state:0.1' is not allowed: it does not hold heads side by side"),
        ({"positions": [50]}, r"positions=\[50\] is not allowed: 50 is outside of the shortest trial"),
        ({"positions": ["first"]}, "unknown position of multi_object 'first'"),
        ({"controls": ("ceilings",)}, "unknown control 'ceilings'"),
        ({"search": {"max_step": 3}}, "unknown field of SearchSettings 'max_step'"),
        ({"search": {"max_steps": 0}}, "max_steps=0 is not allowed"),
        ({"pairs": {"train": 0}}, "train_pairs=0 is not allowed"),
        ({"search": {"stop_at": 1.5}}, "stop_at=1.5 is not allowed"),
        ({"search": {"beta2": 1.0}}, "beta2=1.0 is not allowed"),
        ({"search": {"average": -0.1}}, "average=-0.1 is not allowed"),
    ],
)
def test_bad_arguments_are_named_before_any_work(counter, small_task, arguments, message):
    with pytest.raises(ValueError, match=message):
        align(counter, small_task, **arguments)


def test_a_model_with_too_few_tokens_is_refused(small_task):
    with pytest.raises(ModelMismatchError, match="vocab_size=4 of the model is not allowed: multi_object has 9 tokens"):
        align(RecurrentLM(RecurrentConfig(vocab_size=4)), small_task)


def test_pairs_that_training_would_use_up_are_an_error():
    task = TASKS["single_object"](counts=(1,), held_out=())
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))
    with pytest.raises(
        InvalidArgumentError, match="train=500 pairs is not allowed: they are all that single_object has"
    ):
        align(model, task, pairs={"train": 500})
    with pytest.raises(UnknownNameError, match="unknown variable in positions"):
        align(model, task, positions={"number": 1})
