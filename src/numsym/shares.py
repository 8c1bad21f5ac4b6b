"""How sure a number is: shares with Wilson intervals, means over seeds, paired differences, rank correlation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from jaxtyping import Bool, Int, Shaped
from torch import Tensor


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

    def __repr__(self) -> str:
        return f"Share({self.value:.4g} [{self.low:.4g}, {self.high:.4g}], n={self.n})"

    @classmethod
    def of(cls, right: Bool[Tensor, "batch"], *, among: int = 1) -> "Share":
        """The share of True; `among` as for `of_counts`."""
        return cls.of_counts(int(right.sum()), right.numel(), among=among)

    @classmethod
    def joined(cls, shares: Iterable["Share"]) -> "Share":
        """All answers of several shares together."""
        counts = [(round(share.value * share.n), share.n) for share in shares if share.n]
        return cls.of_counts(sum(right for right, _ in counts), sum(n for _, n in counts))

    @classmethod
    def of_counts(cls, right: int, n: int, *, among: int = 1) -> "Share":
        """The share of `right` among `n` answers.

        Args:
            right: how many.
            n: of how many.
            among: how many shares are looked at for a high one: the interval is widened so that all of them together
                hold with 95 % (Bonferroni).
        """
        from scipy.stats import binomtest

        if n == 0:
            return cls(float("nan"), 0.0, 1.0, 0)
        interval = binomtest(right, n).proportion_ci(1 - 0.05 / among, method="wilson")
        return cls(right / n, float(interval.low), float(interval.high), n)


def shares_by(right: Bool[Tensor, "batch"], group: Int[Tensor, "batch"]) -> dict[int, Share]:
    """The share of each group, by group value in rising order."""
    return {int(value): Share.of(right[group == value]) for value in group.unique()}


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
        from scipy.special import stdtrit

        n, middle = len(values), fmean(values)
        half = float(stdtrit(n - 1, 0.975)) * stdev(values) / sqrt(n) if n > 1 else float("nan")
        return cls(middle, middle - half, middle + half, n)


@dataclass(frozen=True)
class Difference:
    """How far two shares of right answers to the same questions are apart.

    Attributes:
        value: the first share less the second.
        low, high: its 95 % interval by Newcombe's method 10 for paired shares (Newcombe 1998, Statistics in Medicine
            17: 2635): the Wilson intervals of both, joined with the correlation of the answers.
        only_first, only_second: how many questions only the one got right.
        p: McNemar's exact test, two-sided: the probability of so uneven a split of these by fair coins.
        n: the number of questions.
    """

    value: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float
    n: int

    @classmethod
    def of(cls, first: Bool[Tensor, "batch"], second: Bool[Tensor, "batch"]) -> "Difference | None":
        """The difference on questions in the same order, or `None` where there are none."""
        from scipy.stats import binomtest

        n = first.numel()
        if n == 0:
            return None
        both, neither = int((first & second).sum()), int((~first & ~second).sum())
        one, other = int((first & ~second).sum()), int((~first & second).sum())
        spread = sqrt((both + one) * (other + neither) * (both + other) * (one + neither))
        phi = (both * neither - one * other) / spread if spread else 0.0
        a, b = Share.of(first), Share.of(second)
        down, up = (a.value - a.low, b.high - b.value), (a.high - a.value, b.value - b.low)
        low, high = (sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)) for x, y in (down, up))
        value, p = a.value - b.value, float(binomtest(one, one + other).pvalue) if one + other else 1.0
        return cls(value, max(-1.0, value - low), min(1.0, value + high), one, other, p, n)


def spearman(x: Shaped[Tensor, "n"], y: Shaped[Tensor, "n"]) -> float | None:
    """Spearman's rank correlation, ties given their mean rank; `None` where one of the two does not vary."""
    from scipy.stats import spearmanr

    varies = all(len(values) > 1 and bool((values != values[0]).any()) for values in (x, y))
    return float(spearmanr(x.cpu().numpy(), y.cpu().numpy()).statistic) if varies else None
