import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import TASKS, ModularAddition


def test_the_splits_divide_all_pairs():
    task = ModularAddition(p=11, fraction=0.8)
    train, held_out, everything = (task.pairs(split).tolist() for split in ("train", "held_out", "all"))
    assert len(train) == round(0.8 * 121)
    assert train + held_out == everything
    assert sorted(everything) == [[a, b] for a in range(11) for b in range(11)]


def test_the_seed_decides_the_split():
    first, again, other = (ModularAddition(p=11, seed=seed).pairs("train") for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_whole_splits_and_samples_have_the_right_answers(generator):
    task = ModularAddition(p=11, separate_vocabularies=True, equals_sign=True)
    for batch in (task.whole("held_out"), task.sample(50, generator=generator)):
        a, b, sign, c = batch.input_ids.unbind(1)
        assert torch.equal(c, (a + b - 11) % 11)
        assert torch.equal(batch.counts, c)
        assert set(sign.tolist()) == {22}
        assert batch.mask.all()
        assert batch.predictable.sum(1).tolist() == [1] * len(batch)


def test_samples_keep_to_their_split(generator):
    task = ModularAddition(p=5, fraction=0.5)
    allowed = {tuple(pair) for pair in task.pairs("train").tolist()}
    drawn = {tuple(pair) for pair in task.sample(500, split="train", generator=generator).input_ids[:, :2].tolist()}
    assert drawn == allowed


def test_a_dataset_has_every_pair_once():
    dataset = ModularAddition(p=5).dataset()
    assert len(dataset) == 25
    assert all((row["input_ids"][0] + row["input_ids"][1]) % 5 == row["counts"] == row["sum"][-1] for row in dataset)


@pytest.mark.parametrize(("where", "position"), [("a", 0), ("b", 1), ("last", 2)])
def test_one_position_can_be_intervened_at(where, position):
    task = ModularAddition(p=5, equals_sign=True, intervene_at=where)
    allowed = task.intervenable(task.whole().input_ids)
    assert allowed.nonzero()[:, 1].unique().tolist() == [position]
    assert allowed.sum(1).unique().tolist() == [1]


def test_other_programs_trace_the_same_tokens():
    task = ModularAddition(p=5)
    batch = task.whole()
    run = task.trace("modular_operands", batch)
    assert torch.equal((run.states["first"] + run.states["second"])[:, 1] % 5, batch.states["sum"][:, 1])
    assert task.text(batch.input_ids[0]).split()[-1] == str(int(batch.counts[0]))


def test_it_is_registered():
    assert TASKS["modular_addition"] is ModularAddition


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"p": 1}, "p=1 is not allowed"),
        ({"fraction": 1.2}, "fraction=1.2 is not allowed"),
        ({"p": 3, "fraction": 0.01}, "it leaves none of 9 pairs for training"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(InvalidArgumentError, match=text):
        ModularAddition(**options)


def test_bad_names_and_empty_splits():
    with pytest.raises(UnknownNameError, match="unknown intervene_at 'c': choose one of a, b, last"):
        ModularAddition(intervene_at="c")
    with pytest.raises(InvalidArgumentError, match="split='held_out' is empty"):
        ModularAddition(p=5, fraction=1).whole("held_out")
