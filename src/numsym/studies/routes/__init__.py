"""Whether addition makes number embeddings periodic, by how a number is cut into tokens ([F], addition)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.models.adders import ARCHITECTURES, build_adder, number_rows
from numsym.probes import spectrum
from numsym.probes.packaged import check_packaged, glove
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.periods import Periods
from numsym.studies.routes.result import ONE, ROUTES, Route, Routes
from numsym.studies.spikes import spikes_of
from numsym.tasks import AdditionTask, WrittenAdditionTask
from numsym.training import AdderTraining, train_adder
from numsym.training.optimisers import NAMES

STARTS = ("random", GLOVE := "glove")
WIDE = 50
"""Dimensions of GloVe 6B's vectors."""

DECIMAL = (2, 5, 10)
"""Periods whose use is tested: those that the last digit decides."""


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
    training: AdderTraining = AdderTraining(steps=4000, batch_size=256, learning_rate=8e-3, checks=12, stop_at=0.995),
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
    _check({"cut": cuts, "architecture": architectures, "start": starts, "optimiser": optimisers}, base, width)
    least = {"seeds": 1, "adamw_seeds": 1, "longer": 1, "held_out": 2, "trials": 10}
    for (kind, low), value in zip(least.items(), (seeds, adamw_seeds, longer, held_out, trials), strict=True):
        check_at_least(kind, value, low)
    measured = Periods(base, max_period, folds, C)
    tasks = {cut: task_of(cut, base, held_out) for cut in cuts}
    repeats = [
        (name, seed + i, times) for name in optimisers for times, i in _repeats(name, seeds, adamw_seeds, longer)
    ]
    made = []
    for architecture, start, (optimiser, own, times), cut in product(architectures, starts, repeats, cuts):
        settings = {**asdict(training), "steps": training.steps * times}
        if optimiser == "adamw":
            settings["learning_rate"] = adamw_rate
        arm = Arm(cut, architecture, start, optimiser, times, own)
        made.append(arm.trained(tasks[cut], width, settings, measured, trials, device, run))
    return run.show(Routes(base, made))


def _check(named: Mapping[str, tuple[str, ...]], base: int, width: int) -> None:
    """Raise `InvalidArgumentError` unless there are cuts, networks and the rest, and they can be trained."""
    known = {"cut": ROUTES, "architecture": ARCHITECTURES, "start": STARTS, "optimiser": NAMES}
    for kind, names in named.items():
        check_at_least(f"number of {kind}s", len(names), 1)
        for name in names:
            check_name(kind, name, known[kind])
    if base not in (10, 100, 1000):
        raise InvalidArgumentError(f"base={base!r} is not allowed: numbers are cut by decimal digits; 10, 100 or 1000")
    if GLOVE in named["start"]:
        check_packaged("GloVe 6B")
        check_at_least("width", width, WIDE)


@dataclass(frozen=True)
class Arm:
    """One adder that is trained: how its numbers are written, what it is, and how long it learns.

    Attributes:
        cut, architecture, start, optimiser, seed: see `routes`.
        times: how many times the steps.
    """

    cut: str
    architecture: str
    start: str
    optimiser: str
    times: int
    seed: int

    def trained(
        self,
        task: AdditionTask | WrittenAdditionTask,
        width: int,
        settings: dict[str, Any],
        measured: Periods,
        trials: int,
        device: str | torch.device,
        run: NoRun,
    ) -> Route:
        """Train it, or read it from the run, and measure it."""
        label = self.optimiser if self.times == 1 else f"{self.optimiser} x{self.times}"
        network = self.architecture if self.start == STARTS[0] else f"{self.architecture} from {self.start}"
        model = build_adder(self.architecture, task, width=width, spread=width**-0.5, seed=self.seed)
        if self.start == GLOVE:
            begin_with(model, glove(measured.base).embeddings)
        options: dict[str, Any] = {"optimiser": self.optimiser, "seed": self.seed, "run": run}
        options |= {"measure": measured.of, "asked": asdict(measured)}
        part = f"runs/{self.cut}_{network.replace(' ', '_')}_{label.replace(' ', '_')}_{self.seed}"
        log = train_adder(model.to(device), task, settings, name=part, **options)
        peaks = spectrum(number_rows(model, measured.base).cpu()).peaks(5, 2.0)
        known = self.architecture not in ("gru", "lstm")
        periods = [T for T in DECIMAL if measured.base >= 2 * T] if known else []
        used = spikes_of(model, task, periods, trials=trials, seed=self.seed)
        return Route(self.cut, network, label, self.seed, log.records, peaks, used)


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
