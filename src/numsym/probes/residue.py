"""The mod-T probe: can a linear map read n mod T from the embedding of a number that it was not trained on?"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_between
from numsym.figures import COLOURS, drawing
from numsym.probes.fold_features import Features
from numsym.probes.inputs import Embeddings, check_embeddings, check_numbers, check_periods
from numsym.probes.logistic import solve
from numsym.results import Mean, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

DRAWS = 10
"""Shuffles of the numbers that the baseline takes."""


@dataclass(frozen=True, repr=False)
class ResidueResult(Result):
    """How well n mod T is read from held-out numbers, by period.

    Attributes:
        kappa: Cohen's kappa x 100, mean over folds: 100 is always right, 0 is chance, below 0 is worse than chance.
        kappa_interval: 95 % t-interval of that mean over folds. The folds share training numbers, so it is somewhat
            too narrow.
        accuracy: share of held-out numbers whose residue is right, in per cent, mean over folds.
        accuracy_interval: 95 % t-interval of the accuracy over folds.
        fold_kappa: kappa x 100 of each fold, (folds,).
        fold: the fold in which each number is held out, (N,).
        converged: whether every fit of that period reached its tolerance.
        shuffled: kappa x 100 after each of some shuffles of the numbers; empty where it was not asked for.
    """

    kappa: dict[int, float]
    kappa_interval: dict[int, tuple[float, float]]
    accuracy: dict[int, float]
    accuracy_interval: dict[int, tuple[float, float]]
    fold_kappa: dict[int, Float[Tensor, " fold"]]
    fold: Int[Tensor, " number"]
    converged: dict[int, bool]
    shuffled: dict[int, tuple[float, ...]] = field(default_factory=dict)

    name: ClassVar[str] = "residue"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "n mod T read from held-out numbers: Cohen's kappa x 100"

    def rows(self) -> list[dict[str, Any]]:
        """A row a period: kappa and accuracy with their intervals, and between them what shuffled numbers give."""
        return [
            {
                "T": T,
                "kappa": Mean(self.kappa[T], *self.kappa_interval[T], len(self.fold_kappa[T])),
                "shuffled": self.baseline(T),
                "accuracy": Mean(self.accuracy[T], *self.accuracy_interval[T], len(self.fold_kappa[T])),
                "converged": self.converged[T],
            }
            for T in self.kappa
        ]

    def baseline(self, T: int) -> Mean | None:
        """The mean kappa of shuffled numbers, with the 95 % interval that one more shuffle falls into.

        It says what a kappa without any structure is. One below it is no accident but structure of another kind:
        embeddings that change smoothly along the numbers have -14 at T = 3, because the nearest numbers that the probe
        was trained on have other residues.
        """
        if T not in self.shuffled:
            return None
        return one_more(self.shuffled[T])

    def figure(self) -> "Figure":
        """Kappa by period as points with intervals, beside the band of shuffled numbers where it was measured."""
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(4.4, 3.2), layout="constrained")
            self.draw(axes)
        return figure

    def draw(self, axes: "Axes", *, colour: str = COLOURS[0], hollow: bool = False, label: str | None = None) -> None:
        """Draw the points, and the band, into a panel.

        Args:
            axes: the panel.
            colour: of the points.
            hollow: whether they are.
            label: for a legend.
        """
        rows = self.rows()
        bands = [(row["T"], row["shuffled"]) for row in rows if row["shuffled"] is not None]
        for i, (T, band) in enumerate(bands):
            text = "shuffled numbers" if i == 0 else None
            axes.fill_between([T - 0.4, T + 0.4], band.low, band.high, color="0.85", linewidth=0, label=text)
        axes.axhline(0.0, color="grey", linewidth=0.6)
        values = [row["kappa"] for row in rows]
        ends = [[max(0.0, v.value - v.low) for v in values], [max(0.0, v.high - v.value) for v in values]]
        axes.errorbar(
            [row["T"] for row in rows], [v.value for v in values], yerr=ends, fmt="o", markersize=4, linewidth=0.9,
            color=colour, markerfacecolor="white" if hollow else colour, label=label,
        )  # fmt: skip
        axes.set(xlabel="period T", ylabel="kappa x 100")
        axes.set_xticks(list(self.kappa))


def one_more(values: Sequence[float]) -> Mean:
    """The mean of some values, with the 95 % t-interval that one more of them falls into."""
    from scipy.special import stdtrit

    middle, n = fmean(values), len(values)
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) * (1 + 1 / n) ** 0.5
    return Mean(middle, middle - half, middle + half, n)


def residue(
    embeddings: Embeddings,
    periods: Iterable[int] = range(2, 11),
    folds: int = 10,
    *,
    C: float | int = 0.01,
    numbers: Sequence[int] | Int[Tensor, " number"] | None = None,
    generator: torch.Generator | None = None,
    max_iterations: int = 500,
    baseline: bool = False,
) -> ResidueResult:
    """Score a linear probe for n mod T by Cohen's kappa on held-out numbers.

    For each period and fold a multinomial logistic regression with an L2 penalty is fitted to features that are
    standardised on the training numbers; all of them are solved as one batch on the device of the embeddings.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number; computed in float32 or, given float64, in float64.
        periods: the T to probe for, each 2..N/2.
        folds: how many parts the numbers are dealt into at random, the same for all periods; each is held out once.
        C: the inverse penalty of scikit-learn's `LogisticRegression`: smaller is stronger.
        numbers: the numbers, if they do not start at 0; they must be consecutive.
        generator: a CPU generator that deals the folds; None is a fixed seed.
        max_iterations: of the solver; a period that did not converge is logged and marked in the result.
        baseline: also fit the probe to shuffled numbers, `DRAWS` times on the same folds: what kappa is without
            structure.

    Raises:
        InvalidArgumentError: a period, fold count or penalty that is not allowed; values not finite or constant;
            numbers that repeat, miss, are not ordered or share a row; a residue with fewer than `folds` numbers.

    Source: [F], geometric convergence.
    """
    embeddings = check_embeddings(embeddings)
    count = len(embeddings)
    first = check_numbers(numbers, count)
    periods = check_periods(periods, count)
    check_settings(periods, folds, C, count)
    labels = torch.stack([(torch.arange(count) + first) % period for period in periods])
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    fold = deal_folds(labels, folds, generator)
    orders = [torch.randperm(count, generator=generator) for _ in range(DRAWS if baseline else 0)]
    every = [part.to(embeddings.device) for part in (labels, *(labels[:, order] for order in orders))]
    fold = fold.to(embeddings.device)
    held_out = fold[None, :] == torch.arange(folds, device=fold.device)[:, None]
    features = Features.of(embeddings, ~held_out)
    # One after the other: together they would take eleven times the memory for hardly less time.
    solutions = [solve(features, part, periods, C, max_iterations=max_iterations) for part in every]
    scores = [_score(one.logits, held_out, part, periods) for one, part in zip(solutions, every, strict=True)]
    converged = dict(zip(periods, solutions[0].converged.all(dim=0).tolist(), strict=True))
    if late := [period for period, done in converged.items() if not done]:
        logger.warning("the probe did not converge in %d steps for T = %s", solutions[0].iterations, late)
    return _result(periods, fold, converged, scores)


def _result(
    periods: tuple[int, ...],
    fold: Int[Tensor, " number"],
    converged: dict[int, bool],
    scores: Sequence[tuple[Float[Tensor, "period fold"], Float[Tensor, "period fold"]]],
) -> ResidueResult:
    """From kappa and accuracy of the numbers, first, and of each shuffle of them."""
    kappa, accuracy = scores[0]
    means = {period: (Mean.of(kappa[i].tolist()), Mean.of(accuracy[i].tolist())) for i, period in enumerate(periods)}
    return ResidueResult(
        kappa={period: of.value for period, (of, _) in means.items()},
        kappa_interval={period: (of.low, of.high) for period, (of, _) in means.items()},
        accuracy={period: of.value for period, (_, of) in means.items()},
        accuracy_interval={period: (of.low, of.high) for period, (_, of) in means.items()},
        fold_kappa={period: kappa[i] for i, period in enumerate(periods)},
        fold=fold,
        converged=converged,
        shuffled={
            period: tuple(drawn[i].mean().item() for drawn, _ in scores[1:])
            for i, period in enumerate(periods)
            if len(scores) > 1
        },
    )


def check_settings(periods: tuple[int, ...], folds: int, C: float | int, count: int) -> None:
    """Raise `InvalidArgumentError` unless a probe of `count` numbers may have these periods, folds and penalty."""
    check_between("folds", folds, 3, count, why=f"there are {count} numbers")
    if not 0 < C < float("inf"):
        raise InvalidArgumentError(f"C={C!r} is not allowed: the inverse penalty is a positive number")
    for period in periods:
        if count // period < folds:
            raise InvalidArgumentError(
                f"folds={folds} is not allowed with period {period}: of {count} numbers a residue has only "
                f"{count // period}, fewer than one a fold; use at most {count // period} folds, or smaller periods"
            )


def deal_folds(
    labels: Int[Tensor, "period number"], folds: int, generator: torch.Generator | None = None
) -> Int[Tensor, " number"]:
    """Deal the numbers into folds of equal size (to one) so that every training set holds every residue.

    Args:
        labels: the residue of each number for each period, on the CPU.
        folds: how many.
        generator: a CPU generator; None is a fixed seed.
    """
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    count = labels.shape[1]
    for _ in range(1000):
        fold = torch.empty(count, dtype=torch.long)
        fold[torch.randperm(count, generator=generator)] = torch.arange(count) % folds
        # A residue whose numbers all lie in one fold could not be learnt there: that deal is drawn again.
        if all(
            int(torch.unique(fold[row == residue]).numel()) > 1 for row in labels for residue in row.unique().tolist()
        ):
            return fold
    raise InvalidArgumentError(f"folds={folds} is not allowed: no deal of {count} numbers leaves every residue in each")


def _score(
    logits: Float[Tensor, "fold number column"],
    held_out: Tensor,
    labels: Int[Tensor, "problem number"],
    periods: tuple[int, ...],
) -> tuple[Float[Tensor, "problem fold"], Float[Tensor, "problem fold"]]:
    """Return kappa and accuracy, both x 100, of each problem and fold on the held-out numbers, in float64."""
    kappas, accuracies, start = [], [], 0
    held = held_out.double()
    size = held.sum(dim=1)
    for row, period in zip(labels, periods, strict=True):
        guess = torch.nn.functional.one_hot(logits[:, :, start : start + period].argmax(dim=2), period)
        truth = torch.nn.functional.one_hot(row, period).double()
        guess = guess.double() * held[:, :, None]
        agree = (guess * truth).sum(dim=(1, 2)) / size
        chance = (guess.sum(dim=1) * (held @ truth)).sum(dim=1) / size**2
        kappas.append(100 * (agree - chance) / (1 - chance).clamp_min(torch.finfo(torch.float64).eps))
        accuracies.append(100 * agree)
        start += period
    return torch.stack(kappas), torch.stack(accuracies)
