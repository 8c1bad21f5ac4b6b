"""Graded IIA: by base count, source count, difference, and both values, on many fresh pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from numsym.alignment import PairCounts, interchange_pairs, measured_pairs
from numsym.analyses import Graded
from numsym.analyses.graded import graded as measure
from numsym.errors import check_at_least
from numsym.experiments.searched import aligned
from numsym.experiments.trained import device_of, new_model, site_of, trained
from numsym.experiments.written import finish, hypotheses
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import load_task


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Graded]:
    """Run or resume the experiment in `folder`."""
    from numsym.plots.graded import graded_iia

    task, site, n = load_task(config["tasks"]), site_of(config), config["experiment"]["pairs"]
    check_at_least("experiment.pairs", n, 1)
    width = site.check(new_model(task, config["tasks"]))
    asked = {name: h.checked(task, width) for name, h in hypotheses(config).items()}
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        searches = {name: (h, site) for name, h in asked.items()}
        results = aligned(run_folder, model, task, searches, config, tracker)
        found = {}
        for name, h in asked.items():
            # The pairs of the search have the run's seed; these are others, and those seen there are left out.
            generator = torch.Generator().manual_seed(config["seed"] + 1_000_000)
            program = task.program(h.program)
            pairs = interchange_pairs(task, program, h.variables, n, split="all", generator=generator)
            seen = measured_pairs(task, h, PairCounts(**config["pairs"]), part="train")
            found[name] = measure(results[name], pairs.without(seen), config["search"]["engine"])
        written = {"graded": {name: one.to_dict() for name, one in found.items()}}
        finish(run_folder, tracker, {"graded": graded_iia(found)}, written)
    rows = [{"": name, "IIA": one.measurement.iia, "pairs": one.n, **one.trends} for name, one in found.items()]
    display.show_rows("IIA in percent; rank correlation of being right with", rows)
    return found
