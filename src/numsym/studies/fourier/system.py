"""One table of number embeddings, with its controls: spectrum and probe, and a figure that one can read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.figures import COLOURS, drawing
from numsym.probes import HelixFit, ResidueResult, Spectrum
from numsym.probes.spectrum import LEAST
from numsym.results import Mean, Result, number
from numsym.studies.fourier.verdicts import BELIEVE, Period, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FREQUENCY, SHUFFLED = "frequency-like", "shuffled"


@dataclass(frozen=True, repr=False)
class System(Result):
    """Spectrum and probe of one table of number embeddings and of its controls, by name; the table itself comes first.

    Attributes:
        numbers: how many, from 0.
        longest: the longest period of the probe.
        count: how many peaks are named.
        periods: what else is known of each period.
        helix: how much a line and circles explain.
        layer: after which layer of a model these states are, if they are.
    """

    spectra: dict[str, Spectrum]
    probes: dict[str, ResidueResult]
    numbers: int
    longest: int
    count: int
    periods: dict[int, Period]
    helix: HelixFit
    layer: int | None = None

    name: ClassVar[str] = "fourier"

    @property
    def system(self) -> str:
        """The name of the table."""
        return next(iter(self.spectra))

    @property
    def title(self) -> str:
        """The table, and its numbers."""
        return f"{self.system}, numbers 0..{self.numbers - 1}: n mod T"

    def rows(self) -> list[dict[str, Any]]:
        """A row a period: kappa, that of the controls, what else is known of it, and the verdict."""
        own = {row["T"]: row for row in self.probes[self.system].rows()}
        rows = []
        for T, (word, why) in self.verdicts().items():
            period = self.periods[T]
            controls = {name: self._kappa(name, T) for name in self.controls()}
            known = {"spike": period.spike, "Fisher": period.fisher, "lower": period.lower, "upper": period.upper}
            kappa = {"kappa": own[T]["kappa"], SHUFFLED: own[T]["shuffled"]}
            rows.append({"system": self.system, "T": T, **kappa, **controls, **known, "verdict": word, "why": why})
        return rows

    def controls(self) -> list[str]:
        """The names of the controls besides shuffled numbers."""
        return [name for name in self.probes if name not in (self.system, SHUFFLED)]

    def _kappa(self, name: str, T: int) -> Mean:
        probe = self.probes[name]
        return Mean(probe.kappa[T], *probe.kappa_interval[T], len(probe.fold_kappa[T]))

    def verdicts(self) -> dict[int, tuple[str, str]]:
        """Of each period whether it can be believed, and why."""
        found: dict[int, tuple[str, str]] = {}
        for T, period in self.periods.items():
            chance = self.probes[self.system].baseline(T)
            assert chance is not None
            frequency = self._kappa(FREQUENCY, T) if FREQUENCY in self.probes else None
            believed = {one: self._kappa(self.system, one) for one, (word, _) in found.items() if word == BELIEVE}
            found[T] = verdict(T, self._kappa(self.system, T), chance, frequency, period, believed)
        return found

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The verdicts; kappa; the peaks of each spectrum; how far apart the residues are; the helix."""
        rows = self.rows()
        shown = ("T", "kappa", SHUFFLED, *self.controls())
        return {
            f"{self.system}, which periods can be believed": [
                {key: row[key] for key in ("T", "verdict", "why")} for row in rows
            ],
            self.title: [{key: row[key] for key in shown} for row in rows],
            f"{self.system}, peaks up to a period of {self.longest}": [
                {"spectrum of": name, "peaks": ", ".join(f"{T:.3g} ({x:.1f})" for T, x in self.peaks(name)) or "none"}
                for name in self.spectra
            ],
            f"{self.system}, Fisher discriminant of n mod T": self._apart(),
            f"{self.system}, share of the variance that a line and circles explain": self.helix.rows(),
        }

    def _apart(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for T, period in self.periods.items():
            bounds = f"{number(period.lower)}, {number(period.upper)}"
            rows.append({"T": T, "Fisher": period.fisher, "lower and upper bound": bounds, **period.others})
        return rows

    def peaks(self, name: str) -> list[tuple[float, float]]:
        """The highest peaks (period, times the median) of one spectrum, of periods that the probe has."""
        return self.spectra[name].peaks(self.count, LEAST, longest=self.longest)

    def figure(self) -> "Figure":
        """The spectrum as a line with its peaks named, those of the controls, and kappa beside the band of shuffles."""
        colours = {name: "0.6" if name == SHUFFLED else COLOURS[i] for i, name in enumerate(self.spectra)}
        with drawing() as plt:
            layout = [["own", "kappa"], ["controls", "kappa"]]
            figure, panels = plt.subplot_mosaic(
                layout, figsize=(10.5, 4.6), width_ratios=(1.5, 1), height_ratios=(1.3, 1), layout="constrained"
            )
            for name, one in reversed(self.spectra.items()):
                axes = panels["own" if name == self.system else "controls"]
                one.draw(axes, () if name == SHUFFLED else self.peaks(name), colour=colours[name], label=name)
            for name, probe in self.probes.items():
                if name != SHUFFLED:
                    probe.draw(panels["kappa"], colour=colours[name], hollow=name != self.system, label=name)
            panels["own"].set_title(f"Are there periods? Spectrum of {self.system}")
            panels["own"].set_xlabel("")
            panels["controls"].set_title("The same of its controls")
            panels["controls"].legend(loc="upper right", fontsize=8, ncols=2)
            panels["kappa"].set_title("Is n mod T read? Bold: believed")
            for text, (word, _) in zip(panels["kappa"].get_xticklabels(), self.verdicts().values(), strict=True):
                text.set_weight("bold" if word == BELIEVE else "normal")
            handles = panels["kappa"].get_legend_handles_labels()
            panels["kappa"].legend(*handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=8, ncols=3)
            figure.suptitle(f"{self.system}: the numbers 0..{self.numbers - 1}")
        return figure
