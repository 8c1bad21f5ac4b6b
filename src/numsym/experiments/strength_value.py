"""Attention as counting: the strength-value of every head of a transformer, with its figure ([N])."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from numsym.circuits.strength_value import StrengthValue, strength_value
from numsym.errors import InvalidArgumentError
from numsym.experiments.trained import device_of, load_model, trained
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.models import TransformerLM
from numsym.tasks import load_task
from numsym.tasks.counting import CountingTask

FIGURE = "strength_value.png"

MEANING = """\
Slope of what a token adds to the logit (straight, without later layers) on the
attention it gets. Summed: what one token adds through all heads, on average."""


def run(config: Mapping[str, Any], folder: Path) -> StrengthValue:
    """Train or take a transformer, and write the table and the figure of its strength-values.

    Raises:
        InvalidArgumentError: the task does not count, or the model is no `TransformerLM`.
    """
    from numsym.plots.strength_value import strength_value as figure
    from numsym.plots.style import write

    task, wanted = load_task(config["tasks"]), config["experiment"]
    if not isinstance(task, CountingTask) or config["tasks"]["model"].get("architecture") != "transformer":
        raise InvalidArgumentError(f"tasks={task.name!r} is not allowed here: it must be counting, by a transformer")
    device, run_folder = device_of(config), RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        if wanted["model_path"] is None:
            model = trained(run_folder, task, config["tasks"], config["seed"], device, tracker)
        else:
            model = load_model(Path(wanted["model_path"]), device)
        assert isinstance(model, TransformerLM)
        generator = torch.Generator(device).manual_seed(config["seed"])
        batch = task.sample(wanted["trials"], generator=generator)
        found = strength_value(model, task, batch, margin=wanted["margin"])
        label = "adds to end - response" if wanted["margin"] else "adds to the end's logit"
        tracker.image("strength_value", write(figure(found, ylabel=label), folder / FIGURE))
    run_folder.finish(summary(found))
    display.console.print(table(found))
    display.console.print(MEANING, style="dim", highlight=False)
    display.console.print(f"run folder   {os.path.relpath(folder)}", soft_wrap=True, highlight=False)
    return found


def summary(found: StrengthValue) -> dict[str, Any]:
    """Slopes by kind, layer and head, and what the terms sum to, as plain values."""
    return {
        "strength": {name: slopes.tolist() for name, slopes in found.strength().items()},
        "pushes": found.pushes(),
        "rest": found.rest,
        "error": found.error,
    }


def table(found: StrengthValue) -> Table:
    """One row a head: the slope of each kind of token; and what all heads add."""
    slopes, weight = found.strength(), found.weight
    made = Table(title="strength-value, in logits", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("head", *slopes):
        made.add_column(heading, justify="left" if heading == "head" else "right", no_wrap=True)
    for layer in range(weight.shape[0]):
        for head in range(weight.shape[1]):
            made.add_row(f"{layer}.{head}", *(f"{float(s[layer, head]):.2f}" for s in slopes.values()))
    made.add_row("summed", *(f"{value:.2f}" for value in found.pushes().values()))
    return made
