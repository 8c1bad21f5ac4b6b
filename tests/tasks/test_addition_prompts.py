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
        ({"smallest": 12}, r"smallest=12 is not allowed: it must lie in 0\.\.9"),
        ({"largest_sum": 19}, r"largest_sum=19 is not allowed: it must lie in 0\.\.18"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            AdditionPrompts(tokenizer=tokenizer, **change)
    with pytest.raises(UnknownNameError, match="unknown intervene_at 'c': choose one of a, b, last"):
        AdditionPrompts(tokenizer=tokenizer, intervene_at="c")


def test_numbers_of_several_tokens_are_written_and_scored_whole(tokenizer, generator):
    task = AdditionPrompts(tokenizer=tokenizer, largest=60, shots=1)
    batch = task.sample(80, generator=generator)
    for row, ids in enumerate(batch.input_ids):
        a, b = int(batch.plan["a"][row]), int(batch.plan["b"][row])
        text = task.text(ids).split("\n", 1)[1]
        assert text == f"{a} + {b} = {a + b}\n"  # the end is scored: 1 begins 12
        assert task.text(ids[batch.predictable[row]]).strip() == str(a + b)
        for name, said in (("a", f"{a}"), ("b", f"{a} + {b}"), ("last", f"{a} + {b} =")):
            at = int(task.landmarks(batch.input_ids)[name][row])
            assert task.text(ids[: at + 1]).split("\n", 1)[1].rstrip() == said
    assert len(batch.predictable.sum(1).unique()) > 1


@pytest.mark.parametrize("place", ["b", "last"])
@pytest.mark.parametrize("variable", ["carry", "ones", "tens"])
def test_a_column_is_exchanged(tokenizer, generator, place, variable):
    task = AdditionPrompts(tokenizer=tokenizer, largest=60, intervene_at=place)
    pairs = interchange_pairs(task, task.program("prompt_carry"), (variable,), 40, generator=generator)
    column = {
        "carry": lambda a, b: (a % 10 + b % 10) // 10,
        "ones": lambda a, b: (a + b) % 10,
        "tens": lambda a, b: a // 10 + b // 10,
    }
    for row in range(40):
        base, source = (task.text(ids).strip().split("\n")[-1] for ids in (pairs.base_ids[row], pairs.source_ids[row]))
        (a, b), answer = (int(n) for n in base.split(" = ")[0].split(" + ")), int(base.split(" = ")[1])
        c, d = (int(n) for n in source.split(" =")[0].split(" + "))
        made = {name: of(*((c, d) if name == variable else (a, b))) for name, of in column.items()}
        assert answer == 10 * (made["tens"] + made["carry"]) + made["ones"] <= 120
    assert pairs.changed.any()


def test_sums_may_be_kept_small_after_an_exchange_too(tokenizer, generator):
    task = AdditionPrompts(tokenizer=tokenizer, largest=9, largest_sum=9, fraction=0.8)
    assert len(task.pairs()) == 55
    assert task.pairs().sum(1).max() == 9
    assert {len(task.pairs("train")), len(task.pairs("held_out"))} == {44, 11}
    pairs = interchange_pairs(task, task.program("prompt_operands"), ("first",), 60, generator=generator)
    assert all(int(task.text(ids).split(" = ")[-1]) <= 9 for ids in pairs.base_ids)
