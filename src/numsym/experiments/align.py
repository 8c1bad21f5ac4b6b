"""The main job: train the model of a task recipe, align with it what the intervention recipes say, write the run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.alignment import ALIGNMENTS, AlignmentResult, Hypothesis, Site
from numsym.errors import InvalidArgumentError, check_name
from numsym.experiments.searched import aligned
from numsym.experiments.trained import MODEL, device_of, new_model, trained
from numsym.interventions import load_config
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import read_json
from numsym.tasks import load_task

FIGURE = "iia_by_count.png"


def run(config: Mapping[str, Any], folder: Path) -> list[AlignmentResult]:
    """Run or resume the experiment in `folder`; returns the results in the order of the recipes."""
    task = load_task(config["tasks"])
    searches = searches_of(config, config["tasks"])
    model = new_model(task, config["tasks"])
    for wanted, site in searches.values():
        wanted.checked(task, site.check(model))
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        results = aligned(run_folder, model, task, searches, config, tracker)
        report(run_folder, results, tracker, {"training": read_json(run_folder / MODEL / "training.json")})
    return [results[name] for name in searches]


def searches_of(config: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, tuple[Hypothesis, Site]]:
    """Name of a recipe -> what to search for, and where; `task` is the task's recipe, which may say both."""
    recipes = config["interventions"]
    if "representations" in recipes:
        recipes = {"alignment": recipes}
    searches = {name: hypothesis(recipe, config["seed"], task.get("search")) for name, recipe in recipes.items()}
    if config.get("site"):
        return {name: (wanted, Site.of(config["site"])) for name, (wanted, _) in searches.items()}
    # A recipe that names the recurrent models' state means the task's own place; any other it means as it says.
    own = Site.of(task.get("site") or "state")
    return {name: (wanted, own if site == Site() else site) for name, (wanted, site) in searches.items()}


def hypothesis(recipe: Mapping[str, Any], seed: int, usual: Mapping[str, Any] | None = None) -> tuple[Hypothesis, Site]:
    """What a recipe in `interventions/` searches for, and where: its one representation and its `search`.

    What its `search` leaves out is as `usual` says: the `search` of the task's recipe.

    Raises:
        InvalidArgumentError: it has several representations, or an intervention type that is not searched for.
        UnknownNameError: `search` has a key that it does not know.
    """
    config = load_config(recipe)
    if len(config.representations) != 1:
        raise InvalidArgumentError(
            f"representations has {len(config.representations)} entries, which is not allowed here: a search has one"
        )
    place = config.representations[0]
    names = [name for name in ALIGNMENTS if ALIGNMENTS[name].kind is place.intervention_type]
    if not names:
        known = ", ".join(ALIGNMENTS[name].kind.__name__ for name in ALIGNMENTS)
        raise InvalidArgumentError(
            f"intervention_type {place.intervention_type.__name__} is not allowed in a search: it learns {known}"
        )
    own = {key: value for key, value in (recipe.get("search") or {}).items() if value is not None}
    wanted = {**(usual or {}), **own}
    for key in wanted:
        check_name("key of search", key, ("program", "variable", "subspace_dim"))
    return Hypothesis(alignment=names[0], seed=seed, **wanted), Site(place.component, place.layer)


def report(
    folder: RunFolder, results: Mapping[str, AlignmentResult], tracker: Tracker, about: Mapping[str, Any]
) -> None:
    """Draw, show and write the results; `about` is what `results.json` says of the model."""
    from numsym.plots.alignment import iia_by_count
    from numsym.plots.style import write

    names = list(results)
    figure = write(iia_by_count(list(results.values()), names), folder / FIGURE)
    tracker.image("iia_by_count", figure)
    tracker.table("results", [row(name, result) for name, result in results.items()])
    folder.finish({**about, "alignments": {name: result.to_dict() for name, result in results.items()}})
    display.show(list(results.values()))
    display.console.print(f"run folder   {os.path.relpath(folder.path)}", soft_wrap=True, highlight=False)


def row(name: str, result: AlignmentResult) -> dict[str, Any]:
    """One line of the result table, as plain values."""
    return {
        "recipe": name,
        "program": result.program,
        "variable": ", ".join(result.variables),
        "function": result.alignment,
        "k": result.subspace_dim,
        "iia": result.iia,
        "heldout_iia": result.heldout_iia,
        "floor": result.floor,
        "ceiling": result.ceiling,
        **{name: share.value for name, share in result.controls.items() if name not in ("floor", "ceiling")},
    }
