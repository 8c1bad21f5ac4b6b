"""The main job: train the model of a task recipe, align with it what the intervention recipes say, write the run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from numsym import display
from numsym.alignment import ALIGNMENTS, AlignmentResult, Hypothesis, PairCounts, SearchSettings, Site, align_many
from numsym.errors import InvalidArgumentError, check_name
from numsym.interventions import load_config
from numsym.models import build
from numsym.runs import RunFolder
from numsym.storage import new_folder, read_json, write_json
from numsym.tasks import Task, load_task
from numsym.tracking import Tracker
from numsym.training import as_dict, evaluate, train

MODEL, ALIGNMENTS_FOLDER, FIGURE = "model", "alignments", "iia_by_count.png"


def run(config: Mapping[str, Any], folder: Path) -> list[AlignmentResult]:
    """Run or resume the experiment in `folder`; returns the results in the order of the recipes."""
    task = load_task(config["tasks"])
    recipes = config["interventions"]
    if "representations" in recipes:
        recipes = {"alignment": recipes}
    searches = {name: hypothesis(recipe, config["seed"]) for name, recipe in recipes.items()}
    place = config.get("site") or config["tasks"].get("site")
    if place is not None:
        searches = {name: (wanted, Site.of(place)) for name, (wanted, _) in searches.items()}
    model = build(task.vocab_size, **config["tasks"]["model"])
    for wanted, site in searches.values():
        wanted.checked(task, site.check(model))
    run_folder = RunFolder(folder, config)
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if config["device"] == "auto" else config["device"]
    )
    with Tracker(folder, config, **config["wandb"]) as tracker:
        model = _trained(run_folder, task, config, device, tracker)
        results = _aligned(run_folder, model, task, searches, config, tracker)
        _report(run_folder, results, tracker)
    return [results[name] for name in searches]


def hypothesis(recipe: Mapping[str, Any], seed: int) -> tuple[Hypothesis, Site]:
    """What a recipe in `interventions/` searches for, and where: its one representation and its `search`.

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
    wanted = dict(recipe.get("search") or {})
    for key in wanted:
        check_name("key of search", key, ("program", "variable", "subspace_dim"))
    return Hypothesis(alignment=names[0], seed=seed, **wanted), Site(place.component, place.layer)


def _trained(
    folder: RunFolder, task: Task, config: Mapping[str, Any], device: torch.device, tracker: Tracker
) -> PreTrainedModel:
    """The trained model: the one in the folder, or a new one, which is written there."""
    if folder.done(MODEL):
        display.console.print(f"model        found in {folder / MODEL}")
        return _placed(AutoModelForCausalLM.from_pretrained(folder / MODEL).eval(), device)
    torch.manual_seed(config["seed"])
    model = _placed(build(task.vocab_size, **config["tasks"]["model"]), device)
    settings = config["tasks"]["training"]
    with display.stage("training", settings["steps"]) as stage:

        def show(record: dict[str, float | int]) -> None:
            stage.to(int(record["step"]), loss=record["loss"], accuracy=record["accuracy"])
            tracker.log("training", record)

        log = train(model, task, seed=config["seed"], on_check=show, **settings)
    accuracy = evaluate(model, task)
    verdict = "every trial right" if log.reached else "NOT every trial right"
    held_out = "" if accuracy.held_out is None else f", held-out counts {100 * accuracy.held_out:.1f} %"
    display.console.print(
        f"             {verdict} after {log.steps} steps: trial accuracy {100 * accuracy.accuracy:.1f} %{held_out}"
    )
    with new_folder(folder / MODEL) as path:
        model.save_pretrained(path)
        write_json(path / "training.json", {"log": as_dict(log), "evaluation": as_dict(accuracy)})
    folder.add_metrics([{"stage": "training", **record} for record in log.records])
    return model


def _placed(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    nn.Module.to(model, device)
    return model


def _aligned(
    folder: RunFolder,
    model: PreTrainedModel,
    task: Task,
    searches: Mapping[str, tuple[Hypothesis, Site]],
    config: Mapping[str, Any],
    tracker: Tracker,
) -> dict[str, AlignmentResult]:
    """The alignments: those in the folder, and the missing ones, which are searched for together, site by site."""
    done = {name for name in searches if folder.done(f"{ALIGNMENTS_FOLDER}/{name}")}
    results = {name: AlignmentResult.load(folder / ALIGNMENTS_FOLDER / name, model) for name in done}
    missing: dict[Site, list[str]] = {}
    for name, (_, site) in searches.items():
        if name not in done:
            missing.setdefault(site, []).append(name)
    search = dict(config["search"])
    engine = search.pop("engine")
    for site, names in missing.items():
        with display.stage("alignment", search["max_steps"]) as stage:
            shown: dict[str, float] = {}

            def show(i: int, record: dict[str, float | int], names=names, shown=shown, stage=stage) -> None:  # type: ignore[no-untyped-def]
                shown[names[i]] = record["iia"]
                stage.to(int(record["step"]), **shown)
                tracker.log(names[i], record)

            found = align_many(
                model,
                task,
                [searches[name][0] for name in names],
                site=site,
                settings=SearchSettings(**search),
                pairs=PairCounts(**config["pairs"]),
                controls=config["controls"],
                engine=engine,
                on_check=show,
            )
        for name, result in zip(names, found, strict=True):
            folder.add_metrics([{"stage": name, **record} for record in result.records])
            result.save(folder / ALIGNMENTS_FOLDER / name)
            tracker.artifact(folder / ALIGNMENTS_FOLDER / name, name=name, kind="alignment")
            results[name] = result
    return results


def _report(folder: RunFolder, results: Mapping[str, AlignmentResult], tracker: Tracker) -> None:
    from numsym.plots.alignment import iia_by_count
    from numsym.plots.style import write

    names = list(results)
    figure = write(iia_by_count(list(results.values()), names), folder / FIGURE)
    tracker.image("iia_by_count", figure)
    tracker.table("results", [row(name, result) for name, result in results.items()])
    folder.finish(
        {
            "training": read_json(folder / MODEL / "training.json"),
            "alignments": {name: result.to_dict() for name, result in results.items()},
        }
    )
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
