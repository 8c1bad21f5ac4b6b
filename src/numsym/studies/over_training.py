"""IIA over training: alignments at checkpoints on a log-spaced schedule. [N] finds that IIA rises with accuracy."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file
from torch import Tensor, nn

from numsym._pyvene import frozen
from numsym.alignment import Hypotheses, PairCounts, SearchSettings, align_many, named
from numsym.alignment.pairs import Positions
from numsym.errors import Options, RunFolderError, check_at_least, check_name
from numsym.models import Site, hash_of
from numsym.models.weights import FILE, write_weights
from numsym.run import NO_RUN, NoRun, rehearse
from numsym.studies.catalog import study
from numsym.studies.curve import Curve
from numsym.tasks import Task
from numsym.training import evaluate, log_spaced, train

OWN = ("model", "task", "seed", "on_check", "keep_at", "on_keep", "run", "name")
DEFAULTS = {name: one.default for name, one in inspect.signature(train).parameters.items() if name not in OWN}
"""The settings of training that can be given."""

Weights = dict[str, Tensor]


@dataclass(frozen=True, repr=False)
class OverTraining(Curve):
    """IIA against the steps of training."""

    name: ClassVar[str] = "over_training"


@study
def over_training(
    untrained: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    checkpoints: int = 10,
    training: Mapping[str, Any] | None = None,
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(max_steps=1000),
    pairs: Options[PairCounts] = PairCounts(train=4000, validation=500, test=1000),
    controls: bool | Sequence[str] = ("floor",),
    engine: str = "auto",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> OverTraining:
    """IIA at checkpoints of the training, beside trial accuracy.

    Args:
        untrained: a model as it starts; it is trained here, in place.
        task: what it is to learn.
        hypotheses: what to search for at each checkpoint.
        checkpoints: how many, log-spaced; the start and the last step are kept too.
        training: settings of `numsym.train`, such as `{"steps": 1000}`.
        site: where; see `numsym.align_many` for this and the next five.
        positions: where in the trials.
        search: its settings.
        pairs: how many.
        controls: which.
        engine: the route.
        seed: of the trials that it is trained on.
        run: where the model, its checkpoints and the alignments are kept and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    settings = {**DEFAULTS, **(training or {})}
    for setting in settings:
        check_name("setting of training", setting, DEFAULTS)
    check_at_least("checkpoints", checkpoints, 2)
    steps, asked = log_spaced(settings["steps"], checkpoints), named(hypotheses, task)
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": pairs, "controls": controls}
    options |= {"site": site, "engine": engine}
    rehearse(align_many, untrained, task, asked, **options)
    kept, rows = trained(untrained, task, settings, steps, seed, run), {}
    with frozen(untrained):
        for step, weights in kept.items():
            untrained.load_state_dict(weights, strict=False)
            found = align_many(untrained, task, asked, run=run.within(f"step{step:06d}"), **options)
            rows[step] = evaluate(untrained, task).accuracy, dict(zip(asked, found, strict=True))
    return run.show(OverTraining.of("optimiser steps", rows))


def trained(
    model: nn.Module, task: Task, settings: Mapping[str, Any], steps: Sequence[int], seed: int, run: NoRun
) -> dict[int, Weights]:
    """Train a model, and give its weights after these steps, as far as it takes them, and after the last.

    Each is a part of the run as soon as it is reached, and a model by itself, which `model=` can name. One that is gone
    or damaged, while the trained model is there, is made again by the same training.

    Raises:
        RunFolderError: the same training, on another machine or version, takes another course.
    """
    start, kept = _weights(model), dict[int, Weights]()
    asked = {"task": task.asked(), "weights": hash_of(model), "seed": seed, **settings}

    def save(weights: Weights, folder: Path) -> None:
        model.load_state_dict(weights)
        write_weights(model, folder)

    def read(folder: Path) -> Weights:
        return load_file(folder / FILE)

    def keep(step: int) -> None:
        kept[step] = run.keep(_part(step), lambda: _weights(model), read, save=save, asked=asked)

    def again(missing: Sequence[str]) -> dict[str, Weights]:
        model.load_state_dict(start)
        found: dict[str, Weights] = {}
        train(
            model,
            task,
            seed=seed,
            keep_at=steps,
            on_keep=lambda n: found.update({_part(n): _weights(model)}),
            **settings,
        )
        if gone := set(missing) - set(found):
            raise RunFolderError(
                f"{min(gone)} is gone from the run, and training again did not come to it: give a new folder"
            )
        return {name: found[name] for name in missing}

    log = train(model, task, seed=seed, keep_at=steps, on_keep=keep, run=run, **settings)
    parts = {
        _part(step): step for step in sorted({*(step for step in steps if step <= log.steps), log.steps} - {*kept})
    }
    found = run.keep_all(list(parts), again, read, save=save, asked=dict.fromkeys(parts, asked))
    return kept | {parts[name]: weights for name, weights in found.items()}


def _part(step: int) -> str:
    return f"checkpoints/{step:06d}"


def _weights(model: nn.Module) -> Weights:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
