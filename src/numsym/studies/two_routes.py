"""Whether addition makes number embeddings periodic, with a sum in one token and in several ([F], addition)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import check_at_least, check_name
from numsym.figures import COLOURS, drawing
from numsym.models.adders import ARCHITECTURES, build_adder, number_rows
from numsym.probes import period_power, residue, spectrum
from numsym.probes.inputs import check_periods
from numsym.probes.residue import check_settings
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks.addition import AdditionTask
from numsym.training import AdderTraining, train_adder
from numsym.training.loop import Record
from numsym.training.optimisers import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUTES = {"single": 1, "multi": 3}
"""Tokens a number, by route: [F] compares one with three."""

SHOWN = ("accuracy", "phi_2", "phi_5", "phi_10")

NOTES = """\
T=: Cohen's kappa x 100 of a linear probe of n mod T on held-out numbers.
phi_T: the share of the embeddings' power at the period T and its harmonics, all
frequencies but zero; noise has about (T - 1) / N."""


@dataclass(frozen=True)
class Route:
    """A trained adder of one route, architecture and optimiser.

    Attributes:
        route: "single" or "multi".
        records: of its training, with kappa and Phi at each check.
        peaks: period and height (times the median) of the highest peaks of its embeddings' spectrum in the end.
    """

    route: str
    records: list[Record]
    peaks: list[tuple[float, float]]


@dataclass(frozen=True, repr=False)
class TwoRoutes(Result):
    """Adders by name, "route architecture, optimiser"."""

    runs: dict[str, Route]

    name: ClassVar[str] = "two_routes"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What is compared."""
        return "number embeddings after addition in one token and in three: kappa x 100"

    def rows(self) -> list[dict[str, Any]]:
        """A row an adder: the last record of its training, and the peaks of its spectrum."""
        return [{"run": name, **one.records[-1], "peaks": _peaks(one)} for name, one in self.runs.items()]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Kappa in whole numbers; what is learned, with the power at the periods of decimal numbers; and the peaks."""
        kappa, power, peaks = [], [], []
        for name, one in self.runs.items():
            last = one.records[-1]
            found = {key.replace("kappa_", "T="): value for key, value in last.items() if key.startswith("kappa_")}
            kappa.append({"run": name, **{T: str(round(value)) for T, value in found.items()}})
            power.append({"run": name, **{key: last[key] for key in SHOWN if key in last}})
            peaks.append({"run": name, "period (x median)": _peaks(one, 4)})
        return {self.title: kappa, "trials right, and shares of power": power, "peaks of the spectrum": peaks}

    def figure(self) -> "Figure":
        """Accuracy, kappa and Phi by training step: a route by its dashes, a network by its colour."""
        measured = next(iter(self.runs.values())).records[0]
        longest = max(int(key.removeprefix("phi_")) for key in measured if key.startswith("phi_"))
        labels = {
            "accuracy": "trials right",
            "kappa_2": "kappa x 100, T = 2",
            "kappa_5": "kappa x 100, T = 5",
            "phi_2": "share of power at period 2",
            "phi_10": "share of power at period 10 and harmonics",
            f"phi_{longest}": f"share of power at period {longest} and harmonics",
        }
        known = {key: label for key, label in labels.items() if key in measured}
        curves = {name: one.records for name, one in self.runs.items()}
        return by_step(curves, known, title="Addition in one token (dashed) and in three (solid)")


def _peaks(one: Route, most: int | None = None) -> str:
    return ", ".join(f"{period:.3g} ({height:.1f})" for period, height in one.peaks[:most]) or "none"


def by_step(curves: Mapping[str, Sequence[Record]], quantities: Mapping[str, str], *, title: str) -> "Figure":
    """Draw quantities by training step, one panel a quantity and one line a run.

    Args:
        curves: for each run, named "route network", its records, each with `step` and the quantities.
        quantities: key in the records -> label of the panel.
        title: of the figure.
    """
    columns = min(3, len(quantities))
    lines = math.ceil(len(quantities) / columns)
    networks = list(dict.fromkeys(run.partition(" ")[2] for run in curves))
    dashes: dict[str, Any] = {"single": (0, (3, 1.5)), "multi": "solid"}
    with drawing() as plt:
        size = (4 * columns, 2.7 * lines + 0.9)
        figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True, layout="constrained")
        figure.suptitle(title)
        for axes, (key, label) in zip(grid.flat, quantities.items(), strict=False):
            for run, records in curves.items():
                route, _, network = run.partition(" ")
                look = {
                    "color": COLOURS[networks.index(network) % len(COLOURS)],
                    "linestyle": dashes[route],
                    "label": run,
                }
                axes.plot([one["step"] for one in records], [one[key] for one in records], linewidth=1.4, **look)
            axes.set_title(label, fontsize=9)
        for i, axes in enumerate(grid.flat):
            axes.set_visible(i < len(quantities))
            if i + columns >= len(quantities):  # the lowest of its column
                axes.set_xlabel("training step")
                axes.tick_params(labelbottom=True)
        handles = grid[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


@study
def two_routes(
    *,
    base: int = 100,
    routes: tuple[str, ...] = ("single", "multi"),
    architectures: tuple[str, ...] = ("transformer", "gru", "lstm"),
    optimisers: tuple[str, ...] = ("adamw", "muon"),
    width: int = 128,
    max_period: int = 10,
    folds: int = 10,
    C: float | int = 0.01,
    training: AdderTraining = AdderTraining(),
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> TwoRoutes:
    """Addition in one token and in three: do the number embeddings become periodic?

    Args:
        base: digits are 0..base-1, one token each.
        routes: "single" (one token a number), "multi" (three).
        architectures: "transformer", "gru", "lstm".
        optimisers: "adamw", "muon".
        width: d of the models.
        max_period: kappa is measured at 2..max_period.
        folds: of the probe.
        C: inverse penalty of the probe.
        training: what all of them share.
        seed: of the weights and the trials.
        device: where they are trained.
        run: where the trained adders are kept and the result is shown.

    Raises:
        InvalidArgumentError: a number is out of range, or a name is unknown.
    """
    known = {"route": ROUTES, "architecture": ARCHITECTURES, "optimiser": NAMES}
    for kind, names in zip(known, (routes, architectures, optimisers), strict=True):
        check_at_least(f"number of {kind}s", len(names), 1)
        for name in names:
            check_name(kind, name, known[kind])
    measured = Periods(base, max_period, folds, C)
    runs = {}
    for architecture, optimiser, route in product(architectures, optimisers, routes):
        task = AdditionTask(base=base, digits=ROUTES[route])
        model = build_adder(architecture, task, width=width, seed=seed).to(device)
        options: dict[str, Any] = {"optimiser": optimiser, "seed": seed, "run": run}
        options |= {"measure": measured.of, "asked": asdict(measured)}
        log = train_adder(model, task, training, name=f"runs/{route}_{architecture}_{optimiser}", **options)
        peaks = spectrum(number_rows(model, base).cpu()).peaks(5, 2.0)
        runs[f"{route} {architecture}, {optimiser}"] = Route(route, log.records, peaks)
    return run.show(TwoRoutes(runs))


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
    def powers(self) -> list[int]:
        """The periods at which Phi is measured: those of kappa, and longer divisors of the base."""
        return self.probed + [T for T in range(self.max_period + 1, self.base // 2 + 1) if self.base % T == 0]

    def of(self, model: nn.Module) -> dict[str, float]:
        """Kappa and the share of Phi at each period, under the names of a record."""
        embeddings = number_rows(model, self.base)
        kappa, phi = residue(embeddings, self.probed, self.folds, C=self.C).kappa, shares(embeddings, self.powers)
        return {**{f"kappa_{T}": value for T, value in kappa.items()}, **{f"phi_{T}": p for T, p in phi.items()}}


def shares(embeddings: Float[Tensor, "number hidden"], periods: Sequence[int]) -> dict[int, float]:
    """Phi_T as a share of the power at all frequencies but zero.

    Noise has a share of about (T - 1) / N.
    """
    centred = embeddings - embeddings.mean(dim=0)
    total = float(centred.square().sum())
    return {T: period_power(centred, T) / total for T in periods}
