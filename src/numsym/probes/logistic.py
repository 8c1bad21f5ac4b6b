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

from numsym.probes.fold_features import Features

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


class _Problems:
    """The objective of all problems at once: weights are (fold, column, axis), logits (fold, column, number)."""

    def __init__(
        self, features: Features, labels: Int[Tensor, "period number"], periods: Sequence[int], C: float | int
    ):
        self.asked, self.periods, self.C = features, tuple(periods), C
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

    def of(self, kept: Bool[Tensor, " period"]) -> "_Problems":
        """Those of some periods."""
        periods = [period for period, stays in zip(self.periods, kept.tolist(), strict=True) if stays]
        return _Problems(self.asked, self.labels[kept], periods, self.C)

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


@dataclass
class _Standing:
    """Where the problems that are not yet solved stand; axes of problems and columns as in `_Problems`.

    Attributes:
        problems: which they are.
        point: the weights.
        logits: of every row, at the point.
        probability: likewise.
        value, gradient, inverse: the objective, its gradient, and the inverse diagonal of its Hessian.
        memory: of L-BFGS.
        nearest: the smallest squared gradient so far, as a share of the objective.
        age: steps since it was last halved.
        done: which problems are solved, or kept by rounding from falling.
        converged: which are solved.
    """

    problems: _Problems
    point: Float[Tensor, "fold column axis"]
    logits: Float[Tensor, "fold column number"]
    probability: Float[Tensor, "fold column number"]
    value: Float[Tensor, "fold period"]
    gradient: Float[Tensor, "fold column axis"]
    inverse: Float[Tensor, "fold column axis"]
    memory: list[Step]
    nearest: Float[Tensor, "fold period"]
    age: Int[Tensor, "fold period"]
    done: Bool[Tensor, "fold period"]
    converged: Bool[Tensor, "fold period"]

    @classmethod
    def at(cls, problems: _Problems, point: Float[Tensor, "fold column axis"], tolerance: float) -> "_Standing":
        """At the start."""
        logits = point @ problems.features.mT
        probability, value = torch.empty_like(logits), logits.new_empty(len(point), len(problems.spans))
        problems.loss(logits, value, probability, range(len(problems.spans)))
        value = value + 0.5 * problems.dot(problems.penalty * point, point)
        gradient, inverse = problems.gradient(point, probability)
        nearest = problems.dot(gradient * inverse, gradient) / value
        age, converged = torch.zeros_like(value, dtype=torch.long), nearest <= tolerance
        done = converged.clone()
        return cls(
            problems, point, logits, probability, value, gradient, inverse, [], nearest, age, done, converged
        )  # fmt: skip

    def step(self, tolerance: float) -> None:
        """Take one step of each problem that is not done."""
        problems, dtype = self.problems, self.value.dtype
        direction = _direction(problems, self.gradient, self.inverse, self.memory)
        direction.mul_(problems.spread((~self.done).to(dtype)))
        length, self.value, fails = _search(
            problems, self.point, self.logits, self.value, self.probability, self.gradient, direction
        )
        moved = direction.mul_(problems.spread(length))
        self.point += moved
        gradient, self.inverse = problems.gradient(self.point, self.probability)
        turned, self.gradient = gradient - self.gradient, gradient
        product = problems.dot(moved, turned)
        usable = product > torch.finfo(dtype).tiny
        rate = torch.where(usable, 1 / product.where(usable, 1.0), 0.0)
        self.memory = [*self.memory, (moved, turned, rate)][-MEMORY:]
        left = problems.dot(gradient * self.inverse, gradient) / self.value
        self.age = torch.where(left < self.nearest / 2, 0, self.age + 1)
        self.nearest = torch.where(self.age == 0, left, self.nearest)
        rounded = (left <= PRECISION * torch.finfo(dtype).eps) & (self.age >= PATIENCE)
        self.converged = (left <= tolerance) | rounded
        # What rounding once kept from falling stays where it is, and so does what is solved.
        self.done = self.done | fails | self.converged

    def of(self, kept: Bool[Tensor, " period"]) -> "_Standing":
        """Without the other periods."""
        columns = kept[self.problems.owner]
        by_column = {
            name: getattr(self, name)[:, columns] for name in ("point", "logits", "probability", "gradient", "inverse")
        }
        by_problem = {name: getattr(self, name)[:, kept] for name in ("value", "nearest", "age", "done", "converged")}
        memory = [(moved[:, columns], turned[:, columns], rate[:, kept]) for moved, turned, rate in self.memory]
        return _Standing(problems=self.problems.of(kept), memory=memory, **by_column, **by_problem)


def _minimise(problems: _Problems, start: Tensor | None, tolerance: float, max_iterations: int) -> Solution:
    features, iterations = problems.features, 0
    shape = (len(features), len(problems.owner), features.shape[2])
    now = _Standing.at(problems, features.new_zeros(shape) if start is None else start.clone(), tolerance)
    point, converged = torch.empty_like(now.point), torch.empty_like(now.converged)
    left = torch.ones_like(converged[0])
    while True:
        over = now.done.all(dim=0) if iterations < max_iterations else torch.ones_like(now.done[0])
        if bool(over.any()):
            # A period that is solved in all folds is laid aside: the others may need several times the steps.
            point[:, left[problems.owner]], converged[:, left] = now.point, now.converged
            if bool(over.all()):
                return Solution((point @ features.mT).mT, converged, iterations, point)
            left[left.clone()] = ~over
            now = now.of(~over)
        now.step(tolerance)
        iterations += 1


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
