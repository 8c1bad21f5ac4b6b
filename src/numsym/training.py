"""Next-token training of a model on a task, and how well it does on it ([N] section 3.2)."""

import inspect
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.errors import ModelMismatchError, check_at_least, check_between, check_name
from numsym.tasks import Batch, Task

logger = logging.getLogger(__name__)

POOL = 32
"""Batches sampled at a time: sampling costs the same number of steps for one trial as for thousands."""

LENGTH_PARTS = 4
"""Parts, each as long as its longest trial, in which a padded batch runs on a CPU: half of a batch is padding."""

SCHEDULES: dict[str, Callable[[float], float]] = {"constant": lambda done: 1.0, "linear": lambda done: 1.0 - done}
"""By the share of the steps that is done, what the learning rate is multiplied with."""

EVALUATED = 256
"""Trials that a model which does not pack evaluates at a time on a CPU."""

CONFIRM = 4000
"""Trials that must all be right before training is said to have reached its goal."""


@dataclass(frozen=True)
class Evaluation:
    """Trial accuracy: the share of trials in which every predictable token is right ([N] section 3.1).

    Attributes:
        accuracy: over all numbers, each as likely as any other.
        held_out: over the numbers that training never saw; `None` where there are none.
        by_count: number -> accuracy.
        trials: how many trials `accuracy` is over.
    """

    accuracy: float
    held_out: float | None
    by_count: dict[int, float]
    trials: int


@dataclass
class TrainingLog:
    """How training went.

    Attributes:
        reached: whether the goal was reached; if not, `steps` ran out first.
        steps: optimiser steps taken.
        seconds: wall time, checks included.
        records: one a check, with `step`, `loss` (mean cross-entropy of predictable tokens, in nats, since the last
            check) and `accuracy`.
    """

    reached: bool = False
    steps: int = 0
    seconds: float = 0.0
    records: list[dict[str, float | int]] = field(default_factory=list)


def check_vocabulary(model: nn.Module, task: Task) -> None:
    """Raise `ModelMismatchError` unless the model has a logit for each token of the task."""
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    if size is not None and size < task.vocab_size:
        raise ModelMismatchError(
            f"vocab_size={size} of the model is not allowed: {task.name} has {task.vocab_size} tokens"
        )


