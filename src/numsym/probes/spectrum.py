"""How much of the embeddings repeats with each period: the Fourier spectrum along the numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import check_at_least
from numsym.figures import COLOURS, drawing
from numsym.probes.inputs import Embeddings, check_embeddings, check_numbers, check_period
from numsym.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECIMAL = {"1/10": 0.1, "1/5": 0.2, "3/10": 0.3, "2/5": 0.4, "1/2": 0.5}
"""Frequencies of the periods 2, 5 and 10 and of their harmonics, which a figure marks."""

AROUND = 0.03
"""How far from a frequency, in cycles per number, those lie that `Spectrum.spike` holds it against."""

LEAST = 1.5
"""A peak of a table or figure has at least so many times the median."""


@dataclass(frozen=True, repr=False)
class Spectrum(Result):
    """The spectrum of number embeddings at the frequencies j/N, j = 1..N/2 (the mean, j = 0, is left out).

    Attributes:
        frequency: cycles per number, (F,).
        power: |F(v)|^2 summed over the hidden dimensions, (F,), in squared units of the embeddings.
        normalised: magnitude (the root of the power) divided by its median over frequencies, (F,), without unit;
            the quantity whose spikes [F] shows.
    """

    frequency: Float[Tensor, " frequency"]
    power: Float[Tensor, " frequency"]
    normalised: Float[Tensor, " frequency"]

    name: ClassVar[str] = "spectrum"

    @property
    def title(self) -> str:
        """What the rows are."""
        return "spectrum along the numbers"

    def rows(self) -> list[dict[str, Any]]:
        """A row a frequency."""
        columns = [self.frequency.tolist(), self.power.tolist(), self.normalised.tolist()]
        return [
            {"frequency": f, "period": 1 / f, "power": power, "times_median": height}
            for f, power, height in zip(*columns, strict=True)
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Its peaks."""
        peaks = [{"period": period, "times_median": height} for period, height in self.peaks(10, LEAST)]
        return {"peaks of the spectrum": peaks}

    def figure(self) -> "Figure":
        """The magnitude by frequency as a line, its highest peaks named by their periods."""
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
            self.draw(axes, self.peaks(6, LEAST))
        return figure

    def draw(
        self, axes: "Axes", peaks: Sequence[tuple[float, float]] = (), *, colour: str = COLOURS[0], **line: Any
    ) -> None:
        """Draw the line into a panel, some peaks (period, height) named.

        Args:
            axes: the panel.
            peaks: of `peaks`.
            colour: of the line.
            line: for `axes.plot`.
        """
        axes.plot(self.frequency.cpu(), self.normalised.cpu(), color=colour, **{"linewidth": 1.0, **line})
        # Dips say nothing, and a logarithmic axis would show little else.
        low, high = axes.get_ylim() if len(axes.lines) > 1 else (1.0, 1.0)
        reach = max(high, 2.2 * float(self.normalised.max()))
        axes.set(yscale="log", xlim=(0, 0.51), ylim=(min(low, 0.5), reach))
        axes.set(xlabel="frequency (cycles per number)", ylabel="magnitude / median")
        axes.set_xticks(list(DECIMAL.values()), list(DECIMAL))
        axes.set_yticks(
            shown := [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= reach], list(map(str, shown))
        )
        axes.minorticks_off()
        for period, height in peaks:
            text, place = f"T = {period:.3g}", (1 / period, height)
            side: Any = {"ha": "right" if period < 2.1 else "center", "fontsize": 8, "color": colour}
            axes.annotate(text, place, (0, 3), textcoords="offset points", **side)

    def peaks(
        self, count: int = 5, threshold: float | int = 2.0, *, longest: float | int = math.inf
    ) -> list[tuple[float, float]]:
        """Return (period, normalised magnitude) of the highest local maxima, the highest first.

        Args:
            count: at most so many.
            threshold: only maxima of at least so many times the median.
            longest: only periods up to this one: slow trends (numbers of one, two and three digits differ) often have
                the highest peaks of all and say nothing of residues.
        """
        check_at_least("count", count, 1)
        padded = torch.nn.functional.pad(self.normalised, (1, 1), value=-math.inf)
        local = (self.normalised > padded[:-2]) & (self.normalised >= padded[2:]) & (self.normalised >= threshold)
        # Half a number of tolerance: a longest period of 10 itself counts.
        local &= 1 / self.frequency < longest + 0.5
        places = local.nonzero().flatten()
        order = self.normalised[places].argsort(descending=True)[:count]
        return [(1 / float(self.frequency[i]), float(self.normalised[i])) for i in places[order]]

    def spike(self, T: int) -> float:
        """How far a period stands out: its magnitude over the median of the frequencies around it.

        Of the harmonics l/T those count that no shorter period has (l and T without a common divisor), and of these the
        highest. What rises smoothly towards long periods, as embeddings do that change along the numbers, is no spike.

        Args:
            T: the period, 2..N/2.
        """
        count = round(1 / float(self.frequency[0]))
        check_period(T, count, parameter="T")
        reach = max(5, round(AROUND * count))
        found = []
        for harmonic in (one for one in range(1, T // 2 + 1) if math.gcd(one, T) == 1):
            place = harmonic * count / T
            # Where l/T lies between two bins, the higher of them.
            for bin_ in {math.floor(place), math.ceil(place)} & set(range(1, len(self.normalised) + 1)):
                beside = [i for i in range(bin_ - reach, bin_ + reach + 1) if abs(i - bin_) > 1]
                inside = [i - 1 for i in beside if 1 <= i <= len(self.normalised)]
                around = self.normalised[inside].quantile(0.5).clamp_min(torch.finfo(self.normalised.dtype).eps)
                found.append(float(self.normalised[bin_ - 1] / around))
        return max(found)


def spectrum(embeddings: Embeddings, *, numbers: Sequence[int] | Int[Tensor, " number"] | None = None) -> Spectrum:
    """Measure the power of number embeddings at each frequency.

    With F(v) = N^-1/2 sum_n e(n) exp(-2 pi i v n), the power at v is |F(v)|^2, summed over the hidden dimensions.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number; computed in float32 or, given float64, in float64.
        numbers: the numbers, to check that they are consecutive; None says that they are.

    Raises:
        InvalidArgumentError: values not finite; numbers that repeat, miss or are not ordered; constant embeddings,
            or numbers that share a row.

    Source: [F], spectral convergence.
    """
    embeddings = check_embeddings(embeddings)
    count = len(embeddings)
    check_numbers(numbers, count)
    # Removing the mean changes no frequency but 0, and keeps a large common offset from costing digits.
    transform = torch.fft.rfft(embeddings - embeddings.mean(dim=0), dim=0, norm="ortho")[1:]
    power = transform.abs().square().sum(dim=1)
    magnitude = power.sqrt()
    median = magnitude.quantile(0.5)
    rounding = torch.finfo(power.dtype).eps * float(embeddings.norm())
    # A pure wave has a median of zero: what rounding leaves stands for it.
    normalised = magnitude / median.clamp_min(rounding)
    frequency = torch.arange(1, len(power) + 1, device=power.device, dtype=power.dtype) / count
    return Spectrum(frequency=frequency, power=power, normalised=normalised)


def residue_sums(
    embeddings: Float[Tensor, "number hidden"], period: int, first: int = 0
) -> Float[Tensor, "residue hidden"]:
    """Return the sum of the embeddings of each residue class, (T, d); `first` is the number of row 0."""
    residues = (torch.arange(len(embeddings), device=embeddings.device) + first) % period
    return embeddings.new_zeros(period, embeddings.shape[1]).index_add_(0, residues, embeddings)


def period_power(
    embeddings: Embeddings,
    T: int,
    *,
    numbers: Sequence[int] | Int[Tensor, " number"] | None = None,
    centre: bool = False,
) -> float:
    """Measure Phi_T, the power at period T and its harmonics: sum over l = 1..T-1 of |F(l/T)|^2.

    The frequencies l/T are exact for any N, also where T does not divide N and l/T is no bin of an N-point
    transform: e(n) is summed by residue and the T sums are transformed.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number.
        T: the period, 2..N/2.
        numbers: the numbers, to check that they are consecutive; None says that they are.
        centre: subtract the mean embedding first. It changes nothing where T divides N; elsewhere the definition
            of [F] (False) lets a large mean leak into the frequencies l/T.

    Returns:
        Phi_T, in squared units of the embeddings.

    Raises:
        InvalidArgumentError: T is not allowed, values not finite, numbers not consecutive.

    Source: [F], definition of the period-T power.
    """
    embeddings = check_embeddings(embeddings)
    count = len(embeddings)
    check_numbers(numbers, count)
    check_period(T, count, parameter="T")
    if centre or count % T == 0:
        embeddings = embeddings - embeddings.mean(dim=0)
    sums = torch.fft.fft(residue_sums(embeddings, T), dim=0)[1:]
    return float(sums.abs().square().sum()) / count
