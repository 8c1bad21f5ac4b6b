"""Align programs with a Hugging Face model as it is, on a task asked as text; nothing is trained but the maps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.alignment import AlignmentResult
from numsym.errors import InvalidArgumentError
from numsym.experiments.align import report, searches_of
from numsym.experiments.searched import aligned
from numsym.experiments.trained import device_of
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.models import load
from numsym.tasks import load_task
from numsym.training import as_dict, evaluate

KNOWS = 0.5
"""Trial accuracy below which the display says that the model does not do the task."""


def run(config: Mapping[str, Any], folder: Path) -> list[AlignmentResult]:
    """Run or resume the experiment in `folder`; returns the results in the order of the recipes.

    Raises:
        InvalidArgumentError: no model is named, or it cannot be read; nothing is written then.
    """
    wanted = config["experiment"]
    name = wanted["model"]
    if name is None:
        raise InvalidArgumentError("experiment.model=null is not allowed: give a name on the hub or a folder")
    model = load(name, device=device_of(config), dtype=wanted["dtype"])
    recipe = dict(wanted["task"])
    recipe["arguments"] = {"tokenizer": wanted["tokenizer"] or name, **recipe["arguments"]}
    task = load_task(recipe)
    searches = searches_of(config, recipe)
    for hypothesis, site in searches.values():
        hypothesis.checked(task, site.check(model))
    run_folder = RunFolder(folder, config)
    accuracy = evaluate(model, task, n=wanted["evaluated"])
    verdict = "" if accuracy.accuracy >= KNOWS else ": it does NOT do the task, and IIA says little"
    display.console.print(f"model        trial accuracy {100 * accuracy.accuracy:.1f} %{verdict}", highlight=False)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        results = aligned(run_folder, model, task, searches, config, tracker)
        report(run_folder, results, tracker, {"evaluation": as_dict(accuracy)})
    return [results[name] for name in searches]
