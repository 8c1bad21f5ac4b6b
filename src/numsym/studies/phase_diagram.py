"""The phase diagram of [P] (section 4.3) from runs of `modular_adder`: symmetricity against irrelevance, by alpha."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.errors import InvalidArgumentError, check_between
from numsym.figures import drawing
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.storage import read_json
from numsym.studies.catalog import study
from numsym.studies.modular_adder import METRICS, ModularAdder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("alpha", "hidden_size", "seed", "first_epoch_right", *METRICS[1:], "verdict")

SHORT = {
    "hidden_size": "width",
    "first_epoch_right": "epoch",
    "gradient_symmetricity": "symmetricity",
    "distance_irrelevance": "irrelevance",
}
"""Headings of the printed table, which fits a terminal."""


@dataclass(frozen=True, repr=False)
class PhaseDiagram(Result):
    """Many modular adders.

    Attributes:
        runs: a row of each, as `ModularAdder` has it.
        min_circularity: those below it are set apart: the other metrics presuppose circles.
    """

    runs: list[dict[str, Any]]
    min_circularity: float

    name: ClassVar[str] = "phase_diagram"
    notes: ClassVar[str] = "epoch: the first at which all held-out pairs are right."

    @property
    def title(self) -> str:
        """How many there are."""
        apart = sum(row["circularity"] < self.min_circularity for row in self.runs)
        return f"{len(self.runs)} modular adders, {apart} below circularity {self.min_circularity:g}"

    def rows(self) -> list[dict[str, Any]]:
        """A row a run, by alpha."""
        return [{name: row[name] for name in COLUMNS} for row in self.runs]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The same with short headings."""
        return {self.title: [{SHORT.get(name, name): value for name, value in row.items()} for row in self.rows()]}

    def figure(self) -> "Figure":
        """Gradient symmetricity against distance irrelevance, one point a run, coloured by alpha ([P] figure 6)."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        scale = ScalarMappable(Normalize(0, 1), "viridis")
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(5.4, 4.3), layout="constrained")
            for circular, marker, alpha in ((False, "x", 0.35), (True, "o", 1.0)):
                chosen = [row for row in self.runs if (row["circularity"] >= self.min_circularity) == circular]
                if not chosen:
                    continue
                x, y, colour = ([row[name] for row in chosen] for name in (*METRICS[2:0:-1], "alpha"))
                axes.scatter(x, y, c=colour, cmap=scale.cmap, norm=scale.norm, marker=marker, alpha=alpha)
                bound = f"{'at least' if circular else 'below'} {self.min_circularity:g}"
                axes.plot([], [], marker, color="0.4", label=f"circularity {bound} ({len(chosen)} runs)")
            axes.set(xlabel="distance irrelevance", ylabel="gradient symmetricity", xlim=(0, 1.02), ylim=(-0.05, 1.05))
            figure.colorbar(scale, ax=axes, label="attention alpha")
            axes.set_title(self.title, loc="left", fontsize=9)
            figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        return figure


@study
def phase_diagram(
    runs: str | Sequence[str], *, min_circularity: float | int = 0.95, run: NoRun = NO_RUN
) -> PhaseDiagram:
    """The phase diagram of [P] from runs of `modular_adder`, in experiment.runs=[FOLDER, ...].

    Args:
        runs: folders below which they lie, such as the folder of a sweep.
        min_circularity: runs below it are set apart.
        run: where the result is shown.

    Raises:
        InvalidArgumentError: no run is found, or one has no alpha.
    """
    check_between("min_circularity", min_circularity, 0, 1)
    rows = collected([runs] if isinstance(runs, str) else runs)
    return run.show(PhaseDiagram(sorted(rows, key=_place), float(min_circularity)))


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["alpha"], row["hidden_size"], row["seed"]


def collected(folders: Iterable[str | os.PathLike], *, needs: Sequence[str] = ("alpha",)) -> list[dict[str, Any]]:
    """The rows of all finished runs of `modular_adder` below the given folders, sorted by their path.

    Raises:
        InvalidArgumentError: there is none, or one lacks an entry in `needs`.
    """
    roots = [Path(folder) for folder in folders]
    read = {file: read_json(file) for file in sorted({file for root in roots for file in root.rglob("results.json")})}
    found = {file: one for file, one in read.items() if one.get("study") == ModularAdder.name}
    if not found:
        raise InvalidArgumentError(
            f"runs={[str(root) for root in roots]} is not allowed: there is no finished run of modular_adder; train "
            "some first"
        )
    rows = [ModularAdder.from_dict(one).rows()[0] for one in found.values()]
    for file, row in zip(found, rows, strict=True):
        if missing := [name for name in needs if name not in row]:
            raise InvalidArgumentError(
                f"{str(file)!r} has no {', '.join(missing)}: a linear model has no place in the diagram"
            )
    return rows
