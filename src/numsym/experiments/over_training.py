"""IIA over training: alignments searched for at checkpoints on a log-spaced schedule, beside trial accuracy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.analyses import Curve
from numsym.errors import check_at_least
from numsym.experiments.searched import aligned
from numsym.experiments.trained import MODEL, checkpoints_of, device_of, new_model, site_of, trained
from numsym.experiments.written import finish, hypotheses
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import read_json
from numsym.tasks import load_task
from numsym.training import evaluate


def run(config: Mapping[str, Any], folder: Path) -> Curve:
    """Run or resume the experiment in `folder`."""
    from numsym.plots.curves import curves

    task, site, device = load_task(config["tasks"]), site_of(config), device_of(config)
    width = site.check(new_model(task, config["tasks"]))
    searches = {name: (h.checked(task, width), site) for name, h in hypotheses(config).items()}
    check_at_least("experiment.checkpoints", config["experiment"]["checkpoints"], 2)
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        wanted = config["experiment"]["checkpoints"]
        trained(run_folder, task, config["tasks"], config["seed"], device, tracker, checkpoints=wanted)
        rows = {}
        for step, model in checkpoints_of(run_folder, device).items():
            results = aligned(run_folder, model, task, searches, config, tracker, prefix=f"step{step:06d}.")
            rows[step] = evaluate(model, task).accuracy, results
        curve = Curve.of("optimiser steps", rows)
        training = read_json(run_folder / MODEL / "training.json")
        finish(run_folder, tracker, {"over_training": curves(curve)}, {"training": training, "curve": curve.to_dict()})
    show(curve)
    return curve


def show(curve: Curve) -> None:
    """The points, and the rank correlations."""
    rows = [{curve.axis: p.x, "accuracy": f"{100 * p.accuracy:.1f}", **p.iia} for p in curve.points]
    display.show_rows("IIA in percent, with 95 % intervals", rows)
    for name, rho in curve.correlation.items():
        said = "not defined: one of them does not vary" if rho is None else f"{rho:.2f}"
        display.console.print(
            f"Spearman's rank correlation of IIA ({name}) and accuracy: {said} (n = {len(curve.points)})",
            highlight=False,
        )
