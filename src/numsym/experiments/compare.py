"""Train the model of a task recipe and say which program it runs: `numsym.compare`, in a run folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.alignment import Comparison, PairCounts, Rule
from numsym.alignment.compare import hypotheses_of
from numsym.experiments.searched import aligned
from numsym.experiments.trained import MODEL, device_of, new_model, site_of, trained
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import read_json
from numsym.tasks import load_task

FIGURE = "comparison.png"


def run(config: Mapping[str, Any], folder: Path) -> Comparison:
    """Run or resume the experiment in `folder`."""
    from numsym.plots.compare import comparison
    from numsym.plots.style import write

    task, site, wanted = load_task(config["tasks"]), site_of(config), config["experiment"]
    rule = Rule(**wanted["rule"])
    hypotheses = hypotheses_of(
        task,
        wanted["programs"],
        alignment=wanted["alignment"],
        subspace_dim=wanted["subspace_dim"],
        seed=config["seed"],
        full=wanted["full"],
    )
    width = site.check(new_model(task, config["tasks"]))
    searches = {f"{h.program}.{h.variables[0]}": (h.checked(task, width), site) for h in hypotheses}
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        results = aligned(run_folder, model, task, searches, config, tracker)
        found = Comparison.of(task, list(results.values()), pairs=PairCounts(**config["pairs"]), rule=rule)
        tracker.image("comparison", write(comparison(found), folder / FIGURE))
        tracker.table("verdicts", [_row(one) for one in found.to_dict()["verdicts"]])
    run_folder.finish(
        {
            "training": read_json(folder / MODEL / "training.json"),
            "comparison": found.to_dict(),
            "alignments": {name: result.to_dict() for name, result in results.items()},
        }
    )
    display.show_comparison(found)
    display.console.print(f"run folder   {os.path.relpath(folder)}", soft_wrap=True, highlight=False)
    return found


def _row(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: verdict[name] for name in ("program", "worst", "verdict", "why")}, "iia": verdict["iia"]["value"]}
