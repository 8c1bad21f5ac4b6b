"""What is said of rows of tokens, against a loop over their tokens."""

import pytest
import torch

from numsym.alignment.engines.rows import Rows, compacted, distinct, following, picked, scored_of


def drawn(n=6, width=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(10, (n, width), generator=generator)
    return ids, torch.rand(n, width, generator=generator) < 0.5, torch.randint(width - 1, (n,), generator=generator)


def test_what_follows_a_position_is_what_a_loop_finds():
    ids, scored, at = drawn()
    where, targets = following(ids, scored, at)
    for row in range(len(ids)):
        after = list(range(int(at[row]) + 1, ids.shape[1]))
        assert where[row].tolist() == [bool(scored[row, t]) for t in after] + [False] * (where.shape[1] - len(after))
        assert targets[row, : len(after)].tolist() == ids[row, after].tolist()


@pytest.mark.parametrize("side", ["left", "right", "between"])
def test_real_tokens_come_first_in_their_order_whatever_the_padding(side):
    ids, mask, _ = drawn()
    mask = {"left": torch.arange(9) >= 3, "right": torch.arange(9) < 5}.get(side, mask).expand(6, 9) | (
        ids == ids[0, 4]
    )
    last = (mask * torch.arange(1, 10)).amax(1, keepdim=True) - 1
    moved, at = compacted(mask, last, ids)
    for row in range(6):
        real = ids[row][mask[row]].tolist()
        assert moved[row, : len(real)].tolist() == real
        assert at[row].item() == len(real) - 1


def test_some_rows_are_theirs_in_every_part_and_batches_join_with_as_many_steps():
    ids, scored, at = drawn()
    where, targets = following(ids, scored, at)
    both = Rows(torch.arange(6), ids, at, where, targets)
    some, later = both.rows(torch.tensor([4, 1])), both.onwards(3, skipped=1)
    assert some.block.tolist() == [4, 1]
    assert torch.equal(some.targets, targets[[4, 1]])
    for row in range(6):
        tokens = ids[row, int(at[row]) + 1 :].tolist()[:3]
        assert later[row].tolist() == tokens + [int(ids[row, -1])] * (3 - len(tokens))
    narrow = Rows(some.block, some.ids, some.starts, some.scored[:, :2], some.targets[:, :2])
    joined, _ = scored_of([both, narrow], where.shape[1])
    assert torch.equal(joined[:6], where)
    assert torch.equal(joined[6:, :2], where[[4, 1], :2])
    assert not joined[6:, 2:].any()


def test_rows_alike_in_all_columns_are_of_one_kind():
    rows, other = torch.tensor([[1, 2], [3, 4], [1, 2], [1, 2]]), torch.tensor([0, 0, 0, 5])
    first, each = distinct(rows, other)
    assert torch.equal(rows[first][each], rows)
    assert torch.equal(other[first][each], other)
    assert sorted(first.tolist()) == [0, 1, 3]


def test_what_is_kept_elsewhere_comes_to_where_it_is_needed():
    kept, index = torch.arange(12.0).view(6, 2), torch.tensor([[5, 0], [2, 2]])
    assert torch.equal(picked(kept, index, torch.device("cpu")), kept[index])
    there = picked(kept, index, torch.device("meta"))
    assert (there.device.type, there.shape) == ("meta", (2, 2, 2))
