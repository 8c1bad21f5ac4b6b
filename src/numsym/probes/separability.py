"""How far apart the residue classes are: scatter matrices, the Fisher discriminant, and Theorem 1 of [F]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.figures import COLOURS, drawing
from numsym.probes.inputs import Embeddings, check_embeddings, check_numbers, check_period
from numsym.probes.spectrum import period_power, residue_sums
from numsym.results import Result, beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Separability(Result):
    """Scatter between and within the residue classes mod T.

    Attributes:
        period: T.
        ridge: what is added to the diagonal of S_W wherever it is inverted, in squared units of the embeddings.
        discriminant: the Fisher discriminant lmax((S_W + ridge)^-1 S_B), without unit.
        lower: Theorem 1: Phi_T / ((T - 1) cond N lmin), with the condition number and the least eigenvalue of
            S_W + ridge.
        upper: Theorem 1: Phi_T / (N lmin).
        trace: Tr(S_B).
        power: Phi_T; Tr(S_B) = Phi_T / N.
        count: N, how many numbers were used: the largest multiple of T.
        between: S_B, (d, d): the covariance of the class means, in squared units of the embeddings; `None` where only
            the numbers were read, and so is the next.
        within: S_W, (d, d): the mean covariance inside the classes, without the ridge.
    """

    period: int
    ridge: float
    discriminant: float
    lower: float
    upper: float
    trace: float
    power: float
    count: int
    between: Float[Tensor, "hidden hidden"] | None = beside()
    within: Float[Tensor, "hidden hidden"] | None = beside()

    name: ClassVar[str] = "separability"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "Fisher discriminant of the residue classes mod T, between the bounds of Theorem 1"

    def rows(self) -> list[dict[str, Any]]:
        """One row."""
        bounds = {"lower": self.lower, "discriminant": self.discriminant, "upper": self.upper}
        return [{"T": self.period, **bounds, "trace": self.trace, "power": self.power, "numbers": self.count}]

    def figure(self) -> "Figure":
        """The discriminant between its bounds."""
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(4.8, 1.5), layout="constrained")
            axes.plot([self.lower, self.upper], [0, 0], "|-", color="0.5", markersize=12, label="bounds of Theorem 1")
            axes.plot([self.discriminant], [0], "o", color=COLOURS[0], label="Fisher discriminant")
            axes.set(xscale="log", xlabel=f"T = {self.period}", ylim=(-1, 1))
            axes.set_yticks([])
            figure.legend(loc="outside upper center", ncols=2)
        return figure


def separability(
    embeddings: Embeddings,
    T: int,
    *,
    numbers: Sequence[int] | Int[Tensor, " number"] | None = None,
    ridge: float | int = 1e-9,
) -> Separability:
    """Measure how far apart the residue classes mod T lie, and Theorem 1's bounds on it.

    S_B = 1/T sum_r (mu_r - mu)(mu_r - mu)^T and S_W = 1/N sum_r sum_{n in C_r} (e(n) - mu_r)(e(n) - mu_r)^T, for the
    residue classes C_r = {n : n = r mod T} with means mu_r. Theorem 1 supposes classes of equal size, so the last
    N mod T numbers are left out. Computed in float64 throughout.

    S_W is singular when there are fewer than d + T numbers. It is therefore inverted with a ridge (not with a
    pseudo-inverse, which would drop just those directions in which the classes are perfectly apart), and both bounds
    are those of S_W + ridge, for which the theorem holds as it stands.

    Args:
        embeddings: (N, d), row n the embedding of the n-th number.
        T: the period, 2..N/2.
        numbers: the numbers, if they do not start at 0; they must be consecutive.
        ridge: the ridge as a share of the mean eigenvalue of the total scatter S_B + S_W; 0 adds none.

    Raises:
        InvalidArgumentError: T is not allowed, values not finite, numbers not consecutive, constant embeddings, or
            ridge=0 with a singular S_W.

    Source: [F], Theorem 1; the ridge is ours.
    """
    embeddings = check_embeddings(embeddings)
    check_at_least("ridge", ridge, 0)
    first = check_numbers(numbers, len(embeddings))
    check_period(T, len(embeddings), parameter="T")
    count = len(embeddings) // T * T
    values = embeddings[:count].double()
    values = values - values.mean(dim=0)
    means, within, between = _scatter(values, T, first)
    added, eigenvalues, axes = _ridged(within, between, ridge, count)
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    # lmax(S_W^-1 S_B) is the largest squared singular value of the whitened class means.
    whitened = (means @ axes) * eigenvalues.rsqrt()
    power = period_power(values, T)
    return Separability(
        period=T,
        ridge=added,
        discriminant=float(torch.linalg.matrix_norm(whitened, 2)) ** 2 / T,
        lower=power / ((T - 1) * (most / least) * count * least),
        upper=power / (count * least),
        trace=float(between.trace()),
        power=power,
        count=count,
        between=between,
        within=within,
    )


def _scatter(
    values: Float[Tensor, "number hidden"], T: int, first: int
) -> tuple[Float[Tensor, "residue hidden"], Float[Tensor, "hidden hidden"], Float[Tensor, "hidden hidden"]]:
    """The means of the residue classes of centred values, and the scatter within and between the classes."""
    count = len(values)
    residues = (torch.arange(count, device=values.device) + first) % T
    means = residue_sums(values, T, first) * (T / count)
    inside = values - means[residues]
    return means, inside.mT @ inside / count, means.mT @ means / T


def _ridged(
    within: Float[Tensor, "hidden hidden"], between: Float[Tensor, "hidden hidden"], ridge: float | int, count: int
) -> tuple[float, Float[Tensor, " hidden"], Float[Tensor, "hidden hidden"]]:
    """The ridge of the scatter within classes of `count` numbers; with it, its eigenvalues, least first, and axes."""
    width = len(within)
    added = float(ridge) * float(within.trace() + between.trace()) / width
    eigenvalues, axes = torch.linalg.eigh(within)
    # Eigenvalues below zero are rounding.
    eigenvalues = eigenvalues.clamp_min(0) + added
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    if least <= most * width * torch.finfo(within.dtype).eps * (added == 0):
        raise InvalidArgumentError(
            f"ridge={ridge!r} is not allowed here: the {width} x {width} scatter within classes of {count} numbers is "
            "singular; give a ridge above 0, such as 1e-9"
        )
    return added, eigenvalues, axes


def spikes_without_classes(
    count: int, T: int, residue: float | int = 1.0, block: float | int = 1.0
) -> Float[Tensor, "number 1"]:
    """Embeddings with a spectral spike at period T whose residue classes no linear probe tells apart.

    e(n) = residue * r + block * m with n = r + m T: the first term alone decides the power at the frequencies l/T
    (m is constant over each block of T numbers), however large the second one makes the scatter within the classes.

    Args:
        count: how many numbers, from 0; at least 2 T.
        T: the period.
        residue: how far neighbouring residues are apart.
        block: how far neighbouring blocks are.

    Returns:
        (N, 1) float64.

    Raises:
        InvalidArgumentError: a number is out of range.

    Source: [F], Theorem 1, insufficiency.
    """
    check_at_least("count", count, 4)
    check_period(T, count, parameter="T")
    n = torch.arange(count, dtype=torch.float64)
    return (residue * (n % T) + block * (n // T))[:, None]
