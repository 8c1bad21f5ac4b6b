import datasets
import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import TASKS, MultiObject


def test_the_same_seed_gives_the_same_trials():
    draws = [MultiObject(void_prob=0.2).sample(64, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(draws[0].input_ids, draws[1].input_ids)
    other = MultiObject(void_prob=0.2).sample(64, generator=torch.Generator().manual_seed(8))
    assert not torch.equal(draws[0].input_ids, other.input_ids[:, : draws[0].input_ids.shape[1]])


def test_splits_keep_the_held_out_counts_apart():
    task, g = MultiObject(), torch.Generator().manual_seed(0)
    assert set(task.sample(2000, generator=g, split="train").counts.tolist()) == set(range(1, 21)) - {4, 9, 14, 17}
    assert set(task.sample(2000, generator=g, split="held_out").counts.tolist()) == {4, 9, 14, 17}
    assert set(task.sample(2000, generator=g).counts.tolist()) == set(range(1, 21))


@pytest.mark.parametrize("name", list(TASKS))
def test_masks_agree_with_the_tokens(name, tokenizer):
    task = TASKS[name](**({"tokenizer": tokenizer} if name.endswith("prompts") else {}))
    batch = task.sample(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(batch.mask.sum(1), batch.lengths)
    assert not (batch.predictable & ~batch.mask).any()
    assert not (task.intervenable(batch.input_ids) & ~batch.mask).any()
    assert int(batch.input_ids.max()) < task.vocab_size <= len(task.vocabulary.tokens)


@pytest.mark.parametrize("name", list(TASKS))
def test_programs_bear_whatever_a_network_says(name, tokenizer, generator):
    """Running free feeds a network its own tokens where they are predictable: the program must go on from any."""
    task = TASKS[name](**({"tokenizer": tokenizer} if name.endswith("prompts") else {}))
    for program in map(task.program, task.programs):
        state = program.start(task.draw(200, "all", generator))
        for _ in range(60):
            token, predictable = program.emit(state, generator)
            going = state["ended"] == 0
            assert not (predictable & ~going).any()
            assert ((token >= 0) & (token < task.vocab_size) | ~going).all()
            said = torch.randint(task.vocab_size, token.shape, generator=generator)
            wrong = predictable & (torch.rand(token.shape, generator=generator) < 0.3)
            state = program.update(state, torch.where(wrong, said, token))
            assert (state["ended"][~going] == 1).all()


def test_a_dataset_survives_the_disk(tmp_path):
    batch = MultiObject().sample(30, generator=torch.Generator().manual_seed(0))
    batch.to_dataset().save_to_disk(tmp_path / "data")
    again = datasets.load_from_disk(tmp_path / "data").with_format("torch")
    assert again.column_names == ["input_ids", "attention_mask", "predictable", "counts", "phase", "count"]
    assert torch.equal(again[:]["input_ids"], batch.input_ids)
    assert torch.equal(again[:]["predictable"], batch.predictable)
    assert torch.equal(again[:]["attention_mask"].bool(), batch.mask)
    assert torch.equal(again[:]["counts"], batch.counts)
    assert torch.equal(again[:]["count"], batch.states["count"])


def test_bad_requests_are_refused_before_any_work():
    task = MultiObject()
    with pytest.raises(InvalidArgumentError, match="n=0 is not allowed: it must be at least 1"):
        task.sample(0)
    with pytest.raises(UnknownNameError, match="unknown split 'test': choose one of all, held_out, train"):
        task.sample(1, split="test")
    with pytest.raises(InvalidArgumentError, match="split='held_out' is empty"):
        MultiObject(held_out=()).sample(1, split="held_out")
    with pytest.raises(UnknownNameError, match=r"unknown program of multi_object 'down'.* up_down, up_up"):
        task.program("down")
    with pytest.raises(UnknownNameError, match=r"unknown task 'objects': choose one of .*multi_object"):
        TASKS["objects"]
