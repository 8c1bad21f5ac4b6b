"""Many multinomial logistic regressions on shared features, solved as one batch.

The problems are all pairs (fold, period): every fold has its own standardised features, and all periods of a fold
share them, so one matrix product serves all periods of all folds. Each problem minimises the objective of
scikit-learn's `LogisticRegression(C=...)`: C times the summed log-loss plus half the squared weights, the intercept
free. For two classes scikit-learn has one weight vector where the multinomial form has two opposite ones, each half
as long; C/2 makes the two penalties the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MEMORY = 10
"""Pairs of steps and gradient changes that L-BFGS remembers."""

BACKTRACKS = 12


@dataclass(frozen=True)
class Solution:
    """What `fit` found.

    Attributes:
        logits: for every row, training and held-out, (folds, N, columns); columns are the classes of all periods.
        converged: whether each problem's gradient fell below the tolerance, (folds, periods).
        iterations: how many L-BFGS steps were taken.
    """

    logits: Float[Tensor, "fold number column"]
    converged: Bool[Tensor, "fold period"]
    iterations: int


def fold_features(
    embeddings: Float[Tensor, "number hidden"], training: Bool[Tensor, "fold number"]
) -> tuple[Float[Tensor, "fold number axis"], Float[Tensor, "fold axis"]]:
    """Standardise the features on each training fold and turn them to its principal axes.

    A rotation changes neither the penalty nor the minimum. It makes the Hessian at zero weights diagonal, and where
    there are more features than training rows it leaves only the axes that those rows span (the minimiser has no
    part outside of them).

    Returns:
        The features of all rows, (folds, N, min(d, rows)), and the squared length of each axis over training rows.
    """
    features, lengths = [], []
    for rows in training:
        part = embeddings[rows]
        scale = part.std(dim=0, correction=0)
        # A feature that is constant on the training fold is left unscaled, as scikit-learn does.
        scale = torch.where(scale > 10 * torch.finfo(scale.dtype).eps * part.abs().amax(dim=0), scale, 1.0)
        standard = (embeddings - part.mean(dim=0)) / scale
        turned, length = _principal_axes(standard, rows)
        features.append(turned)
        lengths.append(length)
    width = min(len(length) for length in lengths)
    # Folds differ by one row at most; eigenvalues ascend, and the surplus axis is the null one of a centred matrix.
    return torch.stack([part[:, -width:] for part in features]), torch.stack([part[-width:] for part in lengths])


def _principal_axes(
    standard: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]
) -> tuple[Float[Tensor, "number axis"], Float[Tensor, " axis"]]:
    part = standard[rows]
    if standard.shape[1] < len(part):
        lengths, axes = torch.linalg.eigh(part.mT @ part)
        return standard @ axes, lengths.clamp_min(0)
    # The Gram matrix squares the condition number: float64 keeps the short axes of a float32 input.
    wide = standard.double()
    lengths, turn = torch.linalg.eigh(wide[rows] @ wide[rows].mT)
    kept = lengths > lengths[-1] * len(part) * torch.finfo(lengths.dtype).eps
    inverse = torch.where(kept, lengths, 1.0).rsqrt() * kept
    turned = (wide @ wide[rows].mT) @ (turn * inverse)
    return turned.to(standard.dtype), (lengths * kept).to(standard.dtype)


class _Problems:
    """The objective of all problems at once."""

    def __init__(
        self,
        features: Float[Tensor, "fold number axis"],
        lengths: Float[Tensor, "fold axis"],
        training: Bool[Tensor, "fold number"],
        labels: Int[Tensor, "period number"],
        periods: Sequence[int],
        C: float | int,
    ):
        self.spans = torch.tensor([0, *periods], device="cpu").cumsum(0).tolist()
        problems = torch.arange(len(periods), device=features.device)
        self.owner = problems.repeat_interleave(torch.tensor(periods, device=features.device))
        self.member = torch.nn.functional.one_hot(self.owner, len(periods)).to(features.dtype)
        self.features = torch.cat([features, torch.ones_like(features[:, :, :1])], dim=2)
        columns = labels + torch.tensor(self.spans[:-1], device=labels.device)[:, None]
        self.targets = features.new_zeros(features.shape[1], self.spans[-1]).scatter_(1, columns.T, 1.0)
        strength = features.new_tensor([C / 2 if period == 2 else C for period in periods])
        self.weight = training.to(features.dtype)[:, :, None] * strength[self.owner]
        # The intercept is the last row: a feature of ones, without penalty.
        self.penalty = torch.cat([torch.ones_like(lengths), torch.zeros_like(lengths[:, :1])], dim=1)[:, :, None]
        rows = training.sum(dim=1, keepdim=True)
        self.lengths = torch.cat([lengths, rows.to(lengths.dtype)], dim=1)[:, :, None]
        self.share = 1 / rows[:, :, None]

    def total(self, values: Float[Tensor, "fold row column"]) -> Float[Tensor, "fold period"]:
        """Sum over rows and over the columns of each problem."""
        return values.sum(dim=1) @ self.member

    def spread(self, values: Float[Tensor, "fold period"]) -> Float[Tensor, "fold 1 column"]:
        """Repeat a value of each problem over its columns."""
        return values[:, self.owner][:, None, :]

    def value(
        self, point: Float[Tensor, "fold axis column"], logits: Float[Tensor, "fold number column"]
    ) -> tuple[Float[Tensor, "fold period"], Float[Tensor, "fold number column"]]:
        """Return the objective of each problem and the probability of each class."""
        logarithm = torch.empty_like(logits)
        for start, stop in zip(self.spans, self.spans[1:], strict=False):
            logarithm[:, :, start:stop] = logits[:, :, start:stop].log_softmax(dim=2)
        loss = -self.total(self.weight * self.targets * logarithm)
        return loss + 0.5 * self.total(self.penalty * point.square()), logarithm.exp_()

    def gradient(
        self, point: Float[Tensor, "fold axis column"], probability: Float[Tensor, "fold number column"]
    ) -> tuple[Float[Tensor, "fold axis column"], Float[Tensor, "fold axis column"]]:
        """Return the gradient, and the inverse diagonal of the Hessian as if all rows had their mean curvature.

        The axes are orthogonal over the training rows, so at zero weights, where all rows are alike, that diagonal
        is the whole Hessian of a class.
        """
        slope = self.weight * (probability - self.targets)
        curvature = (self.weight * (probability - probability.square())).sum(dim=1, keepdim=True) * self.share
        inverse = 1 / (self.lengths * curvature.clamp_min(torch.finfo(curvature.dtype).tiny) + self.penalty)
        return self.features.mT @ slope + self.penalty * point, inverse


def _direction(
    problems: _Problems, gradient: Tensor, inverse: Tensor, memory: list[tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """The two-loop recursion of L-BFGS, for each problem on its own, from the given inverse diagonal."""
    descent = gradient.clone()
    shares = []
    for step, change, rate in reversed(memory):
        shares.append(rate * problems.total(step * descent))
        descent -= problems.spread(shares[-1]) * change
    descent *= inverse
    for (step, change, rate), share in zip(memory, reversed(shares), strict=True):
        descent += problems.spread(share - rate * problems.total(change * descent)) * step
    return -descent


def fit(
    features: Float[Tensor, "fold number axis"],
    lengths: Float[Tensor, "fold axis"],
    training: Bool[Tensor, "fold number"],
    labels: Int[Tensor, "period number"],
    periods: Sequence[int],
    C: float | int,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 500,
) -> Solution:
    """Minimise all problems by L-BFGS, each with its own step length, until each one's gradient is small.

    Args:
        features: from `fold_features`.
        lengths: from `fold_features`.
        training: which rows each fold trains on.
        labels: the class of each row for each period, 0..T-1.
        periods: the number of classes of each problem.
        C: the inverse penalty, as in scikit-learn.
        tolerance: a problem is solved when its squared gradient, in the metric of the inverse diagonal (about twice
            what the objective can still fall), is below this share of the objective.
        max_iterations: when to give up.
    """
    problems = _Problems(features, lengths, training, labels, periods, C)
    point = features.new_zeros(len(features), features.shape[2] + 1, problems.spans[-1])
    logits = problems.features @ point
    value, probability = problems.value(point, logits)
    gradient, inverse = problems.gradient(point, probability)
    memory: list[tuple[Tensor, Tensor, Tensor]] = []
    converged = stalled = torch.zeros_like(value, dtype=torch.bool)
    iterations = 0
    while iterations < max_iterations and not bool((converged | stalled).all()):
        iterations += 1
        # A problem that is solved, or that rounding keeps from falling, stays where it is.
        active = problems.spread((~(converged | stalled)).to(value.dtype))
        direction = _direction(problems, gradient, inverse, memory) * active
        moved, change, value, probability, fails = _search(problems, point, logits, value, gradient, direction)
        stalled = stalled | fails
        point, logits = point + moved, logits + change
        new, inverse = problems.gradient(point, probability)
        product = problems.total(moved * (new - gradient))
        usable = product > torch.finfo(value.dtype).tiny
        memory.append((moved, new - gradient, torch.where(usable, 1 / product.where(usable, 1.0), 0.0)))
        memory = memory[-MEMORY:]
        gradient = new
        converged = problems.total(gradient.square() * inverse) <= tolerance * value
    return Solution(logits=problems.features @ point, converged=converged, iterations=iterations)


def _search(
    problems: _Problems, point: Tensor, logits: Tensor, value: Tensor, gradient: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Halve each problem's step until its objective falls.

    Returns the step, the change of the logits, the new value and probability, and which problems did not fall. The
    logits are linear in the point: one matrix product serves all trials.
    """
    rate = problems.total(gradient * direction)
    change = problems.features @ direction
    length = torch.ones_like(value)
    # Near the minimum the rounding of the sum is larger than the decrease, and allowed for.
    rounding = 8 * torch.finfo(value.dtype).eps * value
    for _ in range(BACKTRACKS):
        step = problems.spread(length)
        trial, probability = problems.value(point + step * direction, logits + step * change)
        fails = ~(trial <= value + 1e-4 * length * rate + rounding)
        if not bool(fails.any()):
            break
        length = torch.where(fails, length / 2, length)
    return step * direction, step * change, trial, probability, fails
