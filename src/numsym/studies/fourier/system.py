"""One table of number embeddings, with its controls: spectrum and probe, and a figure that one can read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.figures import COLOURS, drawing
from numsym.probes import ResidueResult, Spectrum
from numsym.probes.spectrum import LEAST
from numsym.results import Mean, Result

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
    """

    spectra: dict[str, Spectrum]
    probes: dict[str, ResidueResult]
    numbers: int
    longest: int
    count: int

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
        """A row a period: kappa, and that of the controls."""
        own, others = (
            self.probes[self.system],
            {n: p for n, p in self.probes.items() if n not in (self.system, SHUFFLED)},
        )
        return [
            {
                "system": self.system,
                **{key: row[key] for key in ("T", "kappa", "shuffled")},
                **{
                    name: Mean(p.kappa[row["T"]], *p.kappa_interval[row["T"]], row["kappa"].n)
                    for name, p in others.items()
                },
            }
            for row in own.rows()
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Kappa, and the peaks of each spectrum."""
        kappa = [{key: value for key, value in row.items() if key != "system"} for row in self.rows()]
        peaks = [
            {
                "spectrum of": name,
                "peaks": ", ".join(f"{T:.3g} ({height:.1f})" for T, height in self.peaks(name)) or "none",
            }
            for name in self.spectra
        ]
        return {self.title: kappa, f"{self.system}, peaks up to a period of {self.longest}": peaks}

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
            panels["kappa"].set_title("Is n mod T read? Probe of held-out numbers")
            handles = panels["kappa"].get_legend_handles_labels()
            panels["kappa"].legend(*handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=8, ncols=3)
            figure.suptitle(f"{self.system}: the numbers 0..{self.numbers - 1}")
        return figure
