"""Alignments on small Hugging Face models with random weights: searched, saved, loaded, in half precision."""

import runpy
from pathlib import Path

import pytest
import torch

from numsym._pyvene import locations, pv
from numsym.alignment import AlignmentResult, align, interchange_pairs
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError
from numsym.models import load
from numsym.models.logits import model_inputs
from numsym.models.site import Site
from numsym.tasks import AdditionPrompts, CountingPrompts
from numsym.training import train

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "models" / "hugging_face.py"))
QUICK = {"search": {"max_steps": 2, "check_every": 1}, "pairs": {"train": 60, "validation": 20, "test": 20}}
EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "huggingface.py"), run_name="example")


@pytest.fixture(scope="module")
def task():
    return AdditionPrompts(tokenizer=EXAMPLE["own_tokenizer"](), largest=4, shots=1, only_right=False)


def small(name, **options):
    return load(SMALL["small"](name), **options)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("gpt2", "attention_output:1"),
        ("llama", "block_output:2"),
        ("qwen3", "mlp_output:0"),
        ("mamba", "mixer_output:1"),
    ],
)
def test_any_layer_is_searched_and_the_result_is_saved_and_loaded(name, site, task, tmp_path, generator):
    model = small(name)
    found = align(
        model, task, program="prompt_sum", variable="sum", site=site, alignment="low_rank", subspace_dim=4, **QUICK
    )
    assert found.engine == ("pyvene" if name == "mamba" else "resumed")
    assert set(found.controls) == {"floor", "ceiling", "permuted", "untrained", "neurons"}
    found.save(tmp_path / "found")
    found.save_pyvene(tmp_path / "pyvene")
    model.save_pretrained(tmp_path / "model")
    again = load(tmp_path / "model")
    loaded = AlignmentResult.load(tmp_path / "found", again)
    assert loaded.to_dict() == found.to_dict()
    pairs = interchange_pairs(task, task.program("prompt_sum"), ("sum",), 8, generator=generator)
    call = (
        model_inputs(model, pairs.base_ids, pairs.base_mask),
        [model_inputs(model, pairs.source_ids, pairs.source_mask)],
        locations(pairs.source_at, pairs.base_at),
    )
    want = found.intervenable()(*call)[1].logits
    assert not torch.allclose(want, model(**call[0]).logits)
    for other in (loaded.intervenable(), pv.IntervenableModel.load(str(tmp_path / "pyvene"), again)):
        torch.testing.assert_close(other(*call)[1].logits, want)
    with pytest.raises(ModelMismatchError, match="the alignment was fitted to weights with hash"):
        AlignmentResult.load(tmp_path / "found", load(SMALL["small"](name, seed=1)))


def test_only_trials_that_the_model_answers_rightly_are_exchanged(generator):
    task = AdditionPrompts(tokenizer=EXAMPLE["own_tokenizer"](), largest=4, shots=1)
    model = small("gpt2")
    with pytest.raises(InvalidArgumentError, match=r"only_right=True is not allowed here: the model answers .* of 25"):
        align(model, task, site="block_output:1", **QUICK)
    train(model, task, steps=40, batch_size=64, learning_rate=1e-2)
    found = align(model, task, site="block_output:1", **QUICK | {"pairs": {"train": 20, "validation": 20, "test": 20}})
    asked = task.whole()
    answers = model(asked.input_ids[:, :-1]).logits[:, -1].argmax(-1) == asked.input_ids[:, -1]
    assert 5 <= answers.sum() < 25
    assert (found.answered.n, round(25 * found.answered.value)) == (25, int(answers.sum()))
    assert found.rows()[0]["answered"] == found.answered
    assert set(found.test.by_base_count) <= set(asked.counts[answers].tolist())
    assert found.controls["untrained"].n == found.test.iia.n


def test_a_site_that_does_not_exist_lists_those_that_do(task):
    model = small("mamba")
    asked = {"program": "prompt_sum", "variable": "sum", **QUICK}
    with pytest.raises(
        UnknownNameError, match=r"'states': choose one of block_input, block_output, .*layers are 0\.\.2"
    ):
        align(model, task, site="states", **asked)
    with pytest.raises(UnknownNameError, match=r"layer=3 is not allowed: MambaForCausalLM .* its layers are 0\.\.2"):
        align(model, task, site="block_output:3", **asked)


