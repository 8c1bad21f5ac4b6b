"""Training the small adders of the Fourier experiments: AdamW or Muon, fresh trials, the answer's tokens alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from numsym.errors import Options, check_at_least, check_between, check_name, options_of
from numsym.run import NO_RUN, NoRun
from numsym.tasks.addition import AdditionTask
from numsym.training.loop import Checks, OnCheck, Record, TrainingLog, fit, kept, title_of
from numsym.training.optimisers import NAMES, Optimisers, adamw_or_muon, warmed

POOL = 32

Rows = Int[Tensor, "batch pos"]


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
    task: AdditionTask,
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
    share of right digits, all over the steps since the last check (at the start: of the first batch); and what
    `measure` gives.

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
    steps, rate, decay = settings.steps, settings.learning_rate, settings.weight_decay

    def schedule(step: int) -> float:
        return warmed(step, 100) * max(0.05, 1 - step / steps)

    def make() -> TrainingLog:
        answers = Answers(task.digits)
        optimisers = Optimisers(*adamw_or_muon(model, optimiser, rate, decay), schedule=schedule)
        checks = _checks(model, answers, settings, measure, on_check)
        batches = _batches(task, settings.batch_size, seed, next(model.parameters()).device)
        return fit(model, answers, optimisers, batches, steps, checks, clip=1.0, run=run, title=title_of(name))

    said = {"task": task.asked(), **asdict(settings), "optimiser": optimiser, "seed": seed, **(asked or {})}
    return kept(run, name, model, said, make)


class Answers:
    """The loss of the answer's tokens; it gathers how many are right.

    Args:
        digits: tokens of an answer.
    """

    def __init__(self, digits: int):
        self.digits = digits
        self.right: list[Tensor] = []

    def __call__(self, model: nn.Module, rows: Rows) -> Iterator[Tensor]:
        """The mean cross-entropy, over trials and tokens."""
        logits = model(input_ids=rows[:, :-1])["logits"][:, -self.digits :]
        answer = rows[:, -self.digits :]
        right = (logits.detach().argmax(-1) == answer).float()
        self.right.append(torch.stack([right.amin(1).mean(), right.mean()]))
        yield nn.functional.cross_entropy(logits.flatten(0, 1), answer.flatten())

    def taken(self) -> list[float]:
        """The shares of right trials and of right digits since they were taken last."""
        means = mean(self.right).tolist()
        self.right.clear()
        return means


def mean(values: list[Tensor]) -> Tensor:
    """Of a list, in its order."""
    return torch.as_tensor(sum(values) / len(values))


def _checks(
    model: nn.Module,
    answers: Answers,
    settings: AdderTraining,
    further: Callable[[nn.Module], Mapping[str, float | int]] | None,
    on_check: OnCheck | None,
) -> Checks:
    marks = {round(i * settings.steps / settings.checks) for i in range(settings.checks + 1)}

    def measure(losses: list[Tensor]) -> Record:
        loss, (accuracy, digits) = mean(losses).item(), answers.taken()
        return {"loss": loss, "accuracy": accuracy, "digits": digits, **(further(model) if further else {})}

    def enough(record: Record) -> bool:
        return record["accuracy"] >= settings.stop_at

    return Checks(marks.__contains__, measure, enough, between=True, on_check=on_check)


def _batches(task: AdditionTask, size: int, seed: int, device: torch.device) -> Iterator[Rows]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from task.sample(size * POOL, generator=generator).input_ids.to(device).split(size)
