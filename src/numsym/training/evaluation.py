"""How well a model does on a task ([N] section 3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from numsym._pyvene import frozen
from numsym.errors import ModelMismatchError, check_at_least
from numsym.models.logits import by_length, check_vocabulary, next_token_logits
from numsym.tasks import Batch, Task
from numsym.tasks.prompts import PromptTask

EVALUATED = 256
"""Trials that a model which does not pack evaluates at a time on a CPU."""


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


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, *, n: int = 2000, generator: torch.Generator | None = None, seed: int = 1
) -> Evaluation:
    """Trial accuracy of `model` on fresh trials: overall, on held-out numbers, by number.

    Args:
        model: as for `train`; it comes back as it was.
        task: what to answer.
        n: trials over all numbers, and again over the held-out ones.
        generator: the source of trials; made from `seed` if not given.
        seed: of the trials.

    Raises:
        ModelMismatchError: the model has fewer tokens than the task, or its logits are NaN.
    """
    check_vocabulary(model, task)
    check_at_least("n", n, 1)
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    with frozen(model):
        right, counts = _right(model, task.sample(n, generator=generator))
        by_count = {int(c): right[counts == c].float().mean().item() for c in counts.unique()}
        held_out = None
        if task.has_held_out:
            unseen, _ = _right(model, task.sample(n, generator=generator, split="held_out"))
            held_out = unseen.float().mean().item()
    return Evaluation(right.float().mean().item(), held_out, by_count, n)


def rightly(model: nn.Module, task: Task, *others: nn.Module) -> Task:
    """The task with only those trials that the model answers rightly, where the task wants that (`Task.only_right`).

    Of several models, those that all of them do. Which they are is asked when trials are drawn, each once.
    `task.answered` is their share.
    """
    if not isinstance(task, PromptTask) or not task.only_right or task.narrowed:
        return task

    @torch.no_grad()
    def right(batch: Batch) -> Bool[Tensor, "batch"]:
        found = torch.ones(len(batch), dtype=torch.bool)
        for one in (model, *others):
            with frozen(one):
                found &= _right(one, batch)[0]
        return found

    return task.answered_by(right)


def _right(model: nn.Module, batch: Batch) -> tuple[Bool[Tensor, "batch"], Int[Tensor, "batch"]]:
    """Which trials are right in every predictable token, and their numbers."""
    batch = batch.to(next(model.parameters()).device)
    right = torch.empty(len(batch), dtype=torch.bool, device=batch.input_ids.device)
    for rows in by_length(model, batch, 1 + len(batch) // EVALUATED):
        logits, targets, keep = next_token_logits(model, batch.rows(rows))
        if bool(logits.isnan().any()):
            raise ModelMismatchError(f"model of type {type(model).__name__} is not allowed: its logits are NaN")
        wrong = torch.zeros_like(keep)
        wrong[keep] = logits.argmax(-1) != targets
        right[rows] = ~wrong.any(1)
    return right.cpu(), batch.counts.cpu()
