"""The trained model of a run folder: the one that is there, or a new one; with checkpoints of its training if asked."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from numsym import recipes
from numsym.alignment import Site
from numsym.errors import InvalidArgumentError
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.models import build
from numsym.storage import new_folder, write_json
from numsym.tasks import Task
from numsym.training import as_dict, check_settings, evaluate, log_spaced, train

MODEL, CHECKPOINTS = "model", "checkpoints"

TRAINING = set(inspect.signature(train).parameters) - {"model", "task", "seed", "on_check", "keep_at", "on_keep"}
"""What the `training` of a task recipe may say."""


def device_of(config: Mapping[str, Any]) -> torch.device:
    """The device that a configuration names; "auto" takes CUDA where it is present.

    Raises:
        InvalidArgumentError: there is no such device here.
    """
    name = config["device"]
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError, TypeError):
        raise InvalidArgumentError(
            f"device={name!r} is not allowed: there is none here; give auto, cpu, or cuda where PyTorch finds it"
        ) from None
    return torch.device(name)


def new_model(task: Task, recipe: Mapping[str, Any]) -> PreTrainedModel:
    """The model of a task recipe, with weights drawn from torch's global generator.

    Raises:
        InvalidArgumentError: the recipe's `training` is not one of `numsym.train`, or its `model` not one of
            `numsym.models.build`.
    """
    if unknown := set(recipe["training"]) - TRAINING:
        files = sorted((recipes.root() / "tasks").glob("*.yaml"))
        fit = [file.stem for file in files if set(recipes.read("tasks", file).get("training") or ()) <= TRAINING]
        raise InvalidArgumentError(
            f"tasks={task.name!r} is not allowed in this experiment: its training has "
            f"{', '.join(sorted(unknown))}, where there may be {', '.join(sorted(TRAINING))}; "
            f"choose one of {', '.join(fit)}"
        )
    check_settings(recipe["training"])
    return build(task.vocab_size, **recipe["model"])


def site_of(config: Mapping[str, Any]) -> Site:
    """Where a configuration intervenes: its `site`, else the task recipe's, else the recurrent models' state."""
    return Site.of(config.get("site") or config["tasks"].get("site") or "state")


def trained(
    folder: RunFolder,
    task: Task,
    recipe: Mapping[str, Any],
    seed: int,
    device: torch.device,
    tracker: Tracker,
    *,
    name: str = MODEL,
    checkpoints: int = 0,
) -> PreTrainedModel:
    """The trained model of a task recipe: the one in the folder, or a new one, which is written there.

    Args:
        folder: of the run.
        task: what to learn.
        recipe: the task recipe; its `model` and `training` are used.
        seed: of the weights and of the trials.
        device: where to train.
        tracker: of the run.
        name: the model's folder in the run.
        checkpoints: how many states of the training to keep, log-spaced; `checkpoints_of` reads them.
    """
    if folder.done(name):
        display.console.print(f"{name:<12} found in {folder / name}")
        return load_model(folder / name, device)
    torch.manual_seed(seed)
    model = _placed(new_model(task, recipe), device)
    settings = recipe["training"]
    title = "training" if name == MODEL else name
    with new_folder(folder / name) as path:
        with display.stage(title, settings["steps"]) as stage:

            def show(record: dict[str, float | int]) -> None:
                stage.to(int(record["step"]), loss=record["loss"], accuracy=record["accuracy"])
                tracker.log(title, record)

            def keep(step: int) -> None:
                model.save_pretrained(path / CHECKPOINTS / f"{step:06d}")

            steps = log_spaced(settings["steps"], checkpoints) if checkpoints else ()
            log = train(model, task, seed=seed, on_check=show, keep_at=steps, on_keep=keep, **settings)
        accuracy = evaluate(model, task)
        verdict = "every trial right" if log.reached else "NOT every trial right"
        held_out = "" if accuracy.held_out is None else f", held-out counts {100 * accuracy.held_out:.1f} %"
        display.console.print(
            f"             {verdict} after {log.steps} steps: trial accuracy {100 * accuracy.accuracy:.1f} %{held_out}"
        )
        model.save_pretrained(path)
        write_json(path / "training.json", {"log": as_dict(log), "evaluation": as_dict(accuracy)})
    folder.add_metrics([{"stage": title, **record} for record in log.records])
    return model


def checkpoints_of(folder: RunFolder, device: torch.device, name: str = MODEL) -> dict[int, PreTrainedModel]:
    """Step -> the model then, for every checkpoint that `trained` kept, in the order of steps."""
    found = sorted((folder / name / CHECKPOINTS).iterdir())
    return {int(path.name): load_model(path, device) for path in found}


def load_model(path: Path, device: torch.device) -> PreTrainedModel:
    """A model as `save_pretrained` wrote it, in evaluation mode."""
    return _placed(AutoModelForCausalLM.from_pretrained(path).eval(), device)


def _placed(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    nn.Module.to(model, device)
    return model
