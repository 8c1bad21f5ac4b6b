"""Markov tests of several networks on the same trials: does the state at one position decide what follows ([N])?"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from transformers import PreTrainedModel

from numsym.alignment import Pairs, Share, interchange_pairs
from numsym.alignment.markov import agrees, dependence, following, state_sites, telling
from numsym.alignment.pairs import unexchanged
from numsym.errors import InvalidArgumentError, check_at_least
from numsym.experiments.trained import device_of, load_model, new_model, trained
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.programs import FULL
from numsym.storage import new_folder, read_json, write_json
from numsym.tasks import Task, load_task

MODELS, TESTS = "models", "tests"
MARKOV, CONTEXT = "up_down", "ctx_distr"

MEANING = """\
The whole of a site exchanged at one position; later predictions only.
alike: pairs of two demonstration or of two response tokens. Up-Down says that
behaviour follows the source's state, Ctx-Distr that it stays with the base.
unlike: one token of each kind. Ctx-Distr says that the sum changes by two.
score: effect of the state / (effect of the state + of the context), alike
pairs; 1 for a Markovian network."""


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train or take every network, test it, and write `results.json`; what is in the folder is not done again.

    Raises:
        InvalidArgumentError: an entry of `models` has neither a path nor a model with its training.
    """
    task, wanted = load_task(config["tasks"]), config["experiment"]
    check_at_least("pairs", wanted["pairs"], 1)
    for name, entry in wanted["models"].items():
        _check(name, entry, task)
    drawn = draw(task, wanted["pairs"], config["seed"])
    run_folder, found = RunFolder(folder, config), {}
    for part in (MODELS, TESTS):
        (folder / part).mkdir(exist_ok=True)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        for name, entry in wanted["models"].items():
            place = f"{TESTS}/{name}"
            if not run_folder.done(place):
                model, training = _model(name, entry, task, config, run_folder, tracker)
                display.console.print(f"testing      {name}")
                with new_folder(folder / place) as path:
                    write_json(path / "tests.json", {"training": training, **measure(model, *drawn)})
            found[name] = read_json(folder / place / "tests.json")
        tracker.table("markov", [row for name in found for row in rows(name, found[name])])
    run_folder.finish({"models": found})
    for table in tables(found):
        display.console.print()
        display.console.print(table)
    display.console.print(MEANING, style="dim", highlight=False)
    display.console.print(f"run folder   {os.path.relpath(folder)}", soft_wrap=True, highlight=False)
    return found


def draw(task: Task, n: int, seed: int) -> tuple[Pairs, Pairs, Pairs]:
    """The same `n` pairs as Up-Down's full state, as nothing, and as Ctx-Distr's value is exchanged."""
    made = [
        interchange_pairs(task, task.program(name), (FULL,), n, generator=torch.Generator().manual_seed(seed))
        for name in (MARKOV, CONTEXT)
    ]
    generator = torch.Generator().manual_seed(seed)
    return made[0], unexchanged(task, task.program(MARKOV), made[0], generator), made[1]


def measure(model: PreTrainedModel, pairs: Pairs, own: Pairs, context: Pairs) -> dict[str, Any]:
    """All Markov tests of one network, as plain values: single sites, all together, and the score."""
    alike, unlike = (rows.nonzero()[:, 0] for rows in (~context.changed, context.changed))
    sites = state_sites(model)
    exchanged = {f"{site.component}:{site.layer}": [site] for site in sites}
    if len(sites) > 1:
        exchanged["all layers"] = sites
    found: dict[str, Any] = {}
    for name, together in exchanged.items():
        source, token = telling(pairs.rows(unlike), context.rows(unlike))
        found[name] = {
            "alike": asdict(following(model, together, pairs.rows(alike), own.rows(alike))),
            "unlike": {
                "source": asdict(Share.of(agrees(model, together, source))),
                "token": asdict(Share.of(agrees(model, together, token))),
            },
        }
    score = {
        "alike": asdict(dependence(model, pairs.rows(alike), own.rows(alike))),
        "all": asdict(dependence(model, pairs, own)),
    }
    return {"following": found, "dependence": score}


def rows(name: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line a site of one network, as plain values."""
    return [
        {
            "network": name,
            "site": site,
            **{kind: shares["alike"][kind]["value"] for kind in ("source", "base", "neither")},
            **{f"unlike_{kind}": shares["unlike"][kind]["value"] for kind in ("source", "token")},
        }
        for site, shares in found["following"].items()
    ]


def tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """What follows an exchange, by network and site in percent; and the score with its two effects."""
    left = _table("what follows an exchange, in percent of the pairs", "network", "site")
    for heading in ("alike: source", "base", "neither", "unlike: source", "Ctx-Distr"):
        left.add_column(heading, justify="right")
    for name, tests in found.items():
        for row in rows(name, tests):
            values = list(row.values())
            left.add_row(*values[:2], *(f"{100 * value:.1f}" for value in values[2:]))
    right = _table("how far later predictions depend on one position's state", "network")
    for heading in ("score", "state", "context", "pairs", "score, all pairs", "trials right", "held-out"):
        right.add_column(heading, justify="right")
    for name, tests in found.items():
        alike, every, training = tests["dependence"]["alike"], tests["dependence"]["all"], tests["training"]
        right.add_row(
            name,
            _number(alike["score"]),
            f"{alike['state']:.3f}",
            f"{alike['context']:.3f}",
            str(alike["n"]),
            _number(every["score"]),
            _number(training and training["evaluation"]["accuracy"]),
            _number(training and training["evaluation"]["held_out"]),
        )
    return [left, right]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _check(name: str, entry: Mapping[str, Any], task: Task) -> None:
    if "path" not in entry and not {"model", "training"} <= set(entry):
        raise InvalidArgumentError(
            f"models.{name}={dict(entry)!r} is not allowed: give the path of a saved model, or model and training"
        )
    if "path" in entry and not Path(entry["path"]).is_dir():
        raise InvalidArgumentError(f"models.{name}.path={entry['path']!r} is not allowed: there is no such folder")
    if "model" in entry:
        new_model(task, entry)


def _model(
    name: str, entry: Mapping[str, Any], task: Task, config: Mapping[str, Any], folder: RunFolder, tracker: Tracker
) -> tuple[PreTrainedModel, dict[str, Any] | None]:
    """A network and how its training went, where that is known."""
    device = device_of(config)
    if "path" in entry:
        path = Path(entry["path"])
        training = path / "training.json"
        return load_model(path, device), read_json(training) if training.exists() else None
    place = f"{MODELS}/{name}"
    model = trained(folder, task, entry, config["seed"], device, tracker, name=place)
    return model, read_json(folder / place / "training.json")
