"""Which periods of a table can be believed: spike, probe and their controls together, a sentence each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.probes import separability, shuffled, spectrum
from numsym.probes.helix import leading
from numsym.probes.residue import DRAWS, one_more
from numsym.results import Mean, number

BELIEVE, FREQUENT, SPREAD = "believe", "no more than frequency", "read without a spike"
SPIKE, NOTHING = "spike without geometry", "nothing"


@dataclass(frozen=True)
class Period:
    """What is known of a period besides its probe.

    Attributes:
        spike: how far it stands out of the spectrum around it (`Spectrum.spike`), each dimension scaled to variance 1.
        shuffled_spikes: the same after each of some shuffles of the numbers.
        fisher, lower, upper: the Fisher discriminant of n mod T, between the bounds of Theorem 1, in the leading N / 10
            principal components.
        others: the Fisher discriminants of the controls, by name.
    """

    spike: float
    shuffled_spikes: tuple[float, ...]
    fisher: float
    lower: float
    upper: float
    others: dict[str, float]

    @property
    def stands_out(self) -> bool:
        """Whether the spike is higher than one more shuffle's would be (the upper end of a 95 % interval)."""
        return self.spike > one_more(self.shuffled_spikes).high


def periods_of(
    embeddings: Float[Tensor, "number hidden"],
    controls: Mapping[str, Float[Tensor, "number _"]],
    longest: int,
    seed: int,
) -> dict[int, Period]:
    """Measure all but the probe, for each period up to the longest.

    Args:
        embeddings: row n is that of the number n.
        controls: other tables of the same numbers, by name.
        longest: of the periods.
        seed: of the shuffles.
    """
    generator = torch.Generator().manual_seed(seed)
    # As for the probe: a dimension of a hundred times the others' size, as hidden states have some, would be all of it.
    spread = embeddings.std(dim=0)
    even = (embeddings - embeddings.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    own, draws = spectrum(even), [spectrum(shuffled(even, generator)) for _ in range(DRAWS)]
    # With as many dimensions as numbers any residues are apart, those of shuffled numbers too.
    few, *rest = (leading(rows, max(1, len(rows) // 10)) for rows in (embeddings, *controls.values()))
    found = {}
    for T in range(2, longest + 1):
        apart = separability(few, T)
        others = {name: separability(rows, T).discriminant for name, rows in zip(controls, rest, strict=True)}
        spikes = own.spike(T), tuple(one.spike(T) for one in draws)
        found[T] = Period(*spikes, apart.discriminant, apart.lower, apart.upper, others)
    return found


def verdict(
    T: int, kappa: Mean, chance: Mean, frequency: Mean | None, period: Period, believed: Mapping[int, Mean]
) -> tuple[str, str]:
    """A word for a period, and why.

    n mod T is read where the interval of kappa lies above that of shuffled numbers; and more than by frequency where it
    also lies above that of the control.

    Args:
        T: the period.
        kappa: of the embeddings, with its interval over folds.
        chance: of shuffled numbers, with the interval that one more falls into.
        frequency: of the frequency control, if there is one.
        period: what else is known of it.
        believed: kappa of the shorter periods that are believed.
    """
    says: dict[str, Any] = {"kappa": number(kappa.value), "low": number(kappa.low), "high": number(kappa.high)}
    limits = f"shuffled numbers reach {number(chance.high)}"
    if frequency is not None:
        limits += f", token frequency {number(frequency.high)}"
    measured = "kappa {kappa} [{low}, {high}]; ".format(**says) + limits
    noise = number(one_more(period.shuffled_spikes).high)
    height = f"{number(period.spike)} times what is around it; shuffled numbers reach {noise}"
    if kappa.low <= chance.high:
        if period.stands_out:
            return SPIKE, f"period {T} stands out of the spectrum ({height}), but n mod {T} is not read ({measured})"
        return NOTHING, f"n mod {T} is not read ({measured}), and period {T} does not stand out ({height})"
    if frequency is not None and kappa.low <= frequency.high:
        return FREQUENT, f"n mod {T} is read ({measured}), but not better than from how frequent its token is"
    for shorter in (one for one in believed if T % one == 0):
        if kappa.low <= (told := _told(believed[shorter].value, shorter, T)):
            part = f"n mod {shorter}"
            why = (
                f"n mod {T} is read ({measured}), but {part} alone, as well as it is read, tells it with {number(told)}"
            )
            return f"through {part}", why
    if period.stands_out:
        return BELIEVE, f"n mod {T} is read ({measured}), and period {T} stands out of the spectrum ({height})"
    return SPREAD, f"n mod {T} is read ({measured}), though period {T} does not stand out of the spectrum ({height})"


def _told(kappa: float, shorter: int, T: int) -> float:
    """Kappa x 100 at T of who knows n mod a divisor of T with this kappa, and guesses the rest."""
    right = (kappa / 100 * (1 - 1 / shorter) + 1 / shorter) * shorter / T
    return 100 * (right - 1 / T) / (1 - 1 / T)
