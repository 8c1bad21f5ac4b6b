"""Spikes without geometry: real vectors, the frequency of their tokens, and Theorem 1's construction ([F])."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.errors import check_at_least
from numsym.figures import COLOURS, drawing
from numsym.probes import ResidueResult, Spectrum, residue, separability, spectrum, spikes_without_classes
from numsym.probes.inputs import Embeddings, check_embeddings, check_period
from numsym.probes.packaged import check_packaged, glove
from numsym.probes.residue import check_settings
from numsym.results import Mean, Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL, RANK, MADE = "GloVe 6B", "frequency-like", "constructed"

NOTES = """\
spike: the magnitude at period T over the median of all frequencies. kappa:
Cohen's kappa x 100 of a linear probe of n mod T on held-out numbers, with a
95 % interval over folds. Fisher: the largest eigenvalue of S_W^-1 S_B, between
its bounds by Theorem 1. constructed: e(n) = (n mod T) + (n div T)."""


@dataclass(frozen=True)
class Vectors:
    """Spectrum and geometry of one table of number embeddings.

    Attributes:
        spectrum: its frequencies.
        probe: of n mod T for the period alone.
        fisher, lower, upper: the Fisher discriminant and its bounds.
    """

    spectrum: Spectrum
    probe: ResidueResult
    fisher: float
    lower: float
    upper: float

    def spike(self, T: int) -> float:
        """The magnitude at the period, times the median."""
        place = (self.spectrum.frequency - 1 / T).abs().argmin()
        return float(self.spectrum.normalised[place])

    def kappa(self, T: int) -> Mean:
        """Of the probe."""
        return Mean(self.probe.kappa[T], *self.probe.kappa_interval[T], len(self.probe.fold_kappa[T]))


@dataclass(frozen=True, repr=False)
class Insufficiency(Result):
    """Tables of number embeddings by name, at one period T."""

    period: int
    systems: dict[str, Vectors]

    name: ClassVar[str] = "insufficiency"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What is compared."""
        return f"a spike is not enough: period {self.period} in the spectrum and for a probe"

    def rows(self) -> list[dict[str, Any]]:
        """A row a table."""
        return [
            {
                "embeddings": name,
                "spike": one.spike(self.period),
                "kappa": one.kappa(self.period),
                "Fisher": one.fisher,
                "lower": one.lower,
                "upper": one.upper,
            }
            for name, one in self.systems.items()
        ]

    def figure(self) -> "Figure":
        """Above the spectra, with the spike's height; below what the probe reads: a column a table."""
        T = self.period
        kappas = [one.kappa(T) for one in self.systems.values()]
        with drawing() as plt:
            figure, grid = plt.subplots(
                2, len(self.systems), figsize=(3.5 * len(self.systems), 5), sharey="row", layout="constrained"
            )
            for i, ((name, one), kappa) in enumerate(zip(self.systems.items(), kappas, strict=True)):
                one.spectrum.draw(grid[0, i], [(float(T), one.spike(T))], colour=COLOURS[i])
                grid[0, i].set_title(f"{name}\nspike {one.spike(T):.1f} times the median")
                ends = [[kappa.value - kappa.low], [kappa.high - kappa.value]]
                grid[1, i].bar([0], [kappa.value], width=0.5, yerr=ends, color=COLOURS[i], ecolor="0.3")
                grid[1, i].set(xlim=(-1, 1), ylim=(min(-10.0, *(k.low for k in kappas)), 100))
                grid[1, i].set_xticks([])
                grid[1, i].axhline(0, color="0.5", linewidth=0.8)
                grid[1, i].set_title(f"n mod {T} is read with kappa {kappa.value:.0f}")
            for axes in grid[0, 1:]:
                axes.set_ylabel("")
            grid[1, 0].set_ylabel("kappa x 100 (100: every residue)")
            figure.suptitle(f"A spike at period {T} is necessary for a probe to read n mod {T}, and not enough")
        return figure


@study
def insufficiency(
    systems: Mapping[str, Embeddings] | None = None,
    *,
    numbers: int = 1000,
    period: int = 10,
    folds: int = 10,
    C: float | int = 0.01,
    run: NoRun = NO_RUN,
) -> Insufficiency:
    """Does a spike in the spectrum mean that n mod T can be read? Real vectors beside two counterexamples.

    Args:
        systems: name -> embeddings (N, d), row n the number n, instead of GloVe 6B and the rank of its tokens by
            frequency; the construction of Theorem 1 is always the last.
        numbers: how many, from 0.
        period: T.
        folds: of the probe.
        C: inverse penalty of the probe.
        run: where the result is shown.

    Raises:
        InvalidArgumentError: an argument is not allowed.
        NumsymError: no embeddings are named and the package of GloVe is not installed.
    """
    check_at_least("numbers", numbers, 4)
    check_period(period, numbers, parameter="period")
    check_settings((period,), folds, C, numbers)
    if systems is None:
        check_packaged(REAL)
        table = glove(numbers)
        systems = {REAL: table.embeddings, RANK: table.frequency}
    given = {name: check_embeddings(one)[:numbers] for name, one in systems.items()}
    given[MADE] = spikes_without_classes(numbers, period)
    return run.show(Insufficiency(period, {name: _measured(one, period, folds, C) for name, one in given.items()}))


def _measured(embeddings: Any, T: int, folds: int, C: float | int) -> Vectors:
    apart = separability(embeddings, T)
    return Vectors(
        spectrum(embeddings), residue(embeddings, (T,), folds, C=C), apart.discriminant, apart.lower, apart.upper
    )
