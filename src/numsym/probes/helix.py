"""The helix fit: are number embeddings a line plus circles of a few periods?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import check_at_least
from numsym.figures import COLOURS, drawing
from numsym.probes.inputs import Embeddings, check_embeddings, check_numbers, check_periods
from numsym.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class HelixFit(Result):
    """How much of the leading principal components a line and circles explain.

    Attributes:
        explained_variance: share of the components' variance that the fit explains, 0..1.
        baseline: the same share with random periods, one value a draw, (draws,).
        by_period: what the share falls by when that period is taken out, the others fitted anew.
        line: the share that the line alone explains.
        coefficients: (columns, components), of the columns that `design` makes.
        periods: the periods of the fit.
    """

    explained_variance: float
    baseline: Float[Tensor, " draw"]
    by_period: dict[int, float]
    line: float
    coefficients: Float[Tensor, "column component"]
    periods: tuple[int, ...]

    name: ClassVar[str] = "helix"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "share of the leading components' variance that a line and circles explain"

    def rows(self) -> list[dict[str, Any]]:
        """A row a part: the whole fit, random periods in its place, the line alone, and each circle's own share."""
        parts = {"line and circles": self.explained_variance, "random periods": self.baseline.mean().item()}
        parts |= {"line alone": self.line} | {f"circle of T = {T}": share for T, share in self.by_period.items()}
        return [{"part": part, "explains": share} for part, share in parts.items()]

    def figure(self) -> "Figure":
        """The parts as bars, with every draw of random periods as a dot."""
        rows = self.rows()[::-1]
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(4.8, 1.0 + 0.3 * len(rows)), layout="constrained")
            axes.barh([row["part"] for row in rows], [row["explains"] for row in rows], color=COLOURS[0], height=0.6)
            draws = self.baseline.tolist()
            axes.plot(draws, ["random periods"] * len(draws), "o", color=COLOURS[1], alpha=0.3, markersize=3)
            axes.set(xlabel="share of the variance explained")
        return figure

    @property
    def better_than_random(self) -> float:
        """The share of random draws that explain less."""
        return float((self.baseline < self.explained_variance).double().mean())


def design(numbers: Float[Tensor, " number"], periods: Sequence[float | int]) -> Float[Tensor, "number column"]:
    """Columns 1, n, and cos and sin of 2 pi n / T for each period (the sine is zero at T = 2 and left out)."""
    spread = (numbers - numbers.mean()) / numbers.std()
    columns = [torch.ones_like(numbers), spread]
    for period in periods:
        angle = 2 * math.pi * numbers / period
        columns += [angle.cos()] if period == 2 else [angle.cos(), angle.sin()]
    return torch.stack(columns, dim=1)


def helix(
    embeddings: Embeddings,
    periods: Iterable[int] = (2, 5, 10, 100),
    *,
    components: int = 100,
    draws: int = 100,
    numbers: Sequence[int] | Int[Tensor, " number"] | None = None,
    generator: torch.Generator | None = None,
) -> HelixFit:
    """Fit a line plus the cosine and sine of each period to the leading principal components, by least squares.

    The baseline draws as many periods, log-uniformly between 2 and N, as many times as `draws` says; a period of 2
    has no sine, so its stand-in has only a cosine and both fits have the same number of columns. All columns are
    removed from the components' variance together, so the share is that of an ordinary multivariate R^2.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number; computed in float32 or, given float64, in float64.
        periods: the T of the circles, each 2..N/2.
        components: leading principal components kept; no more than there are is fine.
        draws: random sets of periods.
        numbers: the numbers, if they do not start at 0; they must be consecutive.
        generator: a CPU generator for the draws; None is a fixed seed.

    Raises:
        InvalidArgumentError: a period that is not allowed, values not finite, numbers not consecutive, constant
            embeddings, or numbers that share a row.

    Source: Kantamneni and Tegmark 2025 (arXiv 2502.00873), the generalised helix; [F] cites it.
    """
    embeddings = check_embeddings(embeddings)
    count = len(embeddings)
    first = check_numbers(numbers, count)
    periods = check_periods(periods, count)
    check_at_least("components", components, 1)
    check_at_least("draws", draws, 1)
    places = torch.arange(first, first + count, device=embeddings.device, dtype=embeddings.dtype)
    columns = design(places, periods)
    kept = leading(embeddings, components)
    share, coefficients = _explained(columns, kept)
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    uniform = torch.rand(draws, len(periods), generator=generator, dtype=torch.float64)
    drawn = (2 * (count / 2) ** uniform).tolist()
    return HelixFit(
        explained_variance=share,
        baseline=torch.tensor([_explained(_random(places, row, periods), kept)[0] for row in drawn]),
        by_period={
            period: share - _explained(design(places, [other for other in periods if other != period]), kept)[0]
            for period in periods
        },
        line=_explained(design(places, []), kept)[0],
        coefficients=coefficients,
        periods=periods,
    )


def leading(embeddings: Float[Tensor, "number hidden"], components: int) -> Float[Tensor, "number component"]:
    """The leading principal components of embeddings, or as many as there are."""
    centred = embeddings - embeddings.mean(dim=0)
    left, lengths, _ = torch.linalg.svd(centred, full_matrices=False)
    return (left * lengths)[:, :components]


def _explained(
    columns: Float[Tensor, "number column"], kept: Float[Tensor, "number component"]
) -> tuple[float, Float[Tensor, "column component"]]:
    # Columns of nearby periods are nearly alike; the pseudo-inverse stays well-behaved there.
    coefficients = torch.linalg.pinv(columns) @ kept
    left = kept - columns @ coefficients
    return 1 - float(left.square().sum() / kept.square().sum()), coefficients


def _random(
    places: Float[Tensor, " number"], drawn: Sequence[float], periods: Sequence[int]
) -> Float[Tensor, "number column"]:
    columns = [design(places, [])]
    for period, stood_for in zip(drawn, periods, strict=True):
        pair = design(places, [period])[:, 2:]
        columns.append(pair[:, :1] if stood_for == 2 else pair)
    return torch.cat(columns, dim=1)
