"""The mod-T probe: can a linear map read n mod T from the embedding of a number that it was not trained on?"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.probes.inputs import check_embeddings, check_numbers, check_periods
from numsym.probes.logistic import fit, fold_features

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResidueResult:
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
    """

    kappa: dict[int, float]
    kappa_interval: dict[int, tuple[float, float]]
    accuracy: dict[int, float]
    accuracy_interval: dict[int, tuple[float, float]]
    fold_kappa: dict[int, Float[Tensor, " fold"]]
    fold: Int[Tensor, " number"]
    converged: dict[int, bool]


def residue(
    embeddings: Float[Tensor, "number hidden"],
    periods: Iterable[int] = range(2, 11),
    folds: int = 10,
    *,
    C: float | int = 0.01,
    numbers: Sequence[int] | Int[Tensor, " number"] | None = None,
    generator: torch.Generator | None = None,
    max_iterations: int = 500,
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

    Raises:
        InvalidArgumentError: a period, fold count or penalty that is not allowed; values not finite; numbers that
            repeat, miss or are not ordered; a residue with fewer than `folds` numbers.

    Source: [F], geometric convergence.
    """
    embeddings = check_embeddings(embeddings)
    count = len(embeddings)
    first = check_numbers(numbers, count)
    periods = check_periods(periods, count)
    _check_settings(periods, folds, C, count)
    labels = torch.stack([(torch.arange(count, device=embeddings.device) + first) % period for period in periods])
    fold = deal_folds(labels.cpu(), folds, generator).to(embeddings.device)
    held_out = fold[None, :] == torch.arange(folds, device=fold.device)[:, None]
    features, lengths = fold_features(embeddings, ~held_out)
    solution = fit(features, lengths, ~held_out, labels, periods, C, max_iterations=max_iterations)
    converged = solution.converged.all(dim=0).tolist()
    if not all(converged):
        late = [period for period, done in zip(periods, converged, strict=True) if not done]
        logger.warning("the probe did not converge in %d steps for T = %s", solution.iterations, late)
    kappa, accuracy = _score(solution.logits, held_out, labels, periods)
    return ResidueResult(
        kappa={period: float(kappa[:, i].mean()) for i, period in enumerate(periods)},
        kappa_interval={period: mean_interval(kappa[:, i]) for i, period in enumerate(periods)},
        accuracy={period: float(accuracy[:, i].mean()) for i, period in enumerate(periods)},
        accuracy_interval={period: mean_interval(accuracy[:, i]) for i, period in enumerate(periods)},
        fold_kappa={period: kappa[:, i] for i, period in enumerate(periods)},
        fold=fold,
        converged=dict(zip(periods, converged, strict=True)),
    )


def _check_settings(periods: tuple[int, ...], folds: int, C: float | int, count: int) -> None:
    check_at_least("folds", folds, 3)
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
    labels: Int[Tensor, "period number"],
    periods: tuple[int, ...],
) -> tuple[Float[Tensor, "fold period"], Float[Tensor, "fold period"]]:
    """Return kappa and accuracy, both x 100, of each fold and period on the held-out numbers."""
    kappas, accuracies, start = [], [], 0
    held = held_out.to(logits.dtype)
    for row, period in zip(labels, periods, strict=True):
        guess = torch.nn.functional.one_hot(logits[:, :, start : start + period].argmax(dim=2), period)
        truth = torch.nn.functional.one_hot(row, period).to(logits.dtype)
        guess = guess.to(logits.dtype) * held[:, :, None]
        size = held.sum(dim=1)
        agree = (guess * truth).sum(dim=(1, 2)) / size
        chance = (guess.sum(dim=1) * (held @ truth)).sum(dim=1) / size**2
        kappas.append(100 * (agree - chance) / (1 - chance).clamp_min(torch.finfo(logits.dtype).eps))
        accuracies.append(100 * agree)
        start += period
    return torch.stack(kappas, dim=1), torch.stack(accuracies, dim=1)


def mean_interval(values: Float[Tensor, " fold"]) -> tuple[float, float]:
    """Return the 95 % t-interval of the mean of three or more values.

    The quantile of the t distribution is the Cornish-Fisher expansion to third order, within 4 % from 2 degrees of
    freedom on (Abramowitz and Stegun, 26.7.5).
    """
    freedom, z = len(values) - 1, 1.959964
    quantile = (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
    half = quantile * float(values.std()) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half
