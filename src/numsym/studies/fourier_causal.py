"""Whether an adder uses its Fourier features: rotate the period-T subspace of a number, or ablate it ([F], [P])."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from numsym._pyvene import frozen
from numsym.errors import check_at_least, check_between
from numsym.figures import COLOURS, drawing, points
from numsym.interventions.fourier import waves
from numsym.models.adders import build_adder
from numsym.results import Result, Share
from numsym.run import NO_RUN, NoRun
from numsym.studies.adder_bench import Bench, costs_nothing
from numsym.studies.catalog import study
from numsym.tasks.addition import AdditionTask
from numsym.training import AdderTraining, TrainingLog, train_adder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = """\
moved: trials in which rotating the subspace of the lowest digit of a by s moves
the answer by s. right_ablated: trials answered rightly without the subspace.
random: of all random subspaces of the same rank together. power: a harmonic's
share of the states' variance. A harmonic is idle when ablating it changes the
share of right answers by less than two standard errors."""


@dataclass(frozen=True)
class Subspace:
    """What some harmonics of the period do together, and what random subspaces of the same rank do.

    Attributes:
        harmonics: those of the most power.
        rank: of their subspace.
        moved: trials in which rotating by s moves the answer by s.
        random_moved, random_moved_most: of all random subspaces together, and of the one with the most.
        right_ablated: right answers without the subspace.
        random_right_ablated: without a random one, over all together.
    """

    harmonics: tuple[int, ...]
    rank: int
    moved: Share
    random_moved: Share
    random_moved_most: Share
    right_ablated: Share
    random_right_ablated: Share


@dataclass(frozen=True)
class Harmonic:
    """One harmonic by itself.

    Attributes:
        harmonic: l, of frequency l / T.
        power: its share of the states' variance.
        right, right_ablated: right answers, with it and without.
        idle: whether they differ by less than two standard errors.
    """

    harmonic: int
    power: float
    right: Share
    right_ablated: Share
    idle: bool


@dataclass(frozen=True, repr=False)
class FourierCausal(Result):
    """What an adder does with the period T of a number.

    Attributes:
        period: T.
        training: of the adder.
        ranks: by how many harmonics are rotated or ablated.
        harmonics: the strongest, each by itself.
    """

    period: int
    training: TrainingLog
    ranks: list[Subspace]
    harmonics: list[Harmonic]

    name: ClassVar[str] = "fourier_causal"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What is rotated and ablated."""
        return f"the strongest harmonics of T = {self.period}"

    def rows(self) -> list[dict[str, Any]]:
        """A row a number of harmonics."""
        return [{**vars(one), "harmonics": ", ".join(map(str, one.harmonics))} for one in self.ranks]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """By the number of harmonics, rotated and ablated; and by each."""
        shown: dict[str, list[dict[str, Any]]] = {}
        for what, part in (("rotated", "moved"), ("ablated", "ablated")):
            shown[f"{what}: {self.title}"] = [
                {"harmonics": len(one.harmonics), **{k: v for k, v in vars(one).items() if k == "rank" or part in k}}
                for one in self.ranks
            ]
        return shown | {"each harmonic by itself": [dict(vars(one)) for one in self.harmonics]}

    def figure(self) -> "Figure":
        """Rotating and ablating by rank, beside random subspaces."""
        from matplotlib.ticker import MaxNLocator

        panels = {"moved": "answer moved by s when rotated by s", "right_ablated": "right when ablated"}
        with drawing() as plt:
            figure, both = plt.subplots(1, 2, figsize=(7.2, 3.2), sharey=True, layout="constrained")
            for axes, (name, label) in zip(both, panels.items(), strict=True):
                points(axes, {one.rank: getattr(one, name) for one in self.ranks}, 0.0, COLOURS[0], label="fitted")
                random = {one.rank: getattr(one, f"random_{name}") for one in self.ranks}
                points(axes, random, 0.0, "0.5", hollow=True, label="random")
                axes.set(xlabel="rank of the subspace", title=label, ylim=(-0.03, 1.03))
                axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            both[0].set_ylabel("share of trials")
            both[0].legend(fontsize=8)
        return figure


