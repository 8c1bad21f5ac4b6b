"""Ripple-carry addition against integers, and its exchanges against columns added by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs import exchange, state_at, unroll
from numsym.tasks import RippleAddition


def columns(a, b, base, digits):
    """The sum digits, and the carry into each column and out of the last."""
    sums, carries, carry = [], [0], 0
    for i in range(digits):
        total = a // base**i % base + b // base**i % base + carry
        sums.append(total % base)
        carry = total // base
        carries.append(carry)
    return sums, carries


def added(a, b, base, digits, *, sums, carry, first):
    """The digits said when columns before `first` have these sums and this carry comes into it."""
    said = list(sums[:first])
    for i in range(first, digits):
        total = a // base**i % base + b // base**i % base + carry
        said.append(total % base)
        carry = total // base
    return [*said, carry]


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize(("base", "digits"), [(2, 4), (10, 2), (3, 1)])
def test_every_pair_is_added_as_integers_are(base, digits, interleaved):
    batch = RippleAddition(base=base, digits=digits, interleaved=interleaved).whole()
    said = batch.input_ids[:, -digits - 1 :]
    total = (said * base ** torch.arange(digits + 1)).sum(1)
    assert torch.equal(total, batch.plan["a"] + batch.plan["b"])
    assert batch.predictable.nonzero()[:, 1].unique().tolist() == list(range(batch.input_ids.shape[1]))[-digits - 1 :]


def test_each_variable_holds_its_value_until_it_has_been_used():
    task = RippleAddition()
    batch = task.sample(1, plan={"a": torch.tensor([0b0110]), "b": torch.tensor([0b0011])})
    assert task.text(batch.input_ids[0]) == "0 1 1 1 1 0 0 0 = 1 0 0 1 0"
    held = {name: batch.states[name][0].tolist() for name in ("left_1", "sum_1", "carry_1", "carry_2", "carry_4")}
    none = -1
    assert held["left_1"] == [none] * 2 + [1] + [none] * 11
    assert held["sum_1"] == [none] * 3 + [0] * 7 + [none] * 4
    assert held["carry_1"] == [none, 0, 0] + [none] * 11
    assert held["carry_2"] == [none] * 3 + [1, 1] + [none] * 9
    assert held["carry_4"] == [none] * 7 + [0] * 6 + [none]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(2, 4), (10, 3)]), st.booleans(), st.data())
def test_a_carry_ripples_and_a_sum_digit_does_not(shape, interleaved, data):
    base, digits = shape
    a, b, c, d = (data.draw(st.integers(0, base**digits - 1)) for _ in range(4))
    task = RippleAddition(base=base, digits=digits, interleaved=interleaved, fraction=1)
    program = task.program()
    batch = task.sample(2, plan={"a": torch.tensor([a, c]), "b": torch.tensor([b, d])})
    column = data.draw(st.integers(0, digits - 1))
    at = state_at(batch.states, torch.full((2,), program.reads_b[column]))
    one, other = ({key: value[i : i + 1] for key, value in at.items()} for i in (0, 1))
    sums, carries = columns(a, b, base, digits)
    theirs, coming = columns(c, d, base, digits)

    def said(*names):
        assert program.admits(one, other, names).item()
        tokens = unroll(program, exchange(one, other, names)).tokens[0]
        return tokens[-digits - 1 :].tolist()

    known = {"carry": carries[column + 1], "first": column + 1, "sums": sums}
    assert said(f"carry_{column + 1}") == added(a, b, base, digits, **{**known, "carry": coming[column + 1]})
    for digit in range(column + 1):
        changed = [theirs[i] if i == digit else value for i, value in enumerate(sums)]
        assert said(f"sum_{digit}") == added(a, b, base, digits, **{**known, "sums": changed})
    if column + 1 < digits:
        assert not program.admits(one, other, (f"sum_{column + 1}",)).item()
    if interleaved:
        everything = added(a, b, base, digits, sums=theirs, carry=coming[column + 1], first=column + 1)
        assert said(*program.variables) == everything
