"""How sure a share is: Wilson intervals, and shares by group."""

from dataclasses import dataclass
from math import sqrt

from jaxtyping import Bool, Int
from torch import Tensor

Z95 = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Share:
    """A share of right answers with its 95 % interval.

    Attributes:
        value: right / n, in 0..1.
        low, high: the Wilson score interval (Wilson 1927), which stays inside 0..1 and is honest at 0 and 1.
        n: the number of answers.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, right: Bool[Tensor, "batch"]) -> "Share":
        """The share of True."""
        n = right.numel()
        if n == 0:
            return cls(float("nan"), 0.0, 1.0, 0)
        p = right.double().mean().item()
        centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 * sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        return cls(p, max(0.0, centre - half), min(1.0, centre + half), n)


def shares_by(right: Bool[Tensor, "batch"], group: Int[Tensor, "batch"]) -> dict[int, Share]:
    """The share of each group, by group value in rising order."""
    return {int(value): Share.of(right[group == value]) for value in group.unique()}
