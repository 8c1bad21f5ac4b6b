"""Many multinomial logistic regressions on shared features, solved as one batch.

The problems are all pairs (fold, period): all periods of a fold share its standardised features, and mostly all folds
do (`numsym.probes.fold_features`), so one matrix product serves all periods of all folds. Each problem minimises the
objective of scikit-learn's `LogisticRegression(C=...)`: C times the summed log-loss plus half the squared weights, the
intercept free. For two classes scikit-learn has one weight vector where the multinomial form has two opposite ones,
each half as long; C/2 makes the two penalties the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numsym.probes.fold_features import Features
from numsym.probes.fold_problems import Problems

MEMORY = 10
"""Pairs of steps and gradient changes that L-BFGS remembers."""

BACKTRACKS = 12

PATIENCE, PRECISION = 5, 64
"""A problem within so many units of rounding that has not come half as close for so many steps is as good as solved."""

LONGEST = 8
"""The longest first step of a search, in steps of L-BFGS: where a fit is nearly sure, a parabola says too much."""

TOLERANCE = 4e-4
"""Less than what scikit-learn's `tol=1e-4` asks: that no entry of the same gradient, which has thousands, is larger."""

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


Step = tuple[Tensor, Tensor, Tensor]
"""A step, the change of the gradient, and the inverse of their product."""


def _direction(problems: Problems, gradient: Tensor, inverse: Tensor, memory: list[Step]) -> Tensor:
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
    tolerance: float = TOLERANCE,
    max_iterations: int = 500,
) -> Solution:
    """Minimise all problems by L-BFGS, each with its own step length, until each one's gradient is short.

    Args:
        features: of every fold.
        labels: the class of each row for each period, 0..T-1.
        periods: the number of classes of each problem.
        C: the inverse penalty, as in scikit-learn.
        tolerance: a problem is solved when the gradient of its objective, divided by C and by the number of training
            rows, is at most so long, or as short as rounding lets it.
        max_iterations: when to give up.
    """
    start = None
    if features.whole is not None:
        rough = solve(features.whole, labels, periods, C, tolerance=ROUGH, max_iterations=max_iterations)
        start = rough.point.expand(len(features.training), -1, -1)
    return _minimise(Problems(features, labels, periods, C), start, tolerance, max_iterations)


