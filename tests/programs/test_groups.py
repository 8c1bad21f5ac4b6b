import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.programs import group


def apply(permutation, thing):
    return int(permutation[thing])


@pytest.mark.parametrize(("name", "order"), [("S2", 2), ("S3", 6), ("S4", 24), ("S5", 120)])
def test_a_product_of_permutations_maps_each_thing_by_the_second_and_then_the_first(name, order):
    found = group(name)
    assert len(found.elements) == order
    n = int(name[1])
    for g in range(0, order, 1 + order // 12):
        for h in range(order):
            product = found.elements[int(found.table[g, h])]
            assert [apply(product, i) for i in range(n)] == [
                apply(found.elements[g], apply(found.elements[h], i)) for i in range(n)
            ]


@pytest.mark.parametrize("name", ["Z2", "Z7", "S3", "S4"])
def test_it_is_a_group_whose_first_element_is_the_identity(name):
    table = group(name).table
    n = len(table)
    assert table[0].tolist() == table[:, 0].tolist() == list(range(n))
    assert torch.equal(table.sort(1).values, torch.arange(n).expand(n, n))
    assert torch.equal(table[table], table[:, table])


def test_integers_are_added():
    assert group("Z7").table[5].tolist() == [5, 6, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["Z1", "S6", "A5", "S", "Z-3", ""])
def test_what_is_not_there_is_refused(name):
    with pytest.raises(InvalidArgumentError, match=r"is not allowed: it must be Z2\.\.Z999"):
        group(name)
