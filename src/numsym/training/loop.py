"""Next-token training of a model on a task ([N] section 3.2)."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from numsym.errors import check_at_least, check_between, check_name
from numsym.models.logits import by_length, check_vocabulary, next_token_logits
from numsym.models.weights import hash_of, read_weights, write_weights
from numsym.results import plain, rebuilt
from numsym.run import NO_RUN, NoRun
from numsym.storage import read_json, write_json
from numsym.tasks import Batch, Task
from numsym.training.evaluation import Evaluation, evaluate

logger = logging.getLogger(__name__)

TRAINING = "training.json"

POOL = 32
"""Batches sampled at a time: sampling costs the same number of steps for one trial as for thousands."""

LENGTH_PARTS = 4
"""Parts, each as long as its longest trial, in which a padded batch runs on a CPU: half of a batch is padding."""

SCHEDULES: dict[str, Callable[[float], float]] = {"constant": lambda done: 1.0, "linear": lambda done: 1.0 - done}
"""By the share of the steps that is done, what the learning rate is multiplied with."""

CONFIRM = 4000
"""Trials that must all be right before training is said to have reached its goal."""


@dataclass
class TrainingLog:
    """How training went.

    Attributes:
        reached: whether the goal was reached; if not, `steps` ran out first.
        steps: optimiser steps taken.
        seconds: wall time, checks included.
        records: one a check, with `step`, `loss` (mean cross-entropy of predictable tokens, in nats, since the last
            check) and `accuracy`.
        evaluation: of the trained model, where it was trained in a run.
    """

    reached: bool = False
    steps: int = 0
    seconds: float = 0.0
    records: list[dict[str, float | int]] = field(default_factory=list)
    evaluation: Evaluation | None = None


def train(
    model: nn.Module,
    task: Task,
    *,
    steps: int = 5000,
    batch_size: int = 128,
    learning_rate: float | int = 2e-3,
    clip: float | int = 1.0,
    schedule: str = "constant",
    stop_at: float | int = 1.0,
    check_every: int = 100,
    seed: int = 0,
    on_check: Callable[[dict[str, float | int]], Any] | None = None,
    keep_at: Collection[int] = (),
    on_keep: Callable[[int], Any] | None = None,
    run: NoRun = NO_RUN,
    name: str = "model",
) -> TrainingLog:
    """Train `model` in place on the numbers of `task` that are not held out, until its trials are right.

    The loss is the cross-entropy of predictable tokens. Every `check_every` steps accuracy is measured over all
    numbers, the held-out ones included; when it reaches `stop_at`, also on `CONFIRM` fresh trials, training ends.

    Args:
        model: any model whose forward takes `input_ids` and `attention_mask` and returns `logits` (batch, pos, vocab).
        task: what to learn.
        steps: the most optimiser steps.
        batch_size: trials a step.
        learning_rate: of Adam.
        clip: the largest norm of a gradient.
        schedule: of the learning rate: "constant", or "linear", which falls to zero over `steps`.
        stop_at: trial accuracy at which to end, in 0..1.
        check_every: steps between checks.
        seed: of the trials; the weights are the model's own.
        on_check: called with each record of the log.
        keep_at: steps after which `on_keep` is called with their number, 0 for the start, such as `log_spaced` gives;
            the last step taken is always among them.
        on_keep: what keeps the weights, in memory or in a folder.
        run: where the trained model is kept, as `name`; one that is there is read, and not trained again.
        name: of the part of the run.

    Raises:
        ModelMismatchError: the model has fewer tokens than the task.
        InvalidArgumentError: a number is out of range.
    """
    check_vocabulary(model, task)
    limits = {"learning_rate": learning_rate, "clip": clip, "stop_at": stop_at, "schedule": schedule}
    check_settings({"steps": steps, "batch_size": batch_size, "check_every": check_every, **limits})
    settings = {**limits, "steps": steps, "batch_size": batch_size, "check_every": check_every, "seed": seed}

    def make() -> TrainingLog:
        generator = torch.Generator().manual_seed(seed)
        with run.stage("training" if name == "model" else name, steps) as stage:

            def check(record: dict[str, float | int]) -> None:
                stage.to(int(record["step"]), loss=record["loss"], accuracy=record["accuracy"])
                stage.record("training" if name == "model" else name, record)
                if on_check is not None:
                    on_check(record)

            watch = _Watch(model, task, steps, stop_at, check_every, generator, check, keep_at, on_keep)
            watch.start()
            for loss in _losses(model, task, steps, batch_size, learning_rate, clip, schedule, generator):
                if watch.reached_after(loss):
                    break
            return watch.end()

    def save(log: TrainingLog, folder: Path) -> None:
        log.evaluation = evaluate(model, task)
        write_weights(model, folder)
        written = {
            "log": {k: v for k, v in plain(log).items() if k != "evaluation"},
            "evaluation": plain(log.evaluation),
        }
        write_json(folder / TRAINING, written)

    def load(folder: Path) -> TrainingLog:
        read_weights(model, folder)
        model.eval()
        read = read_json(folder / TRAINING)
        return rebuilt(TrainingLog, {**read["log"], "evaluation": read["evaluation"]})

    asked = (
        {"task": task.asked(), **settings, "weights": hash_of(model), "kept": list(keep_at)}
        if run is not NO_RUN
        else {}
    )
    return run.keep(name, make, load, save=save, asked=asked)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check those of the settings of `train` that are given.

    Raises:
        InvalidArgumentError: a number is out of range, or there is no such schedule.
    """
    for name, low in (("steps", 1), ("batch_size", 1), ("check_every", 1), ("learning_rate", 0), ("clip", 0)):
        if name in settings:
            check_at_least(name, settings[name], low)
    if "stop_at" in settings:
        check_between("stop_at", settings["stop_at"], 0, 1)
    if "schedule" in settings:
        check_name("schedule", settings["schedule"], SCHEDULES)


