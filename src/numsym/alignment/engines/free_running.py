"""Free-running IIA: after the exchange the model consumes its own predictions ([N] measures it teacher-forced).

Tokens that do not follow from what came before (the rest of a demonstration, the trigger) are those of the pair, as
in any trial; every predictable token is the model's own, and it goes on after a wrong one until it says that it has
ended. As long as the predictable tokens of a trial come last, a whole trial is right free-running exactly when it is
right teacher-forced, since both part at the first wrong token (tested). What free-running adds is what happens after
it: by how many tokens the behaviour misses the counterfactual.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numsym.alignment.pairs import Pairs
from numsym.programs import Program

STEPS = 200
"""Tokens after which a model that does not end is stopped, and wrong."""


@dataclass(frozen=True)
class FreeRun:
    """What a model did by itself after an exchange.

    Attributes:
        right: (batch,) whether every predictable token was the program's.
        said: (batch,) how many predictable tokens the model said before it ended or was stopped.
        wanted: (batch,) how many the counterfactual has.
    """

    right: Bool[Tensor, "batch"]
    said: Int[Tensor, "batch"]
    wanted: Int[Tensor, "batch"]

    @property
    def off(self) -> float:
        """The mean of |said - wanted|, in tokens."""
        return (self.said - self.wanted).abs().float().mean().item()


@torch.no_grad()
def run_on(
    step: Callable[[Int[Tensor, "batch"], Any], tuple[Float[Tensor, "batch vocab"], Any]],
    logits: Float[Tensor, "batch vocab"],
    states: Any,
    pairs: Pairs,
    program: Program,
    generator: torch.Generator | None = None,
) -> FreeRun:
    """Run a model on by itself from an exchange.

    Args:
        step: from the next token and the states before it, the logits after it and the states.
        logits: of the next token, at the exchange.
        states: there.
        pairs: where it was; `pairs.state` is what the program continues from.
        program: whose emissions are wanted.
        generator: of tokens that are not predictable, where the pair has none because the model has left its course.
    """
    state, right = dict(pairs.state), torch.ones_like(pairs.base_at, dtype=torch.bool)
    said, over = torch.zeros_like(pairs.base_at), torch.zeros_like(pairs.base_at)
    length = pairs.base_ids.shape[1]
    for taken in range(1, STEPS + 1):
        token, predictable = program.emit(state, generator)
        given = pairs.base_ids.gather(1, (pairs.base_at + taken).clamp(max=length - 1)[:, None])[:, 0]
        token = torch.where(right & ~predictable & (pairs.base_at + taken < length), given, token)
        own = logits.argmax(-1)
        predictable = predictable & (over == 0)
        right &= ~predictable | (own == token)
        said += predictable
        token = torch.where(predictable, own, token)
        # The program's state follows the model, so after a wrong token it still says when an end is an end.
        state = program.update(state, token)
        over = torch.maximum(over, state["ended"])
        if bool(over.all()):
            break
        logits, states = step(token, states)
    return FreeRun(right & (over == 1), said, pairs.scored.sum(1))
