import pytest
import torch

from numsym.alignment.drawing import draw_pairs, matched, tokens_at
from numsym.errors import InvalidArgumentError
from numsym.tasks import AdditionTask, ModularAddition, MultiObject


def test_equal_places_meet_once_in_the_order_of_the_base(generator):
    base, source = (torch.randint(5, (n,), generator=generator) for n in (200, 150))
    rows, partners = matched(base, source)
    assert torch.equal(base[rows], source[partners])
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(partners.tolist())) == len(partners)
    both = torch.minimum(torch.bincount(base, minlength=5), torch.bincount(source, minlength=5))
    assert len(rows) == both.sum()


def test_where_all_places_are_one_every_row_meets_its_own():
    rows, partners = matched(torch.zeros(7, dtype=torch.long), torch.zeros(7, dtype=torch.long))
    assert rows.tolist() == partners.tolist() == list(range(7))


def test_positions_of_one_place_are_drawn(generator):
    task = AdditionTask(base=10, digits=3)
    side = (task, task.program())
    base, source, block = draw_pairs(side, side, [("left",), ("right",)], 500, "all", {}, generator)
    assert len(base) == len(source) == len(block) == 500
    assert torch.equal(base.at, source.at)
    assert set(base.at.tolist()) == {0, 1, 2, 4, 5, 6}
    assert set(block.tolist()) == {0, 1}


def test_what_no_program_admits_is_an_error(generator):
    task = MultiObject()
    program = task.program()
    program.longest = 0
    with pytest.raises(InvalidArgumentError, match="variable phase is not allowed here: of 1000 pairs only"):
        draw_pairs((task, program), (task, program), [("phase",)], 10, "all", {"phase": -1}, generator)


def test_tokens_are_exchanged_together_and_the_variable_at_the_last_of_them(generator):
    task = MultiObject(counts=range(3, 9))
    side = (task, task.program())
    for half in draw_pairs(side, side, [("count",)], 200, "all", [4, 2], generator)[:2]:
        assert half.tokens.tolist() == [[4, 2]] * 200
        assert half.at.tolist() == [4] * 200
    prompt = ModularAddition(p=7)
    side = (prompt, prompt.program())
    base, _, _ = draw_pairs(side, side, [("sum",)], 50, "all", ["a", "b"], generator)
    assert base.tokens.tolist() == [[0, 1]] * 50
    assert base.at.tolist() == [prompt.vocabulary.prompt_length - 1] * 50  # where alone the task allows it


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([2, 30], r"30 is outside of the shortest trial of multi_object, whose \d+ tokens are 0\.\."),
        ([-1], "-1 is outside"),
        ([2, 2], "each once"),
        ([], "each once"),
        ("last", "give a list of tokens"),
        (["last"], r"unknown position of multi_object 'last': choose one of \(none\)"),
    ],
)
def test_tokens_that_there_are_not_are_named(positions, message, generator):
    task = MultiObject()
    with pytest.raises(InvalidArgumentError, match=message):
        tokens_at(task, task.sample(20, generator=generator).input_ids, positions)


def test_tokens_after_which_the_task_allows_no_exchange_are_an_error(generator):
    task = ModularAddition(p=7, intervene_at="a")
    side = (task, task.program())
    with pytest.raises(InvalidArgumentError, match=r"positions=\['b'\] is not allowed: of 500 trials only 0"):
        draw_pairs(side, side, [("sum",)], 5, "all", ["b"], generator)
