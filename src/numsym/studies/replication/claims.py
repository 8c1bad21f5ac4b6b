"""What [N] finds, as criteria that a replication's runs meet or do not.

Every claim speaks of cells: a network, a task, a variable and an alignment function, with its mean over seeds. There is
one rule for a verdict: a claim is *reproduced* if every cell
meets its criterion, *not reproduced* if none does, *different* if some do, and *not measured* if there is no cell.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from numsym.shares import Mean, Share
from numsym.studies.collect import Run

HIGH = 0.90
"""IIA from which an alignment counts as high."""
FAILS = 0.50
"""IIA below which one counts as failed."""
WORSE = 0.05
"""How much lower counts as less."""
AS_HIGH = 0.02
"""How much lower still counts as at least as high: about the 95 % half-width of three times 1,000 pairs."""
RESCUED = 0.20
"""How much higher counts as a rescue."""
BADLY = 0.30
"""How much lower than the learned map single neurons do badly."""
UNCHANGED = 0.10
"""How far from no exchange an exchange may be that changes nothing."""
IN_STEP = 0.5
"""Rank correlation from which IIA rises with accuracy."""

UP_DOWN = ("count", "phase", "full")
FUNCTIONS = ("orthogonal", "linear")
CUMULATIVE = ("up_down", "up_up")


@dataclass(frozen=True)
class Cell:
    """One kind of alignment in one kind of network, over seeds.

    Attributes:
        network, task, program, variable, function: what it is.
        alignments: one a seed, as `results.json` has them.
    """

    network: str
    task: str
    program: str
    variable: str
    function: str
    alignments: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """In words."""
        kind = {"orthogonal": "DAS", "linear": "LAF"}.get(self.function, self.function)
        return f"{self.network}, {self.task}, {self.variable}, {kind}"

    @property
    def iia(self) -> Mean:
        """IIA on pairs of training numbers."""
        return Mean.of([one["test"]["iia"]["value"] for one in self.alignments])

    def control(self, name: str) -> float | None:
        """The mean of a control over the seeds that have it."""
        values = [one["controls"][name]["value"] for one in self.alignments if name in one["controls"]]
        return fmean(values) if values else None

    def graded(self, by: str) -> dict[int, Share]:
        """IIA by count or difference, all seeds' pairs together."""
        found: dict[int, list[Share]] = {}
        for one in self.alignments:
            for key, share in one["test"][by].items():
                found.setdefault(int(key), []).append(Share(**share))
        return {key: Share.joined(found[key]) for key in sorted(found)}


@dataclass(frozen=True)
class Claimed:
    """What the runs say to one claim.

    Attributes:
        claim: as [N] has it.
        criterion: of one cell.
        verdict: "reproduced", "not reproduced", "different" or "not measured".
        numbers: what it rests on.
    """

    claim: str
    criterion: str
    verdict: str
    numbers: str


Judged = tuple[str, bool, float]
"""A cell's name, whether it meets the criterion, and the number judged."""