@pytest.mark.parametrize("function", [name for name in ALIGNMENTS if ALIGNMENTS[name].learned])
@pytest.mark.parametrize("name", ["gpt2", "mamba"])
def test_half_precision_is_exchanged_in_float32(name, function, task, generator):
    pairs = interchange_pairs(task, task.program("prompt_sum"), ("sum",), 16, generator=generator)
    losses = []
    for dtype in (torch.bfloat16, torch.float32):
        model = small(name, dtype=dtype).requires_grad_(False)
        engine = PyveneEngine(model, Site("block_output", 1), [build(function, 32, 6, 1, seed=0)])
        loss, _ = engine.measure([engine.prepare(pairs)], [torch.arange(16)], [0])
        loss.sum().backward()
        gradients = [p.grad for p in engine.parameters() if p.grad is not None]
        assert gradients
        assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)
        assert {p.dtype for p in model.parameters()} == {dtype}
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_half_precision_search_runs_with_all_its_controls(tokenizer):
    # Lists of several lengths: shorter ones are padded.
    task = CountingPrompts(tokenizer=tokenizer, largest=5, shots=1, only_right=False)
    config = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    import transformers as hf

    model = hf.LlamaForCausalLM(
        hf.LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **config)
    )
    found = align(
        load(model, dtype="bfloat16"), task, program="prompt_count", variable="count", site="block_output:1",
        alignment="orthogonal", **QUICK,
    )  # fmt: skip
    assert len(found.controls) == 5
    assert set(found.test.by_base_count) <= set(range(1, 6))


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_heads_tokens_and_several_places_are_searched_saved_and_loaded(name, task, tmp_path, generator):
    model, tokens = small(name), ["operator", "last"]
    asked = {
        "program": "prompt_operands",
        "variable": ["first", "second"],
        "alignment": "orthogonal",
        "subspace_dim": 2,
    }
    for number, site in enumerate(["attention_value_output:1.2", ["block_output:0", "mlp_output:1"]]):
        options = asked | QUICK | {"site": site, "positions": tokens}
        found, reference = (align(model, task, engine=engine, **options) for engine in ("resumed", "pyvene"))
        assert (found.site, found.tokens) == (Site.of(site), ("operator", "last"))
        assert [r["loss"] for r in found.records] == pytest.approx([r["loss"] for r in reference.records], rel=1e-3)
        assert found.controls == reference.controls
        found.save_pyvene(tmp_path / str(number))
        plain = pv.IntervenableModel.load(str(tmp_path / str(number)), model)
        pairs = interchange_pairs(
            task, task.program("prompt_operands"), ("first",), 8, positions=tokens, generator=generator
        )
        call = (
            model_inputs(model, pairs.base_ids, pairs.base_mask),
            [model_inputs(model, pairs.source_ids, pairs.source_mask)],
            found.site.locations(pairs.source_places, pairs.base_places),
        )
        want = found.intervenable()(*call)[1].logits
        assert not torch.allclose(want, model(**call[0]).logits)
        torch.testing.assert_close(plain(*call)[1].logits, want)
        assert AlignmentResult.load(tmp_path / str(number), model).to_dict() == found.to_dict()


def test_an_exchange_at_an_operand_is_scored_by_the_variable_before_the_answer(task):
    pairs = interchange_pairs(task, task.program("prompt_operands"), ("first",), 50, positions=["a"])
    a, b, last = (int(task.landmarks(pairs.base_ids)[name][0]) for name in ("a", "b", "last"))
    assert pairs.base_places.tolist() == [[a]] * 50
    assert pairs.base_at.tolist() == [last] * 50
    answer, given, own = (
        [int(task.text(row)) for row in side[:, place : place + 1]]
        for side, place in ((pairs.base_ids, last + 1), (pairs.source_ids, a), (pairs.base_ids, b))
    )
    assert answer == [one + other for one, other in zip(given, own, strict=True)]


@pytest.mark.parametrize("name", ["qwen3_next", "olmo_hybrid"])
def test_the_state_of_a_hybrid_is_searched_by_pyvene(name, task):
    """Its layers with attention carry keys and values besides."""
    found = align(
        small(name), task, program="prompt_sum", variable="sum", site="state:1", alignment="low_rank", subspace_dim=4,
        controls=("floor", "ceiling"), search={"max_steps": 2, "check_every": 1, "batch_size": 8},
        pairs={"train": 16, "validation": 8, "test": 8},
    )  # fmt: skip
    assert found.engine == "pyvene"
    assert set(found.controls) == {"floor", "ceiling"}
    assert found.subspace_dim == 4
