"""One variable exchanged between each two of several networks: seeds, cells, widths, tasks."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from numsym import recipes
from numsym.alignment import PairCounts, SearchSettings, Share
from numsym.analyses import Side, align_across
from numsym.analyses.cross_model import FILE
from numsym.errors import InvalidArgumentError, check_name
from numsym.experiments.trained import device_of, new_model, trained
from numsym.experiments.written import finish
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import read_json
from numsym.tasks import Task, load_task

FOLDER = "across"


def run(config: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Run or resume the experiment in `folder`; returns each pair of networks as plain values."""
    from numsym.plots.cross_model import across

    wanted = config["experiment"]
    networks = {name: _recipe(config, spec or {}) for name, spec in wanted["networks"].items()}
    if len(networks) < 2:
        raise InvalidArgumentError(f"experiment.networks has {len(networks)} entries, which is not allowed: name two")
    for task, recipe, _ in networks.values():
        new_model(task, recipe)
        task.program(wanted["program"]).block(wanted["variable"])
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        sides = {
            name: Side(name, _model(run_folder, name, network, config, tracker), network[0], wanted["program"])
            for name, network in networks.items()
        }
        found = [_pair(run_folder, sides[a], sides[b], config) for a, b in combinations(sides, 2)]
        finish(run_folder, tracker, {"across": across(found)}, {"across": found})
    display.show_rows(
        f"{wanted['variable']}: IIA in percent, with 95 % intervals", [r for one in found for r in _rows(one)]
    )
    return found


def _recipe(config: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[Task, dict[str, Any], int]:
    """Task, recipe and seed of one network: the run's, but for what `spec` names."""
    for key in spec:
        check_name("key of a network", key, ("tasks", "model", "seed"))
    recipe = dict(config["tasks"] if "tasks" not in spec else recipes.read("tasks", spec["tasks"]))
    for part in ("arguments", "training"):
        # The run's task recipe says how large the trials are and how long training is, for every network.
        recipe[part] = {**(recipe.get(part) or {}), **config["tasks"][part]}
    recipe["model"] = {**config["tasks"]["model"], **(spec.get("model") or {})}
    return load_task(recipe), recipe, spec.get("seed", config["seed"])


def _model(
    folder: RunFolder, name: str, network: tuple[Task, dict[str, Any], int], config: Mapping[str, Any], tracker: Tracker
) -> torch.nn.Module:
    task, recipe, seed = network
    return trained(folder, task, recipe, seed, device_of(config), tracker, name=name)


def _pair(folder: RunFolder, first: Side, second: Side, config: Mapping[str, Any]) -> dict[str, Any]:
    """What is in the folder for two networks, or a new search."""
    wanted, path = config["experiment"], folder / FOLDER / f"{first.name}.{second.name}"
    if not path.exists():
        search = {name: value for name, value in config["search"].items() if name != "engine"}
        found = align_across(
            first,
            second,
            variable=wanted["variable"],
            alignment=wanted["alignment"],
            subspace_dim=wanted["subspace_dim"],
            seed=config["seed"],
            settings=SearchSettings(**search),
            pairs=PairCounts(**config["pairs"]),
            controls=wanted["controls"],
        )
        found.save(path)
        display.console.print(f"across       {first.name} and {second.name}: the worse way {found.across.value:.3f}")
    return read_json(path / FILE)


def _rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for direction, share in found["iia"].items():
        held_out = found["held_out"].get(direction)
        controls = {name: found["controls"].get(name, {}).get(direction) for name in ("floor", "permuted", "untrained")}
        rows.append(
            {
                "pair": " ".join(found["names"]),
                "direction": direction,
                "IIA": Share(**share),
                "held-out": None if held_out is None else Share(**held_out),
                **{name: None if one is None else f"{100 * one['value']:.1f}" for name, one in controls.items()},
            }
        )
    return rows
