"""Trained adders, by how a number is written: what their embeddings hold, and a picture of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.figures import COLOURS, drawing
from numsym.programs import CUTS
from numsym.results import Mean, Result, number
from numsym.studies.spikes import Spike
from numsym.training.loop import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE = "one"
ROUTES = (ONE, *CUTS)
"""How a number is written: in one token, or cut (`numsym.tasks.WrittenAdditionTask`)."""

NOTES = """\
Values side by side are of one network each, in the order of the seeds. T=: Cohen's
kappa x 100 of a linear probe of n mod T on held-out numbers; phi_T: the share of
the embeddings' power at the period T and its harmonics, all frequencies but zero
(noise has about (T - 1) / N), the mean over seeds with a 95 % t-interval. right: %
of trials of held-out pairs with every token of the answer right. ablated: right
without the subspace of period T at the last token of a; moved: turning it by s
moves the answer by s mod T; unwritten: right without it in the numbers'
unembeddings; random: of random subspaces of the same rank. idle: ablating costs
less than two standard errors; used: more than random subspaces cost."""

SHARES = ("right", "ablated", "random_ablated", "moved", "random_moved", "unwritten", "random_unwritten")
"""What is told of a period in per cent."""


@dataclass(frozen=True)
class Route:
    """A trained adder.

    Attributes:
        cut: how its numbers are written.
        architecture: of the network.
        optimiser: "muon", "adamw", or "adamw xN" with N times the steps.
        seed: of its weights and trials.
        records: of its training, with kappa and Phi at each check.
        peaks: period and height (times the median) of the highest peaks of its embeddings' spectrum in the end.
        spikes: of each period whether the network uses it; of networks that pyvene knows, so no GRU or LSTM.
    """

    cut: str
    architecture: str
    optimiser: str
    seed: int
    records: list[Record]
    peaks: list[tuple[float, float]]
    spikes: list[Spike] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class Routes(Result):
    """Adders, in the order of their training.

    Attributes:
        base: how many numbers have a token.
        runs: the adders.
    """

    base: int
    runs: list[Route]

    name: ClassVar[str] = "routes"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What is compared."""
        return f"embeddings of the numbers 0..{self.base - 1} after addition: kappa x 100"

    def groups(self) -> dict[tuple[str, str, str], list[Route]]:
        """The adders that differ in their seed alone, by cut, architecture and optimiser."""
        made: dict[tuple[str, str, str], list[Route]] = {}
        for one in self.runs:
            made.setdefault((one.cut, one.architecture, one.optimiser), []).append(one)
        return made

    def rows(self) -> list[dict[str, Any]]:
        """A row a cut, architecture and optimiser: means over seeds of the last records."""
        rows = []
        for (cut, architecture, optimiser), group in self.groups().items():
            last = [one.records[-1] for one in group]
            measured = [key for key in last[0] if key not in ("step", "loss", "digits", "accuracy")]
            means: dict[str, Mean] = {key: Mean.of([float(one[key]) for one in last]) for key in measured}
            named: dict[str, Any] = {"cut": cut, "network": architecture, "optimiser": optimiser, "seeds": len(group)}
            rows.append({**named, "steps": last[0]["step"], **means})
        return rows

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What is learned and kappa, both by seed; the power at decimal periods, the peaks, and what is used."""
        kappa, power, peaks, used = [], [], [], []
        for row, group in zip(self.rows(), self.groups().values(), strict=True):
            named: dict[str, Any] = {key: row[key] for key in ("cut", "network", "optimiser")}
            last = [one.records[-1] for one in group]
            learned = {"right, %": _by_seed(f"{100 * one['test_accuracy']:.1f}" for one in last)}
            learned["steps"] = _by_seed(str(one["step"]) for one in last)
            found = [key for key in last[0] if key.startswith("kappa_")]
            told = {key.replace("kappa_", "T="): _by_seed(str(round(one[key])) for one in last) for key in found}
            kappa.append({**named, **learned, **told})
            shown: dict[str, Any] = {key: row[key] for key in ("phi_2", "phi_5", "phi_10") if key in row}
            power.append({**named, "seeds": row["seeds"], **shown})
            peaks += [{**named, "seed": one.seed, "period (x median)": _peaks(one, 4)} for one in group]
            used += [{**named, **_told(spikes)} for spikes in zip(*(one.spikes for one in group), strict=True)]
        made = {self.title: kappa, "shares of power": power, "peaks of the spectrum": peaks}
        return {**made, "the last token of a, turned and ablated": used} if used else made

    def figure(self) -> "Figure":
        """Kappa by period in the end, a point a seed; and kappa at 10 and what is right by step: a row a network."""
        networks = list(dict.fromkeys((one.architecture, one.optimiser) for one in self.runs))
        with drawing() as plt:
            size = (11.5, 2.6 * len(networks) + 0.8)
            figure, grid = plt.subplots(
                len(networks), 3, figsize=size, squeeze=False, width_ratios=(1.5, 1, 1), layout="constrained"
            )
            for line, network in zip(grid, networks, strict=True):
                _draw(line, [one for one in self.runs if (one.architecture, one.optimiser) == network])
                line[0].set_title(", ".join(network), fontsize=9)
            for axes, label in zip(grid[-1], ("period T", "training step", "training step"), strict=True):
                axes.set_xlabel(label)
            figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
            figure.suptitle(f"Addition by how a number is written: embeddings of 0..{self.base - 1}")
        return figure


def _draw(axes: Any, runs: Sequence[Route]) -> None:
    """Three panels of one network: kappa by period, kappa at the longest of 10 by step, right trials by step."""
    cuts = list(dict.fromkeys(one.cut for one in runs))
    periods = [int(key.removeprefix("kappa_")) for key in runs[0].records[0] if key.startswith("kappa_")]
    ten = max(T for T in periods if T <= 10)
    for one in runs:
        place = cuts.index(one.cut)
        colour, label = COLOURS[ROUTES.index(one.cut) % len(COLOURS)], one.cut.replace("_", ", ")
        first = one.seed == next(other.seed for other in runs if other.cut == one.cut)
        x = [i + 0.14 * (place - (len(cuts) - 1) / 2) for i in range(len(periods))]
        kappa = [one.records[-1][f"kappa_{T}"] for T in periods]
        axes[0].plot(x, kappa, "o", markersize=3, color=colour, label=label if first else None)
        steps = [record["step"] for record in one.records]
        for panel, key in ((axes[1], f"kappa_{ten}"), (axes[2], "test_accuracy")):
            panel.plot(steps, [record[key] for record in one.records], color=colour, linewidth=1.2)
    axes[0].set_xticks(range(len(periods)), periods)
    axes[0].axhline(0, color="0.5", linewidth=0.8)
    axes[0].set_ylabel("kappa x 100")
    axes[1].set_title(f"kappa x 100, T = {ten}", fontsize=9)
    axes[2].set_title("held-out trials right", fontsize=9)


def _by_seed(values: Iterable[str]) -> str:
    return ", ".join(values)


def _told(spikes: Sequence[Spike]) -> dict[str, Any]:
    """One period in networks that differ in their seed alone."""
    told: dict[str, Any] = {"T": spikes[0].period, "rank": spikes[0].rank}
    told["power, %"] = _by_seed(number(100 * one.power) for one in spikes)
    told |= {key: _by_seed(f"{100 * getattr(one, key).value:.0f}" for one in spikes) for key in SHARES}
    return told | {key: _by_seed(getattr(one, key) for one in spikes) for key in ("read", "written")}


def _peaks(one: Route, most: int | None = None) -> str:
    return ", ".join(f"{period:.3g} ({height:.1f})" for period, height in one.peaks[:most]) or "none"
