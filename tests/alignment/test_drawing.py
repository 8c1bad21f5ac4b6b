import pytest
import torch

from numsym.alignment.drawing import draw_pairs, matched
from numsym.errors import InvalidArgumentError
from numsym.tasks import AdditionTask, MultiObject


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
