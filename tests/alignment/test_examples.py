"""Trials of a hand-built counter, whose every token is known."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment import align, interchange_pairs, right_of
from numsym.alignment.examples import in_words
from numsym.models import counting_gru
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7))


@pytest.fixture(scope="module")
def found():
    return align(
        counting_gru(TASK.vocabulary, width=6), TASK, alignment="orthogonal", subspace_dim=1, controls=False,
        search={"max_steps": 300, "learning_rate": 1e-2}, pairs={"train": 1000, "validation": 100, "test": 100},
    )  # fmt: skip


@pytest.fixture
def pairs(generator):
    return interchange_pairs(TASK, TASK.program("up_down"), ("count",), 40, generator=generator)


def test_a_counter_says_what_the_program_says(found, pairs):
    assert found.iia == 1
    said = in_words(found, TASK, pairs)
    assert all(one.right and one.program == one.network for one in said)
    for row, one in enumerate(said):
        # What is exchanged is the source's count, and after a response so many responses follow.
        before, after = one.exchanged.removeprefix("count ").split(" to ")
        assert one.base_state.endswith(f"count {before}")
        assert one.source_state.endswith(f"count {after}")
        if one.base_state.startswith("phase response"):
            assert one.program.split() == [*["R"] * int(after), "E"]
        assert len(one.base.split()) == int(pairs.base_at[row]) + 1


def test_where_an_exchange_does_nothing_the_first_wrong_token_is_named(found, pairs):
    """A map that exchanges no coordinate: the network goes on with the base's count."""
    still = replace(found, intervention=_still(found.intervention))
    right = right_of(still, pairs, "pyvene")
    said = in_words(still, TASK, pairs)
    assert [one.right for one in said] == right.tolist()
    wrong = next(one for one in said if not one.right and one.base_state.startswith("phase response"))
    before, after = map(int, wrong.exchanged.removeprefix("count ").split(" to "))
    assert wrong.differs == (
        f"token {before + 1} after the exchange is E, not R"
        if after > before
        else f"token {after + 1} after the exchange is R, not E"
    )
    assert wrong.differs in str(wrong)


def _still(intervention):
    width = int(intervention.embed_dim)
    other = type(intervention)(embed_dim=width)
    other.set_interchange_dim(0)
    return other


def test_each_block_of_several_is_exchanged_alone(generator):
    model = counting_gru(TASK.vocabulary, width=6)
    both = align(
        model, TASK, variable=("count", "phase"), subspace_dim=1, controls=False, search={"max_steps": 1},
        pairs={"train": 50, "validation": 20, "test": 20},
    )  # fmt: skip
    drawn = interchange_pairs(TASK, TASK.program("up_down"), ("count", "phase"), 30, generator=generator)
    said = in_words(both, TASK, drawn)
    assert [one.exchanged.split()[0] for one in said] == [("count", "phase")[b] for b in drawn.block.tolist()]
    assert [one.right for one in said] == right_of(both, drawn, "pyvene").tolist()
    assert torch.equal(drawn.base_state["count"][drawn.block == 1], drawn.state["count"][drawn.block == 1])
