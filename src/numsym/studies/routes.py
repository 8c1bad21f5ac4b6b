"""Whether addition makes number embeddings periodic, by how a number is cut into tokens ([F], addition)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.figures import COLOURS, drawing
from numsym.models.adders import ARCHITECTURES, build_adder, number_rows
from numsym.probes import spectrum
from numsym.probes.packaged import check_packaged, glove
from numsym.programs import CUTS
from numsym.results import Mean, Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.periods import Periods
from numsym.studies.spikes import Spike, spikes_of
from numsym.tasks import AdditionTask, WrittenAdditionTask
from numsym.training import AdderTraining, train_adder
from numsym.training.loop import Record
from numsym.training.optimisers import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE = "one"
ROUTES = (ONE, *CUTS)
"""How a number is written: in one token, or cut (`numsym.tasks.WrittenAdditionTask`)."""

STARTS = ("random", GLOVE := "glove")
WIDE = 50
"""Dimensions of GloVe 6B's vectors."""

DECIMAL = (2, 5, 10)
"""Periods whose use is tested: those that the last digit decides."""

NOTES = """\
T=: Cohen's kappa x 100 of a linear probe of n mod T on held-out numbers; phi_T:
the share of the embeddings' power at the period T and its harmonics, all
frequencies but zero (noise has about (T - 1) / N). right: trials of held-out
pairs with every token of the answer right. Means over seeds, with a 95 %
t-interval where there are several. ablated: right without the subspace of period
T at the last token of a; moved: turning it by s moves the answer by s mod T;
random: of random subspaces of the same rank. idle: ablating costs less than two
standard errors; used: more than random subspaces cost."""


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
        """Kappa in whole numbers with what is learned, the power at the periods of decimal numbers, and the peaks."""
        kappa, power, peaks, used = [], [], [], []
        for row, group in zip(self.rows(), self.groups().values(), strict=True):
            named: dict[str, Any] = {key: row[key] for key in ("cut", "network", "optimiser")}
            found = {key: str(round(mean.value)) for key, mean in row.items() if key.startswith("kappa_")}
            told: dict[str, Any] = {key.replace("kappa_", "T="): text for key, text in found.items()}
            kappa.append({**named, "right": row["test_accuracy"], **told})
            shown: dict[str, Any] = {key: row[key] for key in ("phi_2", "phi_5", "phi_10") if key in row}
            power.append({**named, "seeds": row["seeds"], "steps": row["steps"], **shown})
            peaks += [{**named, "seed": one.seed, "period (x median)": _peaks(one, 4)} for one in group]
            used += [{**named, "seed": one.seed, **_told(spike)} for one in group for spike in one.spikes]
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


def _told(spike: Spike) -> dict[str, Any]:
    told = {key: value for key, value in vars(spike).items() if key != "period"}
    return {"T": spike.period, **told}


def _peaks(one: Route, most: int | None = None) -> str:
    return ", ".join(f"{period:.3g} ({height:.1f})" for period, height in one.peaks[:most]) or "none"


