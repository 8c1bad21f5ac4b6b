"""Next-token training of a model on a task ([N] section 3.2)."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from numsym.errors import check_at_least, check_between, check_name
from numsym.models.logits import by_length, check_vocabulary, next_token_logits
from numsym.run import NO_RUN, NoRun
from numsym.tasks import Batch, Task
from numsym.training.evaluation import evaluate
from numsym.training.loop import Checks, OnCheck, Record, TrainingLog, fit, kept, title_of
from numsym.training.optimisers import SCHEDULES, Optimisers

logger = logging.getLogger(__name__)

POOL = 32
"""Batches sampled at a time: sampling costs the same number of steps for one trial as for thousands."""

LENGTH_PARTS = 4
"""Parts, each as long as its longest trial, in which a padded batch runs on a CPU: half of a batch is padding."""

MEASURED, CONFIRM = 400, 4000
"""Trials of a check, and those that must all be right too before training is said to have reached its goal."""


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
    on_check: OnCheck | None = None,
    keep_at: Collection[int] = (),
    on_keep: Callable[[int], Any] | None = None,
    run: NoRun = NO_RUN,
    name: str = "model",
) -> TrainingLog:
    """Train `model` in place on the numbers of `task` that are not held out, until its trials are right.

    The loss is the cross-entropy of predictable tokens. Every `check_every` steps accuracy is measured over all
    numbers, the held-out ones included; when it reaches `stop_at`, also on `CONFIRM` fresh trials, training ends.
    The model is left in evaluation mode.

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
        DivergedError: the loss is not finite.
    """
    check_vocabulary(model, task)
    numbers = {"steps": steps, "batch_size": batch_size, "check_every": check_every, "learning_rate": learning_rate}
    settings = {**numbers, "clip": clip, "stop_at": stop_at, "schedule": schedule}
    check_settings(settings)

    def keep(step: int) -> None:
        if on_keep is not None and step in keep_at:
            on_keep(step)

    def make() -> TrainingLog:
        generator, device = torch.Generator().manual_seed(seed), next(model.parameters()).device
        adam = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=learning_rate)
        log = fit(
            model,
            next_token_loss,
            Optimisers(adam, schedule=lambda step: SCHEDULES[schedule](step / steps)),
            _batches(task, batch_size, generator, device),
            steps,
            _checks(model, task, generator, lambda step: step % check_every == 0 or step == steps, stop_at, on_check),
            clip=clip,
            on_step=keep,
            run=run,
            title=title_of(name),
        )
        if keep_at and on_keep is not None and log.steps not in keep_at:
            on_keep(log.steps)
        if not log.reached:
            message = "training ended after steps=%d without reaching stop_at=%g: the last trial accuracy is %g"
            logger.warning(message, steps, stop_at, log.records[-1]["accuracy"])
        if run is not NO_RUN:
            log.evaluation = evaluate(model, task)
        return log

    return kept(run, name, model, {"task": task.asked(), **settings, "seed": seed, "kept": list(keep_at)}, make)


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


def log_spaced(steps: int, n: int, first: int = 10) -> tuple[int, ...]:
    """0, and up to `n` further steps whose logarithms are evenly spaced from `first` to `steps`."""
    check_at_least("n", n, 2)
    check_at_least("steps", steps, first)
    ratio = (steps / first) ** (1 / (n - 1))
    return (0, *sorted({round(first * ratio**i) for i in range(n)}))


def next_token_loss(model: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """The mean cross-entropy of the predictable tokens of a batch, by parts of trials that are about as long."""
    tokens = batch.predictable[:, 1:].sum()
    for rows in by_length(model, batch, LENGTH_PARTS):
        logits, targets, _ = next_token_logits(model, batch.rows(rows))
        yield nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens


def _checks(
    model: nn.Module,
    task: Task,
    generator: torch.Generator,
    due: Callable[[int], bool],
    stop_at: float | int,
    on_check: OnCheck | None,
) -> Checks:
    """Trial accuracy on fresh trials, and its confirmation on more of them."""

    def accuracy(n: int) -> float:
        return evaluate(model, task, n=n, generator=generator).accuracy

    def measure(losses: list[Tensor]) -> Record:
        found = accuracy(MEASURED)
        return {"loss": torch.stack(losses).mean().item(), "accuracy": found}

    def enough(record: Record) -> bool:
        return record["accuracy"] >= stop_at and accuracy(CONFIRM) >= stop_at

    return Checks(due, measure, enough, on_check=on_check)


def _batches(task: Task, size: int, generator: torch.Generator, device: torch.device) -> Iterator[Batch]:
    """Batches without end, each cut to its own longest trial."""
    while True:
        pool = task.sample(size * POOL, generator=generator, split="train")
        for start in range(0, size * POOL, size):
            rows = slice(start, start + size)
            yield pool.rows(rows).to(device)
