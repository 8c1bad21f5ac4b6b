"""Single neurons and sets of them, exchanged as they are, beside a learned map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.alignment import AlignmentResult, PairCounts, measured_pairs
from numsym.analyses import Neurons
from numsym.analyses.neurons import neurons as measure
from numsym.errors import check_between
from numsym.experiments.searched import aligned
from numsym.experiments.trained import device_of, new_model, site_of, trained
from numsym.experiments.written import finish, hypotheses
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import load_task


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Neurons]:
    """Run or resume the experiment in `folder`; returns what was found for each hypothesis."""
    from numsym.plots.neurons import single_neurons

    task, site, wanted = load_task(config["tasks"]), site_of(config), config["experiment"]
    width = site.check(new_model(task, config["tasks"]))
    asked = {name: h.checked(task, width) for name, h in hypotheses(config).items()}
    for size in wanted["sizes"]:
        check_between("experiment.sizes", size, 1, width, why="the width of the site")
    counts = PairCounts(**config["pairs"])
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        searches = {name: (h, site) for name, h in asked.items()}
        results = aligned(run_folder, model, task, searches, config, tracker)
        found, figures = {}, {}
        for name, h in asked.items():
            train, test = (measured_pairs(task, h, counts, part=part) for part in ("train", "test"))
            found[name] = measure(model, train, test, site=site, sizes=wanted["sizes"], greedy=wanted["greedy"])
            figures[f"neurons_{name}"] = single_neurons(found[name], results[name].test.iia, _map(results[name]))
        learned = {name: result.to_dict()["test"]["iia"] for name, result in results.items()}
        written = {"neurons": {name: one.to_dict() for name, one in found.items()}, "learned": learned}
        finish(run_folder, tracker, figures, written)
    for name, one in found.items():
        rows = [{"chosen by": how, "neurons": n, "IIA": s} for how, sets in one.sets.items() for n, s in sets.items()]
        rows.append({"chosen by": _map(results[name]), "neurons": None, "IIA": results[name].test.iia})
        display.show_rows(f"{name}: IIA in percent; the best single neuron {100 * one.each[one.best].value:.1f}", rows)
    return found


def _map(result: AlignmentResult) -> str:
    return f"learned map (k = {result.subspace_dim})"
