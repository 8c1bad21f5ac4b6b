"""IIA against the width of the network, and, in one network, against the number of coordinates exchanged."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numsym.analyses import Curve
from numsym.errors import InvalidArgumentError
from numsym.experiments.over_training import show
from numsym.experiments.searched import aligned
from numsym.experiments.trained import MODEL, device_of, new_model, site_of, trained
from numsym.experiments.written import finish, hypotheses
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import load_task
from numsym.training import evaluate


def run(config: Mapping[str, Any], folder: Path) -> list[Curve]:
    """Run or resume the experiment in `folder`; returns the curve by width, then the curve by k."""
    from numsym.plots.curves import curves

    task, site, device = load_task(config["tasks"]), site_of(config), device_of(config)
    wanted, recipe, asked = config["experiment"], config["tasks"], hypotheses(config)
    recipes = {w: {**recipe, "model": {**recipe["model"], "hidden_size": w}} for w in wanted["widths"]}
    own = recipe["model"]["hidden_size"]
    if not recipes or not wanted["dimensions"]:
        raise InvalidArgumentError("experiment.widths and experiment.dimensions must not be empty")
    for width, one in (*recipes.items(), (own, recipe)):
        size = site.check(new_model(task, one))
        for h in asked.values():
            for k in wanted["dimensions"] if width == own else [None]:
                replace(h, subspace_dim=k).checked(task, size)
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        by_width, by_k = {}, {}
        for width, one in recipes.items():
            name = MODEL if width == own else f"width{width:03d}"
            model = trained(run_folder, task, one, config["seed"], device, tracker, name=name)
            searches = {name: (h.checked(task, site.check(model)), site) for name, h in asked.items()}
            results = aligned(run_folder, model, task, searches, config, tracker, prefix=f"width{width:03d}.")
            by_width[width] = evaluate(model, task).accuracy, results
        model = trained(run_folder, task, recipe, config["seed"], device, tracker)
        accuracy = evaluate(model, task).accuracy
        names = {(k, name): f"k{k:03d}.{name}" for k in wanted["dimensions"] for name in asked}
        searches = {names[k, name]: (replace(asked[name], subspace_dim=k), site) for k, name in names}
        results = aligned(run_folder, model, task, searches, config, tracker)
        for k in wanted["dimensions"]:
            by_k[k] = accuracy, {name: results[names[k, name]] for name in asked}
        found = [Curve.of("width", by_width), Curve.of(f"coordinates exchanged (k), width {own}", by_k)]
        curve, other = (one.to_dict() for one in found)
        finish(run_folder, tracker, {"width": curves(*found)}, {"by_width": curve, "by_k": other})
    for one in found:
        show(one)
    return found
