"""Many multinomial logistic regressions on shared features, solved as one batch.

The problems are all pairs (fold, period): every fold has its own standardised features, and all periods of a fold
share them, so one matrix product serves all periods of all folds. Each problem minimises the objective of
scikit-learn's `LogisticRegression(C=...)`: C times the summed log-loss plus half the squared weights, the intercept
free. For two classes scikit-learn has one weight vector where the multinomial form has two opposite ones, each half
as long; C/2 makes the two penalties the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MEMORY = 10
"""Pairs of steps and gradient changes that L-BFGS remembers."""

BACKTRACKS = 12

PATIENCE, PRECISION = 5, 64
"""A problem within so many units of rounding that has not come half as close for so many steps is as good as solved."""

ROUGH = 1e-3
"""The tolerance of the problem over all rows, where the folds start: what is missing then, a fold changes anyway."""


@dataclass(frozen=True)
class Solution:
    """What `solve` found.

    Attributes:
        logits: for every row, training and held-out, (folds, N, columns); columns are the classes of all periods.
        converged: whether each problem's gradient fell below the tolerance, (folds, periods).
        iterations: how many L-BFGS steps were taken.
        point: the weights on the features' axes, and the intercepts last.
    """

    logits: Float[Tensor, "fold number column"]
    converged: Bool[Tensor, "fold period"]
    iterations: int
    point: Float[Tensor, "fold column axis"]


@dataclass(frozen=True)
class Features:
    """The features of every fold, standardised on its training rows and turned to principal axes.

    A rotation changes neither the penalty nor the minimum. It makes the Hessian at zero weights (nearly) diagonal.
    With more training rows than features, all folds share the axes of all rows, so that what is found for all rows is
    a start for each fold. With fewer, the axes are those that a fold's own training rows span (the minimiser has no
    part outside of them).

    Attributes:
        folds: of every fold and row; a last axis of ones is for the intercept.
        lengths: the squared length of each axis over the training rows.
        training: which rows each fold trains on.
        whole: the same with all rows for training, where the axes are shared.
    """

    folds: Float[Tensor, "fold number axis"]
    lengths: Float[Tensor, "fold axis"]
    training: Bool[Tensor, "fold number"]
    whole: "Features | None" = None

    @classmethod
    def of(cls, embeddings: Float[Tensor, "number hidden"], training: Bool[Tensor, "fold number"]) -> "Features":
        """From embeddings."""
        every = torch.ones_like(training[:1])
        if embeddings.shape[1] >= int(training.sum(dim=1).min()):
            return cls._of([_spanned(_standard(embeddings, rows), rows) for rows in training], training)
        standard = _standard(embeddings, every[0])
        axes = torch.linalg.eigh(standard.mT @ standard).eigenvectors
        whole = cls._of([standard @ axes], every)
        return cls._of([_standard(embeddings, rows) @ axes for rows in training], training, whole)

    @classmethod
    def _of(
        cls, turned: list[Tensor], training: Bool[Tensor, "fold number"], whole: "Features | None" = None
    ) -> "Features":
        # Folds differ by one row at most; axes come shortest first, and the surplus one is null.
        width = min(part.shape[1] for part in turned)
        folds = torch.stack([torch.nn.functional.pad(part[:, -width:], (0, 1), value=1.0) for part in turned])
        return cls(folds, torch.einsum("fna,fna,fn->fa", folds, folds, training.to(folds.dtype)), training, whole)


def _standard(
    embeddings: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]
) -> Float[Tensor, "number hidden"]:
    part = embeddings[rows]
    scale = part.std(dim=0, correction=0)
    # A feature that is constant on the training fold is left unscaled, as scikit-learn does.
    scale = torch.where(scale > 10 * torch.finfo(scale.dtype).eps * part.abs().amax(dim=0), scale, 1.0)
    return (embeddings - part.mean(dim=0)) / scale


def _spanned(standard: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]) -> Float[Tensor, "number axis"]:
    # The Gram matrix squares the condition number: float64 keeps the short axes of a float32 input.
    wide = standard.double()
    lengths, turn = torch.linalg.eigh(wide[rows] @ wide[rows].mT)
    kept = lengths > lengths[-1] * len(lengths) * torch.finfo(lengths.dtype).eps
    inverse = torch.where(kept, lengths, 1.0).rsqrt() * kept
    return ((wide @ wide[rows].mT) @ (turn * inverse)).to(standard.dtype)


class _Problems:
    """The objective of all problems at once: weights are (fold, column, axis), logits (fold, column, number)."""

    def __init__(
        self, features: Features, labels: Int[Tensor, "period number"], periods: Sequence[int], C: float | int
    ):
        spans = torch.tensor([0, *periods], device="cpu").cumsum(0).tolist()
        self.spans = list(pairwise(spans))
        problems = torch.arange(len(periods), device=labels.device)
        self.owner = problems.repeat_interleave(torch.tensor(periods, device=labels.device))
        self.features, dtype = features.folds, features.folds.dtype
        self.member = torch.nn.functional.one_hot(self.owner, len(periods)).to(dtype).mT
        # The column of each row's class.
        target = labels + torch.tensor(spans[:-1], device=labels.device)[:, None]
        self.labels, self.target = labels, target.expand(len(self.features), -1, -1)
        self.trains = features.training.to(dtype)[:, None, :]
        self.strength = self.features.new_tensor([C / 2 if period == 2 else C for period in periods])
        self.penalty = torch.ones_like(features.lengths)[:, None, :]
        self.penalty[:, :, -1] = 0
        self.lengths = features.lengths[:, None, :]
        self.share = 1 / features.training.sum(dim=1)[:, None, None]

    def total(self, values: Float[Tensor, "fold column _"]) -> Float[Tensor, "fold period"]:
        """Sum over the columns of each problem and all that they hold."""
        return values.sum(dim=2) @ self.member.mT

    def spread(self, values: Float[Tensor, "fold period"]) -> Float[Tensor, "fold column 1"]:
        """Repeat a value of each problem over its columns."""
        return values[:, self.owner, None]

    def dot(
        self, first: Float[Tensor, "fold column axis"], second: Float[Tensor, "fold column axis"]
    ) -> Float[Tensor, "fold period"]:
        """The inner product of each problem."""
        return torch.linalg.vecdot(first, second, dim=2) @ self.member.mT

    def loss(
        self,
        logits: Float[Tensor, "fold column number"],
        loss: Float[Tensor, "fold period"],
        probability: Float[Tensor, "fold column number"],
        chosen: Sequence[int],
    ) -> None:
        """Write the chosen periods' losses, without the penalty, and probabilities into `loss` and `probability`."""
        for i in chosen:
            start, stop = self.spans[i]
            part, share = logits[:, start:stop], probability[:, start:stop]
            top = part.amax(dim=1, keepdim=True)
            torch.sub(part, top, out=share)
            sums = share.exp_().sum(dim=1, keepdim=True)
            share /= sums
            surprise = sums.log_() + top - part.gather(1, self.labels[i].expand(len(part), 1, -1))
            loss[:, i] = self.strength[i] * (surprise * self.trains).sum(dim=(1, 2))

    def gradient(
        self, point: Float[Tensor, "fold column axis"], probability: Float[Tensor, "fold column number"]
    ) -> tuple[Float[Tensor, "fold column axis"], Float[Tensor, "fold column axis"]]:
        """Return the gradient, and the inverse diagonal of the Hessian as if all rows had their mean curvature.

        Where the axes are orthogonal over the training rows, that diagonal is the whole Hessian of a class at zero
        weights, where all rows are alike.
        """
        strength = self.strength[self.owner, None]
        slope = probability * self.trains
        curvature = strength * torch.linalg.vecdot(slope, 1 - probability, dim=2)[:, :, None] * self.share
        slope.scatter_add_(1, self.target, -self.trains.expand(self.target.shape))
        inverse = 1 / (self.lengths * curvature.clamp_min(torch.finfo(curvature.dtype).tiny) + self.penalty)
        return torch.addcmul(self.penalty * point, slope @ self.features, strength), inverse


