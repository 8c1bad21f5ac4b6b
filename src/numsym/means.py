"""How sure a mean over seeds is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import atan, cos, pi, sin, sqrt
from statistics import fmean


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval.

    Attributes:
        value: the mean.
        low, high: Student's t-interval over the `n` values, which takes them for draws from one normal distribution;
            NaN where n is 1. It is not cut at the ends of a scale.
        n: how many values.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """The mean of at least one value."""
        n, middle = len(values), fmean(values)
        squares = sum((value - middle) ** 2 for value in values)
        half = t95(n - 1) * sqrt(squares / (n - 1) / n) if n > 1 else float("nan")
        return cls(middle, middle - half, middle + half, n)


@cache
def t95(freedom: int) -> float:
    """The 97.5 % point of Student's t distribution, by bisection of its distribution function.

    For whole degrees of freedom that function is a finite sum (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """The probability that |T| < t."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term, total = (cos(angle) if odd else 1.0), 0.0
    for i in range(1 + odd, freedom + 1, 2):
        total += term
        term *= cos(angle) ** 2 * i / (i + 1)
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