@study
def fourier_causal(
    *,
    base: int = 59,
    digits: int = 1,
    modular: bool = True,
    period: int | None = None,
    strongest: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 20),
    random_subspaces: int = 5,
    trials: int = 1000,
    width: int = 128,
    layers: int = 1,
    training: AdderTraining = AdderTraining(
        steps=6000, learning_rate=3e-3, weight_decay=0.03, checks=60, stop_at=0.998
    ),
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> FourierCausal:
    """Train an adder, then rotate or ablate the period-T subspace of one number: does the answer follow?

    Args:
        base: digits are 0..base-1.
        digits: tokens a number; the lowest digit of a is intervened on, the lowest digit of the sum is the answer.
        modular: whether the sum wraps.
        period: T of the subspace; None is the base.
        strongest: how many harmonics, those of the most power, are in the subspace: one row of the table each.
        random_subspaces: of the same rank, for each row.
        trials: on which a rotation is tried, each with its own s.
        width: d of the transformer.
        layers: of the transformer.
        training: of the adder.
        seed: of the weights, the trials, the shifts and the random subspaces.
        device: where it is trained.
        run: where the trained adder is kept and the result is shown.

    Raises:
        InvalidArgumentError: a number is out of range.
    """
    check_at_least("random_subspaces", random_subspaces, 1)
    check_at_least("trials", trials, 1)
    check_at_least("number of strongest", len(strongest), 1)
    for count in strongest:
        check_at_least("strongest", count, 1)
    task = AdditionTask(base=base, digits=digits, modular=modular)
    T = base if period is None else period
    check_between("period", T, 2, base, why="every residue must occur among the digits")
    shape = {"width": width, "layers": layers, "spread": width**-0.5}
    model = build_adder("transformer", task, seed=seed, **shape).to(device)
    log = train_adder(model, task, training, seed=seed, run=run)
    with frozen(model):
        bench = Bench(model, task, period=T, trials=trials, seed=seed)
        found = by_rank(bench, strongest, random_subspaces), by_harmonic(bench)
    return run.show(FourierCausal(T, log, *found))


def by_rank(bench: Bench, strongest: Sequence[int], random_subspaces: int) -> list[Subspace]:
    """For each number of harmonics: what rotating and ablating does, in the fitted and in random subspaces."""
    states, found = bench.states(), []
    for count in strongest:
        fitted = bench.fitted(states, strongest=count)
        random = [fitted.random(bench.generator) for _ in range(random_subspaces)]
        moved, right = [bench.moved(one) for one in random], [bench.right(one) for one in random]
        most = max(moved, key=lambda share: share.value)
        rotated, ablated = bench.moved(fitted), bench.right(fitted)
        shares = rotated, Share.joined(moved), most, ablated, Share.joined(right)
        found.append(Subspace(tuple(fitted.harmonics), fitted.rank, *shares))
    return found


def by_harmonic(bench: Bench, count: int = 8) -> list[Harmonic]:
    """For each of the strongest harmonics by itself: its share of the power, and what ablating it costs.

    It is idle when ablating it changes the share of right answers by less than two standard errors.
    """
    states, found = bench.states(), []
    numbers = torch.arange(bench.task.numbers, device=states.device).to(states.dtype)
    total = float((states - states.mean(dim=0)).square().sum())
    for harmonic in range(1, bench.period // 2 + 1):
        one = bench.fitted(states, harmonics=[harmonic])
        power = float((waves(numbers, bench.period, [harmonic]) @ one.weight).square().sum()) / total
        found.append((power, harmonic, one))
    before, rows = bench.right(), []
    for power, harmonic, one in sorted(found, key=lambda entry: -entry[0])[:count]:
        after = bench.right(one)
        rows.append(Harmonic(harmonic, power, before, after, costs_nothing(before, after)))
    return rows
