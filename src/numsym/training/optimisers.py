"""What makes the steps: one optimiser or several by one schedule, Adam and AdamW as they come, and Muon with AdamW."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from numsym.errors import check_name

Schedule = Callable[[int], float]
"""From the steps taken to what the learning rates of the next one are multiplied with."""

SCHEDULES: dict[str, Callable[[float], float]] = {"constant": lambda done: 1.0, "linear": lambda done: 1.0 - done}
"""By the share of the steps that is done, what the learning rate is multiplied with."""

MUON_RATE = 5.0
"""Muon's steps have a fixed size, so its learning rate is larger: this times AdamW's."""

NAMES = ("adamw", "muon")


class Optimisers:
    """Optimisers that step together.

    Args:
        optimisers: over different parameters of one model.
        schedule: of the learning rates of all of them.
    """

    def __init__(self, *optimisers: torch.optim.Optimizer, schedule: Schedule):
        self.optimisers = optimisers
        self._rates = [torch.optim.lr_scheduler.LambdaLR(one, schedule) for one in optimisers]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.optimisers:
            one.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One step of each, after which their learning rates are those of the next one."""
        for one in self.optimisers:
            one.step()
        for rate in self._rates:
            rate.step()


def warmed(step: int, warmup: int) -> float:
    """The schedule that rises linearly over the first `warmup` steps and then stays."""
    return min(1.0, (step + 1) / max(warmup, 1))


def adamw_or_muon(model: nn.Module, name: str, rate: float | int, decay: float | int) -> list[torch.optim.Optimizer]:
    """AdamW over all parameters, or Muon over the hidden matrices, as its authors recommend, with AdamW over the rest.

    Args:
        model: what is trained.
        name: "adamw" or "muon".
        rate: the learning rate of AdamW; Muon's is `MUON_RATE` times as large.
        decay: the weight decay of both.

    Raises:
        UnknownNameError: no such optimiser.
    """
    check_name("optimiser", name, NAMES)
    adam: dict[str, Any] = {"lr": rate, "weight_decay": decay, "betas": (0.9, 0.98)}
    if name == "adamw":
        return [torch.optim.AdamW(model.parameters(), **adam)]
    embeddings = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    hidden = [p for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings]
    chosen = {id(p) for p in hidden}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [torch.optim.Muon(hidden, lr=MUON_RATE * rate, weight_decay=decay), torch.optim.AdamW(others, **adam)]
