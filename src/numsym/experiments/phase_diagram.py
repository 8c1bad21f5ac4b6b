"""The phase diagram of [P] (section 4.3) from runs of `modular_adder`: symmetricity against irrelevance, by alpha."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numsym.circuits.report import MIN_CIRCULARITY
from numsym.experiments.modular_adder import collect
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.storage import new_folder, write_json, write_text

COLUMNS = (
    "alpha",
    "hidden_size",
    "seed",
    "first_epoch_right",
    "gradient_symmetricity",
    "distance_irrelevance",
    "circularity",
    "verdict",
)


def run(config: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Draw the runs below the folders `runs`, and write the run folder."""
    run_folder = RunFolder(folder, config)
    runs = config["runs"]
    rows = draw([runs] if isinstance(runs, str) else runs, folder / "phase", min_circularity=config["min_circularity"])
    run_folder.finish({"runs": rows})
    display.console.print(f"{len(rows)} runs   {folder / 'phase'}")
    return rows


def draw(
    runs: Iterable[str | os.PathLike], folder: str | os.PathLike, *, min_circularity: float | int = MIN_CIRCULARITY
) -> list[dict[str, Any]]:
    """Collect runs and write `phase_diagram.png`, `runs.json` and `runs.md` (a table) to a new folder.

    Args:
        runs: folders below which runs of `modular_adder` lie, such as the folder of a Hydra multirun.
        folder: must not exist.
        min_circularity: runs below it are set apart in the figure.

    Raises:
        InvalidArgumentError: no run is found, or one has no alpha.
        RunFolderError: the folder exists.
    """
    from numsym.plots.circuits import plot_phase

    rows = sorted(collect(runs), key=lambda row: (row["alpha"], row.get("hidden_size", 0), row["seed"]))
    with new_folder(folder) as temporary:
        plot_phase(rows, min_circularity=float(min_circularity)).savefig(temporary / "phase_diagram.png", dpi=120)
        write_json(temporary / "runs.json", rows)
        write_text(temporary / "runs.md", table(rows))
    return rows


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The runs as a Markdown table."""
    head = [name.replace("_", " ") for name in COLUMNS]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append([_cell(row.get(name)) for name in COLUMNS])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
