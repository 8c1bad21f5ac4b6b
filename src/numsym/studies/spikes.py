"""Which spikes of a trained adder are used: where a number is read, and where one is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numsym._pyvene import frozen
from numsym.models.adders import number_rows
from numsym.results import Share
from numsym.studies.adder_bench import Bench, costs_nothing
from numsym.studies.periods import shares
from numsym.tasks import AdditionTask, WrittenAdditionTask

USED, IDLE, ANY, NOTHING = "used", "idle", "as any subspace", "nothing is right"

RANDOM = 5
"""Random subspaces of the same rank that a period's is held against."""


@dataclass(frozen=True)
class Spike:
    """What a trained adder does with a period of the last token of a.

    Attributes:
        period: T.
        rank: of its subspace.
        power: the share of the embeddings' power at T and its harmonics.
        right: held-out trials with every token of the answer right.
        ablated, random_ablated: the same without the subspace, and without random ones of the same rank.
        moved, random_moved: trials in which turning it by s moves the answer by s mod T.
        unwritten, random_unwritten: right when the subspace, or random ones, are taken out of the numbers'
            unembeddings.
        read: whether it is used where a is read: "idle" where ablating it costs less than two standard errors, "used"
            where it costs more than random subspaces do (their intervals lie apart), else "as any subspace"; and
            "nothing is right" where the network answers too few trials to lose any.
        written: the same where the sum is written.
    """

    period: int
    rank: int
    power: float
    right: Share
    ablated: Share
    random_ablated: Share
    moved: Share
    random_moved: Share
    unwritten: Share
    random_unwritten: Share
    read: str
    written: str


def spikes_of(
    model: Any, task: AdditionTask | WrittenAdditionTask, periods: Sequence[int], *, trials: int = 500, seed: int = 0
) -> list[Spike]:
    """Turn and ablate the subspace of each period at the last token of a, and take it out of the unembeddings.

    Args:
        model: a trained adder that pyvene knows.
        task: what it does.
        periods: each at most half of how many numbers have a token.
        trials: held-out ones, where pairs are held out.
        seed: of the trials, the shifts and the random subspaces.
    """
    power = shares(number_rows(model, task.numbers), periods)
    options: dict[str, Any] = {"trials": trials, "seed": seed, "split": "held_out" if task.has_held_out else "all"}
    found = []
    with frozen(model):
        for T in periods:
            bench = Bench(model, task, period=T, **options)
            fitted = bench.fitted(bench.states())
            others = [fitted.random(bench.generator) for _ in range(RANDOM)]
            right, ablated = bench.right(), bench.right(fitted)
            random = Share.joined([bench.right(one) for one in others])
            moved = bench.moved(fitted), Share.joined([bench.moved(one) for one in others])
            unwritten = bench.right_unwritten(fitted), Share.joined([bench.right_unwritten(one) for one in others])
            verdicts = _verdict(right, ablated, random), _verdict(right, *unwritten)
            found.append(Spike(T, fitted.rank, power[T], right, ablated, random, *moved, *unwritten, *verdicts))
    return found


def _verdict(right: Share, ablated: Share, random: Share) -> str:
    if costs_nothing(right, Share.of_counts(0, right.n)):
        return NOTHING
    if costs_nothing(right, ablated):
        return IDLE
    return USED if ablated.high < random.low else ANY
