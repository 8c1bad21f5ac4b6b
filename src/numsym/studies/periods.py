"""What is measured of a network's embeddings of numbers while it trains: kappa and power by period."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import check_at_least
from numsym.models.adders import number_rows
from numsym.probes import period_power, residue
from numsym.probes.inputs import check_periods
from numsym.probes.residue import check_settings

LONG, LONG_FOLDS = (20, 25, 50, 100, 125, 200, 250), 4
"""Longer periods at which kappa is measured, with fewer folds, where the numbers are enough for them."""


@dataclass(frozen=True)
class Periods:
    """What is measured of a network's embeddings of the numbers 0..base-1.

    Attributes:
        base: how many there are.
        max_period: the longest period of the probe.
        folds: of the probe.
        C: inverse penalty of the probe.
    """

    base: int
    max_period: int
    folds: int
    C: float | int

    def __post_init__(self) -> None:
        check_at_least("max_period", self.max_period, 2)
        check_settings(check_periods(self.probed, self.base), self.folds, self.C, self.base)

    @property
    def probed(self) -> list[int]:
        """The periods at which kappa is measured."""
        return list(range(2, self.max_period + 1))

    @property
    def long(self) -> list[int]:
        """Longer ones, which are measured with fewer folds: those that leave a residue enough numbers."""
        return [T for T in LONG if self.max_period < T and self.base // T >= LONG_FOLDS]

    @property
    def powers(self) -> list[int]:
        """The periods at which Phi is measured: those of kappa, and longer divisors of the base."""
        return self.probed + [T for T in range(self.max_period + 1, self.base // 2 + 1) if self.base % T == 0]

    def of(self, model: nn.Module) -> dict[str, float]:
        """Kappa and the share of Phi at each period, under the names of a record."""
        embeddings = number_rows(model, self.base)
        kappa, phi = residue(embeddings, self.probed, self.folds, C=self.C).kappa, shares(embeddings, self.powers)
        if self.long:
            kappa = {**kappa, **residue(embeddings, self.long, LONG_FOLDS, C=self.C).kappa}
        return {**{f"kappa_{T}": value for T, value in kappa.items()}, **{f"phi_{T}": p for T, p in phi.items()}}


def shares(embeddings: Float[Tensor, "number hidden"], periods: Sequence[int]) -> dict[int, float]:
    """Phi_T as a share of the power at all frequencies but zero.

    Noise has a share of about (T - 1) / N.
    """
    centred = embeddings - embeddings.mean(dim=0)
    total = float(centred.square().sum())
    return {T: period_power(centred, T) / total for T in periods}
