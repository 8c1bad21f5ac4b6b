"""The objective of many multinomial logistic regressions, those of all folds and periods, at once."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numsym.probes.fold_features import Features


class Problems:
    """The objective of all problems at once: weights are (fold, column, axis), logits (fold, column, number).

    Args:
        features: of every fold.
        labels: the class of each row for each period, 0..T-1.
        periods: the number of classes of each problem.
        C: the inverse penalty, as in scikit-learn.
    """

    def __init__(
        self, features: Features, labels: Int[Tensor, "period number"], periods: Sequence[int], C: float | int
    ):
        self.asked, self.labels, self.periods, self.C = features, labels, tuple(periods), C
        spans = torch.tensor([0, *periods], device="cpu").cumsum(0).tolist()
        self.spans = list(pairwise(spans))
        problems = torch.arange(len(periods), device=labels.device)
        self.owner = problems.repeat_interleave(torch.tensor(periods, device=labels.device))
        self.rows, dtype = features.rows, features.rows.dtype
        self.member = torch.nn.functional.one_hot(self.owner, len(periods)).to(dtype).mT.contiguous()
        # The column of each row's class.
        target = labels + torch.tensor(spans[:-1], device=labels.device)[:, None]
        self.trains = features.training.to(dtype)[:, None, :]
        self.target = target.expand(len(self.trains), -1, -1)
        self.strength = self.rows.new_tensor([C / 2 if period == 2 else C for period in periods])
        self.penalty = torch.ones_like(features.lengths)[:, None, :]
        self.penalty[:, :, -1] = 0
        self.lengths = features.lengths[:, None, :]
        self.count = features.training.sum(dim=1)[:, None].to(dtype)
        self.scales = features.scales

    def of(self, kept: Bool[Tensor, " period"]) -> "Problems":
        """Those of some periods."""
        periods = [period for period, stays in zip(self.periods, kept.tolist(), strict=True) if stays]
        return Problems(self.asked, self.labels[kept], periods, self.C)

    def spread(self, values: Float[Tensor, "fold period"]) -> Float[Tensor, "fold column 1"]:
        """Repeat a value of each problem over its columns."""
        return values.index_select(1, self.owner)[:, :, None]

    def dot(
        self, first: Float[Tensor, "fold column axis"], second: Float[Tensor, "fold column axis"]
    ) -> Float[Tensor, "fold period"]:
        """The inner product of each problem."""
        return torch.linalg.vecdot(first, second, dim=2) @ self.member.mT

    def length(self, gradient: Float[Tensor, "fold column axis"]) -> Float[Tensor, "fold period"]:
        """Of each problem's gradient, divided by C and the number of training rows."""
        return self.dot(gradient, gradient).sqrt() / (self.strength * self.count)

    def logits(self, point: Float[Tensor, "fold column axis"]) -> Float[Tensor, "fold column number"]:
        """Of every row, training and held-out."""
        return point @ self.rows.mT

    def loss(
        self, logits: Float[Tensor, "fold column number"]
    ) -> tuple[Float[Tensor, "fold period"], Float[Tensor, "fold column number"]]:
        """The losses, without the penalty, and the probabilities."""
        top = torch.stack([logits[:, start:stop].amax(dim=1) for start, stop in self.spans], dim=1)
        probability = logits.sub(top.index_select(1, self.owner)).exp_()
        sums = self.member @ probability
        probability *= sums.reciprocal().index_select(1, self.owner)
        surprise = sums.log_() + top - logits.gather(1, self.target)
        return self.strength * (surprise * self.trains).sum(dim=2), probability

    def bend(
        self, probability: Float[Tensor, "fold column number"], change: Float[Tensor, "fold column number"]
    ) -> Float[Tensor, "fold period"]:
        """The second derivative of the losses along a change of the logits."""
        weighed = probability * change
        mean = self.member @ weighed
        variance = self.member @ weighed.mul_(change) - mean.square()
        return self.strength * (variance * self.trains).sum(dim=2)

    def gradient(
        self, point: Float[Tensor, "fold column axis"], probability: Float[Tensor, "fold column number"]
    ) -> tuple[Float[Tensor, "fold column axis"], Float[Tensor, "fold column axis"]]:
        """Return the gradient, and the inverse diagonal of the Hessian as if all rows had their mean curvature.

        Where the axes are orthogonal over the training rows, that diagonal is the whole Hessian of a class at zero
        weights, where all rows are alike. What the folds' scales add to the penalty is left out of both.
        """
        strength = self.strength[self.owner, None]
        slope = probability * self.trains
        curvature = slope.sum(dim=2, keepdim=True) - torch.linalg.vecdot(slope, probability, dim=2)[:, :, None]
        curvature *= strength / self.count[:, :, None]
        slope.scatter_add_(1, self.target, -self.trains.expand(self.target.shape))
        inverse = 1 / (self.lengths * curvature.clamp_min(torch.finfo(curvature.dtype).tiny) + self.penalty)
        return torch.addcmul(self.penalty * point, slope @ self.rows, strength), inverse