Step = tuple[Tensor, Tensor, Tensor]
"""A step, the change of the gradient, and the inverse of their product."""


def _direction(problems: _Problems, gradient: Tensor, inverse: Tensor, memory: list[Step]) -> Tensor:
    """The two-loop recursion of L-BFGS, for each problem on its own, from the given inverse diagonal."""
    descent = gradient.clone()
    shares = []
    for step, change, rate in reversed(memory):
        shares.append(rate * problems.dot(step, descent))
        descent.addcmul_(problems.spread(shares[-1]), change, value=-1)
    descent *= inverse
    for (step, change, rate), share in zip(memory, reversed(shares), strict=True):
        descent.addcmul_(problems.spread(share - rate * problems.dot(change, descent)), step)
    return descent.neg_()


def solve(
    features: Features,
    labels: Int[Tensor, "period number"],
    periods: Sequence[int],
    C: float | int,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 500,
) -> Solution:
    """Minimise all problems by L-BFGS, each with its own step length, until each one's gradient is small.

    Args:
        features: of every fold.
        labels: the class of each row for each period, 0..T-1.
        periods: the number of classes of each problem.
        C: the inverse penalty, as in scikit-learn.
        tolerance: a problem is solved when its squared gradient, in the metric of the inverse diagonal (about twice
            what the objective can still fall), is below this share of the objective, or as far as rounding lets it.
        max_iterations: when to give up.
    """
    start = None
    if features.whole is not None:
        rough = solve(features.whole, labels, periods, C, tolerance=ROUGH, max_iterations=max_iterations)
        start = rough.point.expand(len(features.folds), -1, -1)
    return _minimise(_Problems(features, labels, periods, C), start, tolerance, max_iterations)


