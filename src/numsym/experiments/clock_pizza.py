"""Which algorithm does one modular adder run? Its metrics, circles and figures, and a verdict in one line ([P])."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from numsym.circuits import CircuitReport, circuit_report, rotation_table
from numsym.circuits.fve import FORMULAS
from numsym.errors import InvalidArgumentError
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.models import LinearModularModel, ModularTransformer, load_pizza
from numsym.storage import new_folder, read_json, write_json, write_text

ADDER = "adder"
"""The part of a run folder that `analyse` writes."""

CLASSES = {
    cls.config_class.model_type: cls for cls in (ModularTransformer, LinearModularModel) if cls.config_class is not None
}
"""The model classes that a saved folder may hold, by the `model_type` of its config."""


def run(config: Mapping[str, Any], folder: Path) -> CircuitReport:
    """Analyse the model at `model_path`, show its circles and the verdict, and write the run folder."""
    model = read_adder(config["model_path"])
    run_folder = RunFolder(folder, config)
    report = analyse(model, folder / ADDER, triples=config["triples"])
    run_folder.finish(report.as_dict())
    display.console.print(circle_table(report))
    display.console.print(report.line)
    display.console.print(f"run folder   {folder}")
    return report


def circle_table(report: CircuitReport) -> Table:
    """One row a circle: how much of its logits each formula explains, alone and by its removal, in percent."""
    table = Table(title="logit variance explained (%): circle alone / by its removal", title_justify="left")
    for heading in ("freq.", "PCs", "var.", "Clock", "Pizza", "Pizza'", "accompanied"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.rows():
        shares = [f"{100 * row[name]:.0f} / {100 * row['removal'][name]:.0f}" for name in FORMULAS]
        components = " ".join(map(str, row["components"]))
        table.add_row(str(row["frequency"]), components, f"{100 * row['variance']:.1f}", *shares)
    return table


def read_adder(path: str | os.PathLike) -> ModularTransformer | LinearModularModel:
    """A modular adder from a published checkpoint (`model_*.pt`) or a folder that `save_pretrained` wrote.

    Raises:
        InvalidArgumentError: there is no such file, or the folder holds no model or one of another kind.
    """
    path = Path(path)
    if not path.is_dir():
        return load_pizza(path)
    there = path / "config.json"
    kind = read_json(there).get("model_type") if there.is_file() else None
    if kind not in CLASSES:
        raise InvalidArgumentError(f"model_path={str(path)!r} holds a {kind!r}: it must be one of {', '.join(CLASSES)}")
    return CLASSES[kind].from_pretrained(path).eval()


def analyse(
    model: ModularTransformer | LinearModularModel, folder: str | os.PathLike, *, triples: int | str = 100
) -> CircuitReport:
    """Write everything that is known about a modular adder to a new folder.

    The folder gets `verdict.txt` (one line), `report.json` (metrics, circles, and what turning each circle does), and
    the figures `circles.png`, `correct_logits.png`, `fve.png` and, for a transformer, `attention.png`.

    Args:
        model: a modular adder of numsym.
        folder: must not exist.
        triples: over how many triples gradient symmetricity is averaged, or "all".

    Raises:
        InvalidArgumentError: p is not an odd prime.
        RunFolderError: the folder exists.
    """
    from numsym.plots.circuits import plot_attention, plot_circles, plot_correct_logits, plot_fve

    with new_folder(folder) as temporary:
        report = circuit_report(model, triples=triples)
        figures = {"correct_logits": plot_correct_logits(model)}
        turning = []
        if report.circles:
            turning = [asdict(row) for row in rotation_table(model)]
            figures |= {"circles": plot_circles(model), "fve": plot_fve(report.circles)}
        if isinstance(model, ModularTransformer):
            figures["attention"] = plot_attention(model)
        for name, figure in figures.items():
            figure.savefig(temporary / f"{name}.png", dpi=120)
        write_json(temporary / "report.json", report.as_dict() | {"turning": turning})
        write_text(temporary / "verdict.txt", report.line + "\n")
    return report
