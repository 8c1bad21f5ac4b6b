"""Training the small adders of the Fourier experiments: AdamW or Muon, fresh trials, the answer's tokens alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym.errors import Options, check_at_least, check_between, check_name, options_of
from numsym.run import NO_RUN, NoRun
from numsym.tasks.base import Batch, Task
from numsym.training.loop import Checks, OnCheck, Record, TrainingLog, fit, kept, title_of
from numsym.training.optimisers import NAMES, Optimisers, adamw_or_muon, warmed

POOL = 32

TESTED = 1000
"""Trials of held-out pairs on which an adder is measured."""


@dataclass(frozen=True)
class AdderTraining:
    """How an adder is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: trials a step, drawn anew each time.
        learning_rate: of AdamW; it rises over 100 steps and then falls linearly to a twentieth.
        weight_decay: of all optimisers.
        checks: how often it is measured, evenly spaced, besides the start.
        stop_at: share of right trials over a check at which training ends; above 1 never.
    """

    steps: int = 2000
    batch_size: int = 128
    learning_rate: float | int = 2e-3
    weight_decay: float | int = 0.1
    checks: int = 10
    stop_at: float | int = 2.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checks"):
            check_at_least(name, getattr(self, name), 1)
        check_between("checks", self.checks, 1, self.steps)
        check_between("weight_decay", self.weight_decay, 0, float("inf"))


def train_adder(
    model: nn.Module,
    task: Task,
    settings: Options[AdderTraining] = None,
    *,
    optimiser: str = "adamw",
    seed: int = 0,
    measure: Callable[[nn.Module], Mapping[str, float | int]] | None = None,
    on_check: OnCheck | None = None,
    asked: Mapping[str, Any] | None = None,
    run: NoRun = NO_RUN,
    name: str = "model",
) -> TrainingLog:
    """Train on fresh trials by the cross-entropy of the answer's tokens.

    A record has `step`, `loss` (nats a token), `accuracy`, the share of trials with every digit right, `digits`, the
    share of right digits, all over the steps since the last check (at the start: of the first batch); `test_accuracy`,
    the share of right trials among held-out pairs, where the task has some; and what `measure` gives.

    Args:
        model: trained in place, and left in evaluation mode.
        task: what to learn.
        settings: an `AdderTraining`, or some of its fields.
        optimiser: "adamw", or "muon" for the hidden matrices with AdamW for embeddings and biases.
        seed: of the trials; the weights are the model's own.
        measure: what else to measure of the model at each check.
        on_check: called with each record.
        asked: what `measure` is made from, as plain values, for the run.
        run: where the trained model is kept, as `name`; one that is there is read, and not trained again.
        name: of the part of the run.

    Raises:
        UnknownNameError: no such optimiser.
    """
    settings = options_of(AdderTraining, settings)
    check_name("optimiser", optimiser, NAMES)

    further = [measure] if measure else []
    device = next(model.parameters()).device
    if task.has_held_out:
        trials = task.sample(TESTED, generator=torch.Generator().manual_seed(seed), split="held_out").to(device)
        further.insert(0, lambda model: {"test_accuracy": right_share(model, trials)})
    answers = Answers()
    checks = _checks(answers, settings, further, model, on_check)
    batches = _batches(task, settings.batch_size, seed, device)
    said = {"task": task.asked(), "seed": seed, **(asked or {})}
    return trained(model, answers, batches, checks, settings, optimiser, said=said, run=run, name=name)


def trained(
    model: nn.Module,
    loss: Any,
    batches: Iterator[Any],
    checks: Checks,
    settings: AdderTraining,
    optimiser: str,
    *,
    said: Mapping[str, Any],
    run: NoRun,
    name: str,
) -> TrainingLog:
    """Train by these settings, or read what a run keeps.

    Args:
        model: trained in place.
        loss: of a batch, as for `fit`.
        batches: without an end.
        checks: when it is measured.
        settings: the steps and their sizes.
        optimiser: "adamw" or "muon".
        said: what else tells this training from others, as plain values.
        run: where the trained model is kept.
        name: of the part of the run.
    """

    def make() -> TrainingLog:
        optimisers = optimisers_of(model, settings, optimiser)
        return fit(model, loss, optimisers, batches, settings.steps, checks, clip=1.0, run=run, title=title_of(name))

    return kept(run, name, model, {**said, **asdict(settings), "optimiser": optimiser}, make)


class Answers:
    """The loss of the tokens that follow from those before them, the answer's; it gathers how many are right."""

    def __init__(self) -> None:
        self.right: list[Tensor] = []

    def __call__(self, model: nn.Module, trials: Batch) -> Iterator[Tensor]:
        """The mean cross-entropy over these tokens."""
        logits, asked = answered(model, trials)
        right = (logits.detach().argmax(-1) == trials.input_ids[:, 1:]) & asked
        self.right.append(torch.stack([(right | ~asked).all(1).float().mean(), right.sum() / asked.sum()]))
        yield nn.functional.cross_entropy(logits[asked], trials.input_ids[:, 1:][asked])

    def taken(self) -> list[float]:
        """The shares of right trials and of right digits since they were taken last."""
        means = mean(self.right).tolist()
        self.right.clear()
        return means