def _minimise(problems: _Problems, start: Tensor | None, tolerance: float, max_iterations: int) -> Solution:
    features, columns = problems.features, len(problems.owner)
    point = features.new_zeros(len(features), columns, features.shape[2]) if start is None else start.clone()
    logits = point @ features.mT
    probability, value = torch.empty_like(logits), features.new_empty(len(features), len(problems.spans))
    problems.loss(logits, value, probability, range(len(problems.spans)))
    value = value + 0.5 * problems.dot(problems.penalty * point, point)
    gradient, inverse = problems.gradient(point, probability)
    memory: list[Step] = []
    nearest = problems.dot(gradient * inverse, gradient) / value
    converged, age, iterations = nearest <= tolerance, torch.zeros_like(value), 0
    stalled = torch.zeros_like(converged)
    while iterations < max_iterations and not bool((converged | stalled).all()):
        iterations += 1
        # A problem that is solved, or that rounding keeps from falling, stays where it is.
        active = problems.spread((~(converged | stalled)).to(value.dtype))
        direction = _direction(problems, gradient, inverse, memory).mul_(active)
        length, value, fails = _search(problems, point, logits, value, probability, gradient, direction)
        stalled = stalled | fails
        moved = direction.mul_(problems.spread(length))
        point += moved
        new, inverse = problems.gradient(point, probability)
        turned = new - gradient
        product = problems.dot(moved, turned)
        usable = product > torch.finfo(value.dtype).tiny
        memory = [*memory, (moved, turned, torch.where(usable, 1 / product.where(usable, 1.0), 0.0))][-MEMORY:]
        gradient = new
        left = problems.dot(gradient * inverse, gradient) / value
        age = torch.where(left < nearest / 2, 0, age + 1)
        nearest = torch.where(age == 0, left, nearest)
        rounded = (left <= PRECISION * torch.finfo(value.dtype).eps) & (age >= PATIENCE)
        converged = (left <= tolerance) | rounded
    return Solution((point @ features.mT).mT, converged, iterations, point)


def _search(
    problems: _Problems,
    point: Tensor,
    logits: Tensor,
    value: Tensor,
    probability: Tensor,
    gradient: Tensor,
    direction: Tensor,
) -> tuple[Float[Tensor, "fold period"], Float[Tensor, "fold period"], Bool[Tensor, "fold period"]]:
    """Halve each problem's step until its objective falls.

    The logits and probabilities are brought to where the step ends. The logits are linear in the point and the penalty
    is quadratic, so that one product with the features serves all trials.

    Returns:
        The length of the step, the new value, and which problems did not fall.
    """
    rate = problems.dot(gradient, direction)
    change = direction @ problems.features.mT
    along = problems.penalty * direction
    slope, bend = problems.dot(along, point), problems.dot(along, direction)
    size = 0.5 * problems.dot(problems.penalty * point, point)
    length, loss = torch.ones_like(value), torch.empty_like(value)
    # Near the minimum the rounding of the sum is larger than the decrease, and allowed for.
    rounding = 8 * torch.finfo(value.dtype).eps * value
    logits += change
    fails = torch.ones_like(value, dtype=torch.bool)
    for trial in range(BACKTRACKS):
        problems.loss(logits, loss, probability, fails.any(dim=0).nonzero().flatten().tolist())
        reached = loss + size + length * slope + 0.5 * length.square() * bend
        fails = ~(reached <= value + 1e-4 * length * rate + rounding)
        if trial == BACKTRACKS - 1 or not bool(fails.any()):
            break
        shorter = torch.where(fails, length / 2, length)
        logits.addcmul_(change, problems.spread(shorter - length))
        length = shorter
    return length, reached, fails