@dataclass
class _Standing:
    """Where the problems that are not yet solved stand; axes of problems and columns as in `Problems`.

    Attributes:
        problems: which they are.
        point: the weights.
        logits: of every row, at the point.
        probability: likewise.
        value, gradient, inverse: the objective, its gradient, and the inverse diagonal of its Hessian.
        memory: of L-BFGS.
        tilt: what the folds' scales add to the gradient, as it was at `seen`; none where they share no features.
        nearest: the smallest squared gradient so far, in the metric of the inverse and as a share of the objective.
        age: steps since it was last halved.
        stuck: which problems rounding once kept from falling.
        converged: which are solved.
    """

    problems: Problems
    point: Float[Tensor, "fold column axis"]
    logits: Float[Tensor, "fold column number"]
    probability: Float[Tensor, "fold column number"]
    value: Float[Tensor, "fold period"]
    gradient: Float[Tensor, "fold column axis"]
    inverse: Float[Tensor, "fold column axis"]
    memory: list[Step]
    tilt: Float[Tensor, "fold column axis"]
    seen: Float[Tensor, "fold column axis"]
    nearest: Float[Tensor, "fold period"]
    age: Int[Tensor, "fold period"]
    stuck: Bool[Tensor, "fold period"]
    converged: Bool[Tensor, "fold period"]

    @property
    def done(self) -> Bool[Tensor, "fold period"]:
        """Which problems stay where they are."""
        return self.stuck | self.converged

    @classmethod
    def at(cls, problems: Problems, point: Float[Tensor, "fold column axis"], tolerance: float) -> "_Standing":
        """At the start."""
        logits = problems.logits(point)
        loss, probability = problems.loss(logits)
        tilt = torch.zeros_like(point) if problems.scales is None else problems.scales.gradient(point)
        value = loss + problems.dot(0.5 * problems.penalty * point + tilt, point)
        gradient, inverse = problems.gradient(point, probability)
        gradient += tilt
        nearest = problems.dot(gradient * inverse, gradient) / value
        age, converged = torch.zeros_like(value, dtype=torch.long), problems.length(gradient) <= tolerance
        stuck, seen = torch.zeros_like(converged), point.clone()
        memory: list[Step] = []
        reached = (value, gradient, inverse, memory, tilt, seen, nearest, age, stuck, converged)
        return cls(problems, point, logits, probability, *reached)

    def step(self, tolerance: float) -> None:
        """Take one step of each problem that is not done."""
        problems, dtype = self.problems, self.value.dtype
        direction = _direction(problems, self.gradient, self.inverse, self.memory)
        direction.mul_(problems.spread((~self.done).to(dtype)))
        length, fails = self.search(direction)
        moved = direction.mul_(problems.spread(length))
        self.point += moved
        gradient, self.inverse = problems.gradient(self.point, self.probability)
        gradient += self.tilt
        turned, self.gradient = gradient - self.gradient, gradient
        product = problems.dot(moved, turned)
        usable = product > torch.finfo(dtype).tiny
        rate = torch.where(usable, 1 / product.where(usable, 1.0), 0.0)
        self.memory = [*self.memory, (moved, turned, rate)][-MEMORY:]
        missed = self.refresh(tolerance)
        left = problems.dot(self.gradient * self.inverse, self.gradient) / self.value
        self.age = torch.where(left < self.nearest / 2, 0, self.age + 1)
        self.nearest = torch.where(self.age == 0, left, self.nearest)
        rounded = (left <= PRECISION * torch.finfo(dtype).eps) & (self.age >= PATIENCE)
        length = problems.length(self.gradient)
        self.converged = (torch.maximum(length, missed) <= tolerance) | (rounded & (missed <= length))
        self.stuck = self.stuck | fails

    def refresh(self, tolerance: float) -> Float[Tensor, "fold period"]:
        """Bring the tilt to the point, once it may be what is left in half of the problems; say how far it may be off.

        It costs nearly as much as a step, and changes little from step to step.
        """
        scales = self.problems.scales
        if scales is None:
            return torch.zeros_like(self.value)
        missed = scales.most[:, None] * self.problems.length(self.point - self.seen)
        wrong = missed > self.problems.length(self.gradient).clamp_min(tolerance)
        if int((wrong & ~self.done).sum()) * 2 <= int((~self.done).sum()):
            return missed
        tilt = scales.gradient(self.point)
        change = tilt - self.tilt
        self.value = self.value + self.problems.dot(change, self.point)
        self.gradient = self.gradient + change
        self.tilt, self.seen = tilt, self.point.clone()
        return torch.zeros_like(missed)

    def search(
        self, direction: Float[Tensor, "fold column axis"]
    ) -> tuple[Float[Tensor, "fold period"], Bool[Tensor, "fold period"]]:
        """Take each problem's step to the minimum of its parabola, and halve it until the objective falls.

        The value, logits and probabilities are brought to where the step ends. The logits are linear in the point and
        the penalty is quadratic, so that one product with the features serves all trials.

        Returns:
            The length of the step, and which problems did not fall.
        """
        problems, value, point = self.problems, self.value, self.point
        rate = problems.dot(self.gradient, direction)
        change = problems.logits(direction)
        along = problems.penalty * direction
        slope, bend = problems.dot(along, point) + problems.dot(self.tilt, direction), problems.dot(along, direction)
        start = problems.dot(0.5 * problems.penalty * point + self.tilt, point)
        curvature = problems.bend(self.probability, change) + bend
        length = torch.where(curvature > 0, -rate / curvature, 1.0).clamp(0, LONGEST)
        # Near the minimum the rounding of the sum is larger than the decrease, and allowed for.
        rounding = 8 * torch.finfo(value.dtype).eps * value
        self.logits.addcmul_(change, problems.spread(length))
        for trial in range(BACKTRACKS):
            loss, self.probability = problems.loss(self.logits)
            self.value = loss + start + length * slope + 0.5 * length.square() * bend
            fails = ~(self.value <= value + 1e-4 * length * rate + rounding)
            if trial == BACKTRACKS - 1 or not bool(fails.any()):
                break
            shorter = torch.where(fails, length / 2, length)
            self.logits.addcmul_(change, problems.spread(shorter - length))
            length = shorter
        return length, fails

    def of(self, kept: Bool[Tensor, " period"]) -> "_Standing":
        """Without the other periods."""
        columns = kept[self.problems.owner]
        of_columns = ("point", "logits", "probability", "gradient", "inverse", "tilt", "seen")
        by_column = {name: getattr(self, name)[:, columns] for name in of_columns}
        by_problem = {name: getattr(self, name)[:, kept] for name in ("value", "nearest", "age", "stuck", "converged")}
        memory = [(moved[:, columns], turned[:, columns], rate[:, kept]) for moved, turned, rate in self.memory]
        return _Standing(problems=self.problems.of(kept), memory=memory, **by_column, **by_problem)


def _minimise(problems: Problems, start: Tensor | None, tolerance: float, max_iterations: int) -> Solution:
    features, iterations = problems.asked, 0
    shape = (len(features.training), len(problems.owner), features.rows.shape[-1])
    now = _Standing.at(problems, features.rows.new_zeros(shape) if start is None else start.clone(), tolerance)
    point, converged = torch.empty_like(now.point), torch.empty_like(now.converged)
    left = torch.ones_like(converged[0])
    while True:
        over = now.done.all(dim=0) if iterations < max_iterations else torch.ones_like(now.done[0])
        if bool(over.any()):
            # A period that is solved in all folds is laid aside: the others may need several times the steps.
            point[:, left[problems.owner]], converged[:, left] = now.point, now.converged
            if bool(over.all()):
                return Solution(problems.logits(point).mT, converged, iterations, point)
            left[left.clone()] = ~over
            now = now.of(~over)
        now.step(tolerance)
        iterations += 1
