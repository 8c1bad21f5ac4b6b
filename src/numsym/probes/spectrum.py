"""How much of the embeddings repeats with each period: the Fourier spectrum along the numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.probes.inputs import check_embeddings, check_numbers, check_period


@dataclass(frozen=True)
class Spectrum:
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

    def peaks(self, count: int = 5, threshold: float | int = 2.0) -> list[tuple[float, float]]:
        """Return (period, normalised magnitude) of the highest local maxima, the highest first.

        Args:
            count: at most so many.
            threshold: only maxima of at least so many times the median.
        """
        check_at_least("count", count, 1)
        padded = torch.nn.functional.pad(self.normalised, (1, 1), value=-math.inf)
        local = (self.normalised > padded[:-2]) & (self.normalised >= padded[2:]) & (self.normalised >= threshold)
        places = local.nonzero().flatten()
        order = self.normalised[places].argsort(descending=True)[:count]
        return [(1 / float(self.frequency[i]), float(self.normalised[i])) for i in places[order]]


def spectrum(
    embeddings: Float[Tensor, "number hidden"], *, numbers: Sequence[int] | Int[Tensor, " number"] | None = None
) -> Spectrum:
    """Measure the power of number embeddings at each frequency.

    With F(v) = N^-1/2 sum_n e(n) exp(-2 pi i v n), the power at v is |F(v)|^2, summed over the hidden dimensions.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number; computed in float32 or, given float64, in float64.
        numbers: the numbers, to check that they are consecutive; None says that they are.

    Raises:
        InvalidArgumentError: values not finite; numbers that repeat, miss or are not ordered; constant embeddings.

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
    if float(magnitude.max()) <= rounding:
        raise InvalidArgumentError("embeddings are the same for every number: there is no spectrum to normalise")
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
    embeddings: Float[Tensor, "number hidden"],
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