@study
def routes(
    *,
    base: int = 100,
    cuts: tuple[str, ...] = ("one", "left", "right", "left_padded", "right_padded"),
    architectures: tuple[str, ...] = ("transformer", "mamba2"),
    starts: tuple[str, ...] = ("random",),
    optimisers: tuple[str, ...] = ("muon", "adamw"),
    seeds: int = 3,
    adamw_seeds: int = 1,
    longer: int = 2,
    width: int = 64,
    max_period: int = 10,
    folds: int = 10,
    C: float | int = 0.01,
    held_out: int = 10,
    trials: int = 500,
    adamw_rate: float | int = 2e-3,
    training: AdderTraining = AdderTraining(steps=3000, batch_size=128, learning_rate=8e-3, checks=12, stop_at=0.995),
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> Routes:
    """Addition with numbers in one token and cut into tokens: do the number embeddings become periodic?

    Args:
        base: how many numbers have a token of their own: 10, 100 or 1000. Numbers that are cut have twice its digits.
        cuts: "one" (one token a number, sums below the base), "left", "right", "left_padded", "right_padded".
        architectures: "transformer", "gru", "lstm", "mamba2", "gated_deltanet".
        starts: of the numbers' embeddings: "random"; "glove": in the first 50 dimensions GloVe 6B's (the extra `demo`).
        optimisers: "muon", "adamw"; AdamW trains once as long as Muon, and once `longer` times as long.
        seeds: how many networks Muon trains of each kind, the first from `seed`.
        adamw_seeds: how many AdamW does.
        longer: what AdamW's second training multiplies the steps with; 1 leaves it out.
        width: d of the models; weights start with a standard deviation of width^-0.5.
        max_period: kappa is measured at 2..max_period, and at 20, 25, 50 and so on with 4 folds where each residue has
            as many numbers.
        folds: of the probe.
        C: inverse penalty of the probe.
        held_out: one pair in so many is kept out of training, and tested; at least 2.
        trials: held-out ones on which it is tested which periods a network uses.
        adamw_rate: the learning rate of AdamW, where it trains everything.
        training: what all of them share, with the learning rate of Muon's runs; it ends early once so many trials of a
            twelfth of it are right.
        seed: of the weights and the trials.
        device: where they are trained.
        run: where the trained adders are kept and the result is shown.

    Raises:
        InvalidArgumentError: a number is out of range, or a name is unknown.
    """
    known = {"cut": ROUTES, "architecture": ARCHITECTURES, "optimiser": NAMES}
    for kind, names in zip(known, (cuts, architectures, optimisers), strict=True):
        check_at_least(f"number of {kind}s", len(names), 1)
        for name in names:
            check_name(kind, name, known[kind])
    for kind, value in {"seeds": seeds, "adamw_seeds": adamw_seeds, "longer": longer}.items():
        check_at_least(kind, value, 1)
    check_at_least("held_out", held_out, 2)
    if base not in (10, 100, 1000):
        raise InvalidArgumentError(f"base={base!r} is not allowed: numbers are cut by decimal digits; 10, 100 or 1000")
    check_at_least("number of starts", len(starts), 1)
    for name in starts:
        check_name("start", name, STARTS)
    if GLOVE in starts:
        check_packaged("GloVe 6B")
        check_at_least("width", width, WIDE)
    check_at_least("trials", trials, 10)
    measured = Periods(base, max_period, folds, C)
    tasks = {cut: task_of(cut, base, held_out) for cut in cuts}
    arms = [(name, seed + i, times) for name in optimisers for times, i in _repeats(name, seeds, adamw_seeds, longer)]
    made = []
    for architecture, start, (optimiser, own, times), cut in product(architectures, starts, arms, cuts):
        label = optimiser if times == 1 else f"{optimiser} x{times}"
        model = build_adder(architecture, tasks[cut], width=width, spread=width**-0.5, seed=own)
        network = architecture if start == STARTS[0] else f"{architecture} from {start}"
        if start == GLOVE:
            begin_with(model, glove(base).embeddings)
        options: dict[str, Any] = {"optimiser": optimiser, "seed": own, "run": run}
        options |= {"measure": measured.of, "asked": asdict(measured)}
        part = f"runs/{cut}_{network.replace(' ', '_')}_{label.replace(' ', '_')}_{own}"
        settings = {**asdict(training), "steps": training.steps * times}
        if optimiser == "adamw":
            settings["learning_rate"] = adamw_rate
        log = train_adder(model.to(device), tasks[cut], settings, name=part, **options)
        peaks = spectrum(number_rows(model, base).cpu()).peaks(5, 2.0)
        periods = [T for T in DECIMAL if base >= 2 * T] if architecture not in ("gru", "lstm") else []
        used = spikes_of(model, tasks[cut], periods, trials=trials, seed=own)
        made.append(Route(cut, network, label, own, log.records, peaks, used))
    return run.show(Routes(base, made))


def begin_with(model: nn.Module, rows: Float[Tensor, "number hidden"]) -> None:
    """Put vectors into the embeddings of the numbers, centred and as large as what is there.

    Args:
        model: an adder with embeddings at least as wide; the dimensions beyond stay as they are.
        rows: row n for the number n.
    """
    weight = model.get_input_embeddings().weight  # type: ignore[operator]
    centred = rows - rows.mean(dim=0)
    with torch.no_grad():
        weight[: len(rows), : rows.shape[1]] = centred * (weight.std() / centred.std())


def task_of(cut: str, base: int, held_out: int) -> AdditionTask | WrittenAdditionTask:
    """Addition of numbers in one token, or of numbers of two tokens cut so that a longer sum shows the cut."""
    if cut == ONE:
        return AdditionTask(base=base, digits=1, held_out=held_out)
    chunk = len(str(base)) - 1
    return WrittenAdditionTask(digits=2 * chunk, chunk=chunk, cut=cut, held_out=held_out)


def _repeats(optimiser: str, seeds: int, adamw_seeds: int, longer: int) -> list[tuple[int, int]]:
    """How many times the steps, and which seed after the first, of each training by an optimiser."""
    if optimiser == "muon":
        return [(1, i) for i in range(seeds)]
    return [(times, i) for times in dict.fromkeys((1, longer)) for i in range(adamw_seeds)]
