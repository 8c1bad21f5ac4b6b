"""Where does a network hold a variable? Every hypothesis at every site, as a map by layer and position."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from numsym.alignment import Hypothesis, Site, SiteSweep, sites_named, state_sites
from numsym.errors import check_at_least
from numsym.experiments.align import hypothesis
from numsym.experiments.searched import aligned
from numsym.experiments.trained import MODEL, device_of, new_model, trained
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import read_json
from numsym.tasks import load_task

FIGURE, MAP = "iia_map.png", "iia_map.json"


def run(config: Mapping[str, Any], folder: Path) -> SiteSweep:
    """Run or resume the sweep in `folder`: what is aligned there already is read, site by site."""
    task, options = load_task(config["tasks"]), config["sweep"]
    recipes = config["interventions"]
    if "representations" in recipes:
        recipes = {"alignment": recipes}
    check_at_least("sweep.position_bin", options["position_bin"], 1)
    model = new_model(task, config["tasks"])
    sites = state_sites(model) if options["sites"] is None else sites_named(model, options["sites"])
    searches: dict[str, tuple[Hypothesis, Site]] = {}
    for site in sites:
        for name, recipe in recipes.items():
            wanted, _ = hypothesis(recipe, config["seed"], config["tasks"].get("search"))
            wanted.checked(task, site.check(model))
            searches[f"{name}-{site.component}-{site.layer}"] = (wanted, site)
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = trained(run_folder, task, config["tasks"], config["seed"], device_of(config), tracker)
        results = aligned(run_folder, model, task, searches, config, tracker)
        sweep = SiteSweep(tuple(results.values()), options["position_bin"])
        _report(run_folder, sweep, tracker)
    return sweep


def _report(folder: RunFolder, sweep: SiteSweep, tracker: Tracker) -> None:
    from numsym.plots.site_sweep import iia_map
    from numsym.plots.style import write

    sweep.save(folder / MAP)
    tracker.image("iia_map", write(iia_map(sweep), folder / FIGURE))
    tracker.table("results", sweep.rows())
    folder.finish({"training": read_json(folder / MODEL / "training.json"), "sweep": sweep.to_dict()})
    display.console.print(table(sweep))
    display.console.print(f"map          {folder / FIGURE}", soft_wrap=True, highlight=False)


def table(sweep: SiteSweep) -> Table:
    """IIA in percent: a row for each site, a column for each hypothesis."""
    shown = Table(title="IIA by site, in percent", title_justify="left", box=None, pad_edge=False)
    shown.add_column("site")
    for name in sweep.hypotheses:
        shown.add_column(name, justify="right")
    for site in sweep.sites:
        shown.add_row(str(site), *(f"{100 * sweep.at(name)[site].iia:.1f}" for name in sweep.hypotheses))
    return shown
