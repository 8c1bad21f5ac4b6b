import torch

from numsym.alignment.order import Order


def test_an_epoch_visits_every_pair_once():
    order = Order(10, 3, seed=0)
    epoch = torch.cat([order.next() for _ in range(3)])
    assert len(set(epoch.tolist())) == 9
    assert len(Order(2, 128, seed=0).next()) == 2


def test_rows_that_were_wrong_come_again_until_they_are_right():
    order = Order(100, 10, seed=0, wrong_share=0.5)
    first = order.next()
    order.see(first, torch.arange(10) >= 3)
    assert not set(order.next().tolist()) & set(first.tolist())  # not before they are looked at
    order.look()
    wrong = set(first[:3].tolist())
    batch = order.next()
    assert len(batch) == 10
    assert set(batch[7:].tolist()) == wrong
    order.see(batch, torch.ones(10, dtype=torch.bool))
    order.look()
    assert not len(order.wrong)
    order.see(torch.arange(20), torch.zeros(20, dtype=torch.bool))
    order.look()
    again = order.next()
    assert set(again[5:].tolist()) <= set(range(20))  # at most the share
    assert len(again) == 10


def test_a_row_is_taken_again_where_it_was_wrong_in_any_direction():
    order = Order(4, 4, 0, wrong_share=0.5)
    order.see(torch.tensor([2, 0]), torch.tensor([True, True, False, True]))  # two directions, one behind the other
    order.look()
    assert order.wrong.tolist() == [2]
