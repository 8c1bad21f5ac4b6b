import torch

from numsym.programs.numbers import Numbers, pick

DIGITS = Numbers(tuple(tuple(10 + int(digit) for digit in str(number)) for number in range(8, 25)), 8)


def test_a_number_is_written_token_by_token_and_read_back():
    number = torch.arange(8, 25)
    lengths = DIGITS.lengths(number)
    assert lengths.tolist() == [len(str(n)) for n in range(8, 25)]
    node = torch.zeros_like(number)
    for index in range(2):
        inside = index < lengths
        node = torch.where(inside, DIGITS.read(node, DIGITS.token(number, torch.full_like(number, index))), node)
    assert DIGITS.value(node).tolist() == number.tolist()
    assert (DIGITS.first, DIGITS.last, DIGITS.longest) == (8, 24, 2)


def test_what_is_no_number_is_told():
    root = torch.zeros(2, dtype=torch.long)
    assert DIGITS.read(root, torch.tensor([13, 99])).tolist() == [-1, -1]
    assert DIGITS.value(torch.tensor([-1, 0])).tolist() == [0, 0]


def test_only_what_follows_tells_a_number_from_one_that_begins_so():
    assert not DIGITS.needs_end
    assert Numbers(((11,), (11, 12))).needs_end
    assert not Numbers(((11,), (12,))).needs_end


def test_where_a_number_ends():
    ids = torch.tensor([[5, 18, 6, 6], [5, 11, 10, 6], [5, 6, 11, 14]])
    assert DIGITS.end(ids, torch.tensor([1, 1, 2])).tolist() == [1, 2, 3]


def test_the_nearest_of_some_ids():
    assert pick((4, 5), torch.tensor([-1, 1, 9])).tolist() == [4, 5, 5]
    assert pick((), torch.tensor([3])).tolist() == [0]