def model_inputs(
    model: nn.Module,
    input_ids: Int[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch pos"],
    keep: Bool[Tensor, "batch pos"] | None = None,
) -> dict[str, Any]:
    """The arguments of a model's forward for tokens padded on either side.

    Args:
        model: numsym's, transformers', or one whose forward takes `input_ids` and `attention_mask`.
        input_ids: the tokens.
        mask: False on padding.
        keep: the positions to decode, for models that can decode only some; see `kept`.

    Returns:
        `input_ids` and `attention_mask`; `position_ids`, counted from the first real token, where the forward names
        them; `use_cache=False` where it has that; and what makes the model decode `keep` only.
    """
    takes = _arguments(model)
    given: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
    if "use_cache" in takes:
        # The mark of transformers' models, whose masks are 1 and 0.
        given |= {"use_cache": False, "attention_mask": mask.long()}
    if "position_ids" in takes:
        given["position_ids"] = (mask.long().cumsum(1) - 1).clamp(min=0)
    return given if keep is None else given | keep_logits(model, keep)


def _arguments(model: nn.Module) -> frozenset[str]:
    """The names that a model's forward takes."""
    own: Any = type(model)
    return _parameters(own.forward)


@lru_cache
def _parameters(function: Callable) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def keep_logits(model: nn.Module, keep: Bool[Tensor, "batch pos"]) -> dict[str, Tensor]:
    """The argument that makes a model decode only some positions: numsym's by a mask, transformers' by columns."""
    if getattr(model, "keeps_positions", False):
        return {"logits_to_keep": keep}
    return {"logits_to_keep": _columns(keep)} if "logits_to_keep" in _arguments(model) else {}


def kept(model: nn.Module, logits: Tensor, keep: Bool[Tensor, "batch pos"]) -> Float[Tensor, "kept vocab"]:
    """The logits of those positions, whether or not the model decoded the others too."""
    if getattr(model, "keeps_positions", False):
        return logits
    return logits[keep[:, _columns(keep)] if "logits_to_keep" in _arguments(model) else keep]


def _columns(keep: Bool[Tensor, "batch pos"]) -> Int[Tensor, "column"]:
    """The positions kept in some row."""
    return keep.any(0).nonzero()[:, 0]


def next_token_logits(
    model: nn.Module, batch: Batch
) -> tuple[Float[Tensor, "kept vocab"], Int[Tensor, "kept"], Bool[Tensor, "batch pos"]]:
    """The logits that predict each predictable token of a batch, those tokens, and where they are predicted from."""
    ids, keep = batch.input_ids, batch.predictable[:, 1:]
    output = model(**model_inputs(model, ids[:, :-1], batch.mask[:, :-1], keep))
    return kept(model, output["logits"], keep), ids[:, 1:][keep], keep


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

    Raises:
        ModelMismatchError: the model has fewer tokens than the task.
        InvalidArgumentError: a number is out of range.
    """
    check_vocabulary(model, task)
    for name, value in (("steps", steps), ("batch_size", batch_size), ("check_every", check_every)):
        check_at_least(name, value, 1)
    check_between("stop_at", stop_at, 0, 1)
    check_name("schedule", schedule, SCHEDULES)
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=learning_rate)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: SCHEDULES[schedule](step / steps))
    log, started, losses = TrainingLog(), time.perf_counter(), []
    keep = on_keep if on_keep is not None and keep_at else lambda step: None
    if 0 in keep_at:
        keep(0)
    model.train()
    for batch in islice(_batches(task, batch_size, generator, device), steps):
        losses.append(_step(model, batch, optimiser, clip))
        rates.step()
        log.steps += 1
        if log.steps in keep_at:
            keep(log.steps)
        if log.steps % check_every and log.steps < steps:
            continue
        accuracy = evaluate(model, task, n=400, generator=generator).accuracy
        record = {"step": log.steps, "loss": torch.stack(losses).mean().item(), "accuracy": accuracy}
        log.records.append(record)
        losses = []
        if on_check is not None:
            on_check(record)
        if accuracy >= stop_at and evaluate(model, task, n=CONFIRM, generator=generator).accuracy >= stop_at:
            log.reached = True
            break
        model.train()
    model.eval()
    if log.steps not in keep_at:
        keep(log.steps)
    log.seconds = time.perf_counter() - started
    if not log.reached:
        message = "training ended after steps=%d without reaching stop_at=%g: the last trial accuracy is %g"
        logger.warning(message, steps, stop_at, log.records[-1]["accuracy"])
    return log


def log_spaced(steps: int, n: int, first: int = 10) -> tuple[int, ...]:
    """0, and up to `n` further steps whose logarithms are evenly spaced from `first` to `steps`."""
    check_at_least("n", n, 2)
    check_at_least("steps", steps, first)
    ratio = (steps / first) ** (1 / (n - 1))
    return (0, *sorted({round(first * ratio**i) for i in range(n)}))


def _step(model: nn.Module, batch: Batch, optimiser: torch.optim.Optimizer, clip: float | int) -> Tensor:
    """One optimiser step; returns the loss before it."""
    optimiser.zero_grad(set_to_none=True)
    tokens, total = batch.predictable[:, 1:].sum(), torch.zeros((), device=batch.input_ids.device)
    for rows in _by_length(model, batch, LENGTH_PARTS):
        logits, targets, _ = next_token_logits(model, batch.rows(rows))
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens
        loss.backward()
        total += loss.detach()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return total


def _by_length(model: nn.Module, batch: Batch, parts: int) -> list[Int[Tensor, "rows"]]:
    """The rows of a batch, in parts of like lengths where padding costs time: on a CPU, unless the model packs."""
    rows = torch.arange(len(batch), device=batch.input_ids.device)
    if rows.device.type != "cpu" or getattr(model, "packs", False):
        return [rows]
    return list(batch.lengths.argsort().chunk(parts))


def _batches(task: Task, size: int, generator: torch.Generator, device: torch.device) -> Iterator[Batch]:
    """Batches without end, each cut to its own longest trial."""
    while True:
        pool = task.sample(size * POOL, generator=generator, split="train")
        for start in range(0, size * POOL, size):
            rows = slice(start, start + size)
            yield pool.rows(rows).to(device)


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, *, n: int = 2000, generator: torch.Generator | None = None, seed: int = 1
) -> Evaluation:
    """Trial accuracy of `model` on fresh trials: overall, on held-out numbers, by number.

    Args:
        model: as for `train`; it is put in evaluation mode.
        task: what to answer.
        n: trials over all numbers, and again over the held-out ones.
        generator: the source of trials; made from `seed` if not given.
        seed: of the trials.

    Raises:
        ModelMismatchError: the model has fewer tokens than the task.
    """
    check_vocabulary(model, task)
    check_at_least("n", n, 1)
    model.eval()
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    right, counts = _right(model, task.sample(n, generator=generator))
    by_count = {int(c): right[counts == c].float().mean().item() for c in counts.unique()}
    held_out = None
    if task.has_held_out:
        held_out = _right(model, task.sample(n, generator=generator, split="held_out"))[0].float().mean().item()
    return Evaluation(right.float().mean().item(), held_out, by_count, n)


def _right(model: nn.Module, batch: Batch) -> tuple[Bool[Tensor, "batch"], Int[Tensor, "batch"]]:
    """Which trials are right in every predictable token, and their numbers."""
    batch = batch.to(next(model.parameters()).device)
    right = torch.empty(len(batch), dtype=torch.bool, device=batch.input_ids.device)
    for rows in _by_length(model, batch, 1 + len(batch) // EVALUATED):
        logits, targets, keep = next_token_logits(model, batch.rows(rows))
        wrong = torch.zeros_like(keep)
        wrong[keep] = logits.argmax(-1) != targets
        right[rows] = ~wrong.any(1)
    return right.cpu(), batch.counts.cpu()


def as_dict(result: Evaluation | TrainingLog) -> dict[str, Any]:
    """A result as plain values for JSON; numbers that are keys become text."""
    return {
        name: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
        for name, value in asdict(result).items()
    }
