import pytest
import torch

from numsym.alignment import interchange_pairs
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import AdditionPrompts, load_task


def test_a_trial_is_the_tokenizers_reading_of_its_text(tokenizer, generator):
    task = AdditionPrompts(tokenizer=tokenizer, largest=9, shots=2)
    batch = task.sample(50, generator=generator)
    for row, ids in enumerate(batch.input_ids):
        a, b = int(batch.plan["a"][row]), int(batch.plan["b"][row])
        lines = task.text(ids).split("\n")
        assert lines[-1] == f"{a} + {b} = {a + b}"
        assert all(eval(left) == int(right) for left, right in (line.split(" = ") for line in lines))
        assert tokenizer(task.text(ids))["input_ids"] == ids.tolist()
    assert batch.predictable.sum(1).tolist() == [1] * 50
    assert batch.predictable[:, -1].all()
    assert torch.equal(batch.counts, batch.plan["a"] + batch.plan["b"])


@pytest.mark.parametrize("template", ["{a}+{b}={c}", "The sum of {a} and {b} is {c}", "Q: {a} plus {b}? A: {c}"])
@pytest.mark.parametrize("shots", [0, 3])
def test_other_templates(tokenizer, template, shots):
    task = AdditionPrompts(tokenizer=tokenizer, largest=4, shots=shots, template=template)
    batch = task.sample(3, plan={"a": torch.tensor([0, 4, 3]), "b": torch.tensor([2, 4, 0])})
    assert task.text(batch.input_ids[1]).split("\n")[-1] == template.format(a=4, b=4, c=8)
    where = {"a": "4", "b": "4", "last": None}
    for name, said in where.items():
        task.intervene_at = name
        [at] = task.intervenable(batch.input_ids)[1].nonzero()[:, 0].tolist()
        if said is None:
            assert at == batch.input_ids.shape[1] - 2
        else:
            assert tokenizer.decode([int(batch.input_ids[1, at])]).strip() == said


@pytest.mark.parametrize(("program", "variable"), [("prompt_sum", "sum"), ("prompt_operands", "second")])
@pytest.mark.parametrize("place", ["b", "last"])
def test_the_counterfactual_is_the_answers_token(tokenizer, generator, program, variable, place):
    task = AdditionPrompts(tokenizer=tokenizer, largest=5, intervene_at=place)
    pairs = interchange_pairs(task, task.program(program), (variable,), 40, generator=generator)
    assert pairs.scored.sum(1).tolist() == [1] * 40
    for row in range(40):
        base, source = (task.text(ids).split("\n")[-1] for ids in (pairs.base_ids[row], pairs.source_ids[row]))
        (a, b), answer = (int(n) for n in base.split(" = ")[0].split(" + ")), int(base.split(" = ")[1])
        c, d = (int(n) for n in source.split(" =")[0].split(" + "))
        assert answer == (c + d if variable == "sum" else a + d)
        assert int(pairs.source_value[row]) == (c + d if variable == "sum" else d)
        assert int(pairs.base_value[row]) == (a + b if variable == "sum" else b)


def test_pairs_are_held_out(tokenizer):
    task = AdditionPrompts(tokenizer=tokenizer, largest=4, fraction=0.8)
    seen, kept = ({tuple(pair) for pair in task.pairs(split).tolist()} for split in ("train", "held_out"))
    assert (len(seen), len(kept), len(seen | kept)) == (20, 5, 25)


def test_a_recipe_names_the_tokenizers_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    task = load_task({"name": "addition_prompts", "arguments": {"tokenizer": str(tmp_path), "largest": 3}})
    assert task.vocabulary == AdditionPrompts(tokenizer=tokenizer, largest=3).vocabulary
    assert task.vocab_size <= len(tokenizer)


def test_what_is_not_allowed(tokenizer):
    for change, said in (
        ({"largest": 0}, "largest=0 is not allowed: it must be at least 1"),
        ({"shots": -1}, "shots=-1 is not allowed: it must be at least 0"),
        ({"template": "{b} + {a} = {c}"}, r"template='.*' is not allowed: it must hold \{a\}, \{b\} and \{c\}"),
        ({"template": "{a} + {b} = {c}."}, "and end with"),
        ({"largest": 40}, "number 10 is split into '1', '0' by this tokenizer.*: take largest=9 or less"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            AdditionPrompts(tokenizer=tokenizer, **change)
    with pytest.raises(UnknownNameError, match="unknown intervene_at 'c': choose one of a, b, last"):
        AdditionPrompts(tokenizer=tokenizer, intervene_at="c")