@dataclass
class _Watch:
    """What `train` does before, between and after its steps: weights are kept, accuracy is measured and logged."""

    model: nn.Module
    task: Task
    steps: int
    stop_at: float | int
    check_every: int
    generator: torch.Generator
    on_check: Callable[[dict[str, float | int]], Any] | None
    keep_at: Collection[int]
    on_keep: Callable[[int], Any] | None
    log: TrainingLog = field(default_factory=TrainingLog)
    losses: list[Tensor] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        """Before the first step."""
        self._keep(0, 0 in self.keep_at)

    def reached_after(self, loss: Tensor) -> bool:
        """After a step, given its loss: whether it reached the goal, as far as it is time to measure it."""
        log = self.log
        log.steps += 1
        self.losses.append(loss)
        self._keep(log.steps, log.steps in self.keep_at)
        if log.steps % self.check_every == 0 or log.steps == self.steps:
            self._check()
        return log.reached

    def end(self) -> TrainingLog:
        """After the last step."""
        log = self.log
        self.model.eval()
        self._keep(log.steps, log.steps not in self.keep_at)
        log.seconds = time.perf_counter() - self.started
        if not log.reached:
            message = "training ended after steps=%d without reaching stop_at=%g: the last trial accuracy is %g"
            logger.warning(message, self.steps, self.stop_at, log.records[-1]["accuracy"])
        return log

    def _keep(self, step: int, wanted: bool) -> None:
        if wanted and self.keep_at and self.on_keep is not None:
            self.on_keep(step)

    def _check(self) -> None:
        accuracy = self._accuracy(400)
        record = {"step": self.log.steps, "loss": torch.stack(self.losses).mean().item(), "accuracy": accuracy}
        self.log.records.append(record)
        self.losses.clear()
        if self.on_check is not None:
            self.on_check(record)
        self.log.reached = accuracy >= self.stop_at and self._accuracy(CONFIRM) >= self.stop_at
        self.model.train()

    def _accuracy(self, n: int) -> float:
        return evaluate(self.model, self.task, n=n, generator=self.generator).accuracy


def log_spaced(steps: int, n: int, first: int = 10) -> tuple[int, ...]:
    """0, and up to `n` further steps whose logarithms are evenly spaced from `first` to `steps`."""
    check_at_least("n", n, 2)
    check_at_least("steps", steps, first)
    ratio = (steps / first) ** (1 / (n - 1))
    return (0, *sorted({round(first * ratio**i) for i in range(n)}))


def _losses(
    model: nn.Module,
    task: Task,
    steps: int,
    batch_size: int,
    learning_rate: float | int,
    clip: float | int,
    schedule: str,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Optimiser steps, one by one: the loss before each."""
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=learning_rate)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: SCHEDULES[schedule](step / steps))
    model.train()
    for batch in islice(_batches(task, batch_size, generator, device), steps):
        loss = _step(model, batch, optimiser, clip)
        rates.step()
        yield loss


def _step(model: nn.Module, batch: Batch, optimiser: torch.optim.Optimizer, clip: float | int) -> Tensor:
    """One optimiser step; returns the loss before it."""
    optimiser.zero_grad(set_to_none=True)
    tokens, total = batch.predictable[:, 1:].sum(), torch.zeros((), device=batch.input_ids.device)
    for rows in by_length(model, batch, LENGTH_PARTS):
        logits, targets, _ = next_token_logits(model, batch.rows(rows))
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens
        loss.backward()
        total += loss.detach()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return total


def _batches(task: Task, size: int, generator: torch.Generator, device: torch.device) -> Iterator[Batch]:
    """Batches without end, each cut to its own longest trial."""
    while True:
        pool = task.sample(size * POOL, generator=generator, split="train")
        for start in range(0, size * POOL, size):
            rows = slice(start, start + size)
            yield pool.rows(rows).to(device)
