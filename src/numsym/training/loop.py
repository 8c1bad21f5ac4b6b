"""The training loop: loss, optimisers and batches are given to it, and so is what is measured on the way."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from numsym.errors import DivergedError
from numsym.models.weights import hash_of, read_weights, write_weights
from numsym.results import plain, rebuilt
from numsym.run import NO_RUN, NoRun, Stage
from numsym.storage import read_json, write_json
from numsym.training.evaluation import Evaluation
from numsym.training.optimisers import Optimisers

B = TypeVar("B")
M = TypeVar("M", bound=nn.Module)

TRAINING = "training.json"

SHOWN = ("loss", "accuracy", "test_accuracy")
"""What a line of progress shows of a record."""

Record = dict[str, float | int]
"""What a check found: `step`, and what was measured."""

OnCheck = Callable[[Record], Any]


@dataclass
class TrainingLog:
    """How training went.

    Attributes:
        reached: whether the goal was reached; if not, the steps ran out first.
        steps: optimiser steps taken.
        seconds: wall time, checks included.
        records: one a check, with `step` and what was measured; for `train` that is `loss` (mean cross-entropy of
            predictable tokens, in nats, since the last check) and `accuracy`.
        evaluation: of a model that `train` trained in a run.
    """

    reached: bool = False
    steps: int = 0
    seconds: float = 0.0
    records: list[Record] = field(default_factory=list)
    evaluation: Evaluation | None = None


@dataclass
class Checks:
    """When training is looked at, and what for.

    Attributes:
        due: from the steps taken, whether it is time.
        measure: from the losses since the last check, what its record says besides the step.
        enough: from a record, whether the goal is reached, so that training ends.
        between: whether a check comes between a loss and the step that is made with it, from the start on: what it
            measures are the weights that the last of its losses is of. Otherwise it comes after the step.
        on_check: called with each record.
    """

    due: Callable[[int], bool]
    measure: Callable[[list[Tensor]], Mapping[str, float | int]]
    enough: Callable[[Record], bool]
    between: bool = False
    on_check: OnCheck | None = None


def fit(
    model: M,
    loss: Callable[[M, B], Iterable[Tensor]],
    optimisers: Optimisers,
    batches: Iterable[B],
    steps: int,
    checks: Checks,
    *,
    clip: float | int | None = None,
    on_step: Callable[[int], Any] | None = None,
    run: NoRun = NO_RUN,
    title: str = "training",
) -> TrainingLog:
    """Train a model in place; it is left in evaluation mode.

    Args:
        model: what is trained.
        loss: of a batch, in parts, of which it is the sum: each is backpropagated by itself, so that the memory is
            that of one.
        optimisers: over its parameters.
        batches: at least as many as there are steps, and one more for checks `between`.
        steps: the most that are made.
        checks: when it is measured, and when that is enough.
        clip: the largest norm of a gradient; by default there is none.
        on_step: called with the number of steps taken: 0 at the start, and after each.
        run: where the progress is shown.
        title: of the line of progress, and of its curves.
    """
    step = on_step or (lambda step: None)
    with run.stage(title, steps) as stage:
        watch = _Watch(model, checks, stage, title)
        step(0)
        model.train()
        for batch in batches:
            optimisers.zero_grad()
            watch.losses.append(_backward(loss(model, batch)))
            if checks.between and (watch.reached() or watch.log.steps == steps):
                break
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimisers.step()
            watch.log.steps += 1
            step(watch.log.steps)
            if not checks.between and (watch.reached() or watch.log.steps == steps):
                break
    model.eval()
    watch.log.seconds = time.perf_counter() - watch.started
    return watch.log


def _backward(parts: Iterable[Tensor]) -> Tensor:
    """Add the gradients of a loss; returns it, without gradients."""
    total: Any = 0
    for part in parts:
        part.backward()
        total = total + part.detach()
    return total


@dataclass
class _Watch:
    """The checks of one training, and its log."""

    model: nn.Module
    checks: Checks
    stage: Stage
    title: str
    log: TrainingLog = field(default_factory=TrainingLog)
    losses: list[Tensor] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def reached(self) -> bool:
        """Whether the goal is reached, as far as it is time to measure it."""
        log, checks = self.log, self.checks
        if not checks.due(log.steps):
            return False
        self._check_finite()
        record: Record = {"step": log.steps, **checks.measure(self.losses)}
        self.losses.clear()
        log.records.append(record)
        self.stage.to(log.steps, **{name: record[name] for name in SHOWN if name in record})
        self.stage.record(self.title, record)
        if checks.on_check is not None:
            checks.on_check(record)
        log.reached = checks.enough(record)
        self.model.train()
        return log.reached

    def _check_finite(self) -> None:
        """Raise `DivergedError` where a loss since the last check is not finite."""
        bad = [loss for loss in torch.stack(self.losses).tolist() if not math.isfinite(loss)] if self.losses else []
        if bad:
            kind = str(next(self.model.parameters()).dtype).removeprefix("torch.")
            raise DivergedError(
                f"{self.title} came to a loss of {bad[0]} within {self.log.steps} steps: give a lower learning rate, "
                f"or weights of a wider type than {kind}"
            )


def title_of(name: str) -> str:
    """What the training of a part of a run is called."""
    return "training" if name == "model" else name.rpartition("/")[2]


def kept(
    run: NoRun, name: str, model: nn.Module, asked: Mapping[str, Any], make: Callable[[], TrainingLog]
) -> TrainingLog:
    """Train a model in a run, or give it the weights that it was trained to there.

    Args:
        run: where the trained model is kept.
        name: of the part of the run.
        model: as it starts; left as it is trained, in evaluation mode.
        asked: by what it is trained, as plain values; its weights are added.
        make: trains it.
    """

    def save(log: TrainingLog, folder: Path) -> None:
        write_weights(model, folder)
        written = plain(log)
        evaluation = written.pop("evaluation")
        write_json(folder / TRAINING, {"log": written, "evaluation": evaluation})

    def load(folder: Path) -> TrainingLog:
        read_weights(model, folder)
        model.eval()
        read = read_json(folder / TRAINING)
        return rebuilt(TrainingLog, {**read["log"], "evaluation": read["evaluation"]})

    said = {} if run is NO_RUN else {**asked, "weights": hash_of(model)}
    return run.keep(name, make, load, save=save, asked=said)