def answered(model: Any, trials: Batch) -> tuple[Float[Tensor, "batch pos token"], Bool[Tensor, "batch pos"]]:
    """Logits of the tokens after the first one, and which of those are of the answer."""
    return model(input_ids=trials.input_ids[:, :-1])["logits"], trials.predictable[:, 1:]


@torch.no_grad()
def right_share(model: nn.Module, trials: Batch) -> float:
    """The share of trials with every token of the answer right, fed the right ones before it."""
    model.eval()
    logits, asked = answered(model, trials)
    return float(((logits.argmax(-1) == trials.input_ids[:, 1:]) | ~asked).all(1).float().mean())


def mean(values: list[Tensor]) -> Tensor:
    """Of a list, in its order."""
    return torch.as_tensor(sum(values) / len(values))


def _checks(
    answers: Answers,
    settings: AdderTraining,
    further: Sequence[Callable[[nn.Module], Mapping[str, float | int]]],
    model: nn.Module,
    on_check: OnCheck | None,
) -> Checks:
    def measure(losses: list[Tensor]) -> Record:
        loss, (accuracy, digits) = mean(losses).item(), answers.taken()
        found: Record = {"loss": loss, "accuracy": accuracy, "digits": digits}
        for one in further:
            found |= one(model)
        return found

    def enough(record: Record) -> bool:
        return record["accuracy"] >= settings.stop_at

    return checked_evenly(settings, measure, enough, on_check)


def checked_evenly(
    settings: AdderTraining,
    measure: Callable[[list[Tensor]], Record],
    enough: Callable[[Record], bool],
    on_check: OnCheck | None,
) -> Checks:
    """Checks at the start and then as often as the settings say, of the weights that the last loss is of."""
    marks = {round(i * settings.steps / settings.checks) for i in range(settings.checks + 1)}
    return Checks(marks.__contains__, measure, enough, between=True, on_check=on_check)


def optimisers_of(model: nn.Module, settings: AdderTraining, name: str) -> Optimisers:
    """AdamW or Muon by the schedule of these settings."""

    def schedule(step: int) -> float:
        return warmed(step, 100) * max(0.05, 1 - step / settings.steps)

    made = adamw_or_muon(model, name, settings.learning_rate, settings.weight_decay)
    return Optimisers(*made, schedule=schedule)


def _batches(task: Task, size: int, seed: int, device: torch.device) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        pool = task.sample(size * POOL, generator=generator, split="train").to(device)
        yield from (pool.rows(slice(start, start + size)) for start in range(0, size * POOL, size))
