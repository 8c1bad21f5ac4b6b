"""The pairs that hypotheses are compared on: the same trials and places, as far as their programs admit them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.alignment import Hypothesis, PairCounts, Pairs, interchange_pairs, measured_pairs
from numsym.alignment.pairs import Positions
from numsym.tasks import Task

MORE = 4
"""How many times as many pairs are drawn anew, where those that were measured are not the same."""

APART = 2_000_000
"""Added to a hypothesis' seed for pairs drawn anew."""


def comparable_pairs(
    task: Task, hypotheses: Sequence[Hypothesis], counts: PairCounts, positions: Positions | None
) -> list[Pairs]:
    """For each hypothesis, pairs with its counterfactuals: those that it was measured on, where these are the same.

    They are, where the programs admit the same exchanges. Otherwise what is not admitted was drawn again for each
    alone, so that hardly a pair is the same. Then pairs are drawn anew, none of which was trained on: what is drawn
    first is the same for all, so each two hypotheses share what both admit.

    Args:
        task: what the model does.
        hypotheses: of one seed, one variable each.
        counts: of the pairs that they are searched for and measured on.
        positions: of these.
    """
    drawn = [measured_pairs(task, one, counts, positions) for one in hypotheses]
    keys = [pairs.keys() for pairs in drawn]
    if all(own == keys[0] for own in keys):
        return drawn
    anew = [_anew(task, one, counts, positions) for one in hypotheses]
    return [pairs if len(pairs) else measured for pairs, measured in zip(anew, drawn, strict=True)]


def _anew(task: Task, hypothesis: Hypothesis, counts: PairCounts, positions: Positions | None) -> Pairs:
    generator = torch.Generator().manual_seed(hypothesis.seed + APART)
    program, n = task.program(hypothesis.program), MORE * counts.test
    drawn = interchange_pairs(task, program, hypothesis.variables, n, positions=positions, generator=generator)
    return drawn.without(measured_pairs(task, hypothesis, counts, positions, part="train"))


def common(first: Pairs, second: Pairs) -> tuple[Int[Tensor, "shared"], Int[Tensor, "shared"]]:
    """The rows of each in which both are met at the same places, in the order of the first, each row once."""
    places = {key: row for row, key in enumerate(_numbered(second))}
    rows = [(row, places[key]) for row, key in enumerate(_numbered(first)) if key in places]
    both = torch.tensor(rows, dtype=torch.long).view(-1, 2)
    return both[:, 0], both[:, 1]


def _numbered(pairs: Pairs) -> list[tuple[Any, int]]:
    """Where each pair meets, and how often it did before: pairs of small tasks may be there twice."""
    seen: Counter[Any] = Counter()
    found = []
    for key in pairs.keys():  # noqa: SIM118  (a method of its own)
        found.append((key, seen[key]))
        seen[key] += 1
    return found
