"""Train one modular adder as [P] does and measure which algorithm it came to run: one point of the phase diagram."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from numsym.circuits import circuit_report
from numsym.errors import InvalidArgumentError
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import new_folder, read_json, write_json
from numsym.tasks import ModularAddition, load_task
from numsym.training.modular import ModularTrainingSettings, build_adder, train_adder

RESULT = "modular_adder.json"


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train the network of the recipe `tasks=modular_addition`, measure it, and write the run folder.

    The seed is that of the split of pairs and of the weights.
    """
    recipe, seed = config["tasks"], config["seed"]
    if recipe["name"] != ModularAddition.name:
        raise InvalidArgumentError(f"tasks={recipe['name']!r} is not allowed here: use tasks=modular_addition")
    task = load_task({**recipe, "arguments": {**recipe["arguments"], "seed": seed}})
    assert isinstance(task, ModularAddition)
    settings = ModularTrainingSettings(**recipe["training"] | {"betas": tuple(recipe["training"]["betas"])})
    device = ("cuda" if torch.cuda.is_available() else "cpu") if config["device"] == "auto" else config["device"]
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker, display.stage("training", settings.epochs) as stage:

        def show(row: dict[str, Any]) -> None:
            stage.to(row["epoch"], loss=row["train_loss"], test_accuracy=row["test_accuracy"])
            tracker.log("training", {"step": row["epoch"], **row})

        result = train_and_measure(
            folder / "adder", task=task, settings=settings, seed=seed, device=device, on_log=show, **recipe["model"]
        )
    run_folder.add_metrics(read_json(folder / "adder" / "history.json"))
    run_folder.finish(result)
    epoch = result["first_epoch_right"]
    when = "never right on all held-out pairs" if epoch is None else f"right on all held-out pairs at epoch {epoch}"
    display.console.print(f"{result['verdict']}: {when}")
    display.console.print(f"run folder   {folder}")
    return result


def train_and_measure(
    folder: str | os.PathLike,
    *,
    task: ModularAddition,
    settings: ModularTrainingSettings | None = None,
    seed: int = 0,
    device: str = "cpu",
    kind: str = "transformer",
    on_log: Callable[[dict[str, Any]], None] | None = None,
    **shape: Any,
) -> dict[str, Any]:
    """Train a network, and write it, its history, its report and a figure of its training to a new folder.

    Args:
        folder: gets `model/` (`from_pretrained` reads it), `history.json`, `modular_adder.json` and `training.png`.
        task: what is learned.
        settings: how; by default as [P].
        seed: of the weights.
        device: where the run happens.
        kind: "transformer" or a linear kind.
        on_log: called with each row of the history.
        shape: options of the model's config, such as alpha and hidden_size.

    Returns:
        The content of `modular_adder.json`: the options, the first epoch with full held-out accuracy, the metrics and
        the circles.

    Raises:
        RunFolderError: the folder exists.
    """
    from numsym.plots.circuits import plot_training

    with new_folder(folder) as temporary:
        model = build_adder(task, seed=seed, kind=kind, **shape)
        nn.Module.to(model, device)
        training = train_adder(model, task, settings, on_log=on_log)
        report = circuit_report(model)
        result = {
            "p": task.p,
            "kind": kind,
            "seed": seed,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            **shape,
            "epochs": training.history[-1]["epoch"],
            "seconds": training.seconds,
            "first_epoch_right": training.first_epoch(),
            **report.as_dict(),
        }
        model.save_pretrained(temporary / "model")
        write_json(temporary / "history.json", training.history)
        write_json(temporary / RESULT, result)
        plot_training(training.history, title=report.metrics.verdict).savefig(temporary / "training.png", dpi=120)
    return result


def collect(folders: Iterable[str | os.PathLike], *, needs: Sequence[str] = ("alpha",)) -> list[dict[str, Any]]:
    """The results of all runs below the given folders, sorted by their path.

    Raises:
        InvalidArgumentError: there is none, or one lacks an entry in `needs`.
    """
    roots = [Path(folder) for folder in folders]
    files = sorted({file for root in roots for file in root.rglob(RESULT)})
    if not files:
        raise InvalidArgumentError(f"runs={[str(root) for root in roots]} hold no {RESULT}: train some first")
    rows = [read_json(file) for file in files]
    for file, row in zip(files, rows, strict=True):
        if missing := [name for name in needs if name not in row]:
            raise InvalidArgumentError(f"{str(file)!r} has no {', '.join(missing)}: a linear model has no place here")
    return rows
