"""Mean paths of the state over a trial, by the number of the trial, in principal components."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.analyses import Trajectories
from numsym.analyses.trajectories import trajectories as measure
from numsym.errors import check_between
from numsym.experiments.trained import device_of, new_model, site_of, trained
from numsym.experiments.written import finish
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import load_task


def run(config: Mapping[str, Any], folder: Path) -> Trajectories:
    """Run or resume the experiment in `folder`."""
    from numsym.plots.trajectories import paths

    task, site, wanted = load_task(config["tasks"]), site_of(config), config["experiment"]
    width = site.check(new_model(task, config["tasks"]))
    check_between("experiment.components", wanted["components"], 1, width, why="the width of the site")
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        numbers = {name: wanted[name] for name in ("components", "trials")}
        found = measure(model, task, site=site, seed=config["seed"], **numbers)
        finish(run_folder, tracker, {"trajectories": paths(found)}, {"trajectories": found.to_dict()})
    shares = [{"component": i + 1, "% of the variance": 100 * s} for i, s in enumerate(found.explained.tolist())]
    display.show_rows("principal components of the state", shares)
    return found