def cells(runs: Sequence[Run]) -> list[Cell]:
    """The cells of finished runs of `experiment=replicate`."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in runs:
        for one in run.results.get("alignments", {}).values() if "network" in run.config else ():
            variable = ", ".join(one["variables"])
            key = (run.config["network"], run.config["tasks.name"], one["program"], variable, one["alignment"])
            found.setdefault(key, []).append(one)
    names = ("network", "task", "program", "variable", "function")
    return [Cell(**dict(zip(names, key, strict=True)), alignments=tuple(found[key])) for key in found]


def verdicts(runs: Sequence[Run]) -> list[Claimed]:
    """The verdict on each claim of [N] that runs can speak to."""
    # [N] has these two functions; what others say is in `needed`.
    found = [cell for cell in cells(runs) if cell.function in FUNCTIONS]
    made = [_verdict(*claim, found) for claim in CLAIMS]
    return [*made[:5], _over_training(runs), *made[5:]]


def _verdict(claim: str, criterion: str, judge: Callable[[list[Cell]], Iterator[Judged]], found: list[Cell]) -> Claimed:
    return decided(claim, criterion, list(judge(found)))


def decided(claim: str, criterion: str, judged: list[Judged], scale: float = 100.0) -> Claimed:
    """The verdict on a claim from its cells, whose numbers are shown times `scale`."""
    if not judged:
        return Claimed(claim, criterion, "not measured", "no such runs")
    met = [one for one in judged if one[1]]
    verdict = "reproduced" if len(met) == len(judged) else "different" if met else "not reproduced"
    ends = [min(judged, key=lambda one: one[2]), max(judged, key=lambda one: one[2])]
    low, high = (f"{scale * value:.3g} ({name})" for name, _, value in ends)
    return Claimed(claim, criterion, verdict, f"{len(met)} of {len(judged)} cells; from {low} to {high}")


def _of(found: list[Cell], prefix: str, variables: Sequence[str] = UP_DOWN, program: str = "up_down") -> list[Cell]:
    return [c for c in found if c.network.startswith(prefix) and c.program == program and c.variable in variables]


def _other(found: list[Cell], cell: Cell, **changes: str) -> Cell | None:
    """The cell that differs from one in these respects only."""
    names = ("network", "task", "program", "variable", "function")
    wanted = {name: getattr(cell, name) for name in names} | changes
    return next((c for c in found if all(getattr(c, name) == wanted[name] for name in names)), None)


def _high(found: list[Cell]) -> Iterator[Judged]:
    for cell in _of(found, "gru"):
        if cell.task != "same_object" and cell.function == "linear":
            yield cell.name, cell.iia.value >= HIGH, cell.iia.value


def _same_less(found: list[Cell]) -> Iterator[Judged]:
    for cell in _of(found, "gru"):
        others = [_other(found, cell, task=task) for task in ("multi_object", "single_object")]
        if cell.task == "same_object" and None not in others:
            gap = min(other.iia.value for other in others if other) - cell.iia.value
            yield cell.name, gap >= WORSE, gap


def _pairs(found: list[Cell]) -> Iterator[tuple[Cell, Cell]]:
    for laf in found:
        das = _other(found, laf, function="orthogonal")
        if laf.function == "linear" and laf.program in CUMULATIVE and "transformer" not in laf.network and das:
            yield laf, das


def _laf_as_high(found: list[Cell]) -> Iterator[Judged]:
    for laf, das in _pairs(found):
        gap = laf.iia.value - das.iia.value
        yield laf.name, gap >= -AS_HIGH, gap


def _laf_rescues(found: list[Cell]) -> Iterator[Judged]:
    for laf, das in _pairs(found):
        gap = laf.iia.value - das.iia.value
        if das.iia.value < FAILS:
            yield laf.name, gap >= RESCUED, gap


def _neurons_badly(found: list[Cell]) -> Iterator[Judged]:
    for cell in _of(found, "gru"):
        neurons = cell.control("neurons")
        if cell.iia.value >= HIGH and neurons is not None:
            gap = cell.iia.value - neurons
            yield cell.name, gap >= BADLY, gap


def _graded(by: str) -> Callable[[list[Cell]], Iterator[Judged]]:
    def judge(found: list[Cell]) -> Iterator[Judged]:
        for cell in _of(found, "gru", ["count"]):
            shares = list(cell.graded(by).values())
            third = len(shares) // 3
            if cell.task != "same_object" and third:
                low, high = Share.joined(shares[:third]), Share.joined(shares[-third:])
                yield cell.name, high.high < low.low, low.value - high.value

    return judge


def _transformers_fail(found: list[Cell]) -> Iterator[Judged]:
    for cell in _of(found, "transformer", ["count", "full"]):
        yield cell.name, cell.iia.value <= FAILS, cell.iia.value


def _transformers_fit(found: list[Cell]) -> Iterator[Judged]:
    for cell in found:
        changed = [one["test"]["changed"]["value"] for one in cell.alignments if one["test"].get("changed")]
        if cell.network.startswith("transformer") and cell.program == "ctx_distr" and changed:
            yield cell.name, fmean(changed) >= HIGH, fmean(changed)


def _residual_idle(found: list[Cell]) -> Iterator[Judged]:
    for cell in _of(found, "transformer", ["full"]):
        floor, ceiling = cell.control("floor"), cell.control("ceiling")
        if cell.function == "linear" and floor is not None and ceiling is not None:
            yield f"{cell.network}, {cell.task}", abs(ceiling - floor) <= UNCHANGED, ceiling - floor


def _over_training(runs: Sequence[Run]) -> Claimed:
    judged = []
    for run in runs:
        if run.results.get("axis") == "optimiser steps":
            for name, rho in run.results["correlation"].items():
                judged.append(
                    (f"{run.config.get('tasks.name')}, {name}", rho is not None and rho >= IN_STEP, rho or 0.0)
                )
    criterion = f"Spearman's rank correlation of IIA and trial accuracy over checkpoints at least {IN_STEP}"
    return decided("IIA rises with training in step with task accuracy", criterion, judged, scale=1.0)


CLAIMS = (
    (
        "GRUs on Multi-Object and Single-Object align with Up-Down at high IIA",
        f"LAF: count, phase and full each at least {HIGH:.0%}",
        _high,
    ),
    (
        "Same-Object GRUs less",
        f"at least {WORSE * 100:.0f} points below both other tasks: count, phase and full, DAS and LAF each",
        _same_less,
    ),
    (
        "LAF is at least as high as OAF",
        f"recurrent networks, every variable: LAF at most {AS_HIGH * 100:.0f} points below DAS",
        _laf_as_high,
    ),
    (
        "LAF rescues cases where OAF fails",
        f"where DAS is below {FAILS:.0%}: LAF at least {RESCUED * 100:.0f} points higher",
        _laf_rescues,
    ),
    (
        "Exchanging single neurons does badly",
        f"GRUs, where a map reaches {HIGH:.0%}: k single neurons at least {BADLY * 100:.0f} points lower",
        _neurons_badly,
    ),
    (
        "IIA is lower for larger counts (of the base trial)",
        "GRUs, count, Multi- and Single-Object: upper third of the counts below the lower third, intervals apart",
        _graded("by_base_count"),
    ),
    (
        "IIA is lower for larger counts (of the source trial)",
        "the same by the source's count",
        _graded("by_source_count"),
    ),
    (
        "IIA is lower for larger count differences",
        "the same by the difference of source and base value",
        _graded("by_difference"),
    ),
    (
        "Shallow transformers fail Up-Down",
        f"count and full, DAS and LAF: at most {FAILS:.0%}",
        _transformers_fail,
    ),
    (
        "Shallow transformers fit Ctx-Distr",
        f"DAS and LAF at the embeddings, on the pairs whose exchange changes a value: at least {HIGH:.0%}; Same-Object "
        "has one token for both values, so nothing there can be exchanged",
        _transformers_fit,
    ),
    (
        "Replacing the whole residual state at one position does not change what follows",
        f"whole-state exchange within {UNCHANGED * 100:.0f} points of no exchange, against Up-Down's counterfactual",
        _residual_idle,
    ),
)
"""Claim, criterion of a cell, and what judges the cells; the numbers judged are IIA or gaps in IIA."""
