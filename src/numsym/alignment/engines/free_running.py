"""Free-running IIA: after the exchange the model consumes its own predictions ([N] measures it teacher-forced).

Tokens that do not follow from what came before (the rest of a demonstration, the trigger) are those of the pair, as
in any trial; every predictable token is the model's own, and it goes on after a wrong one until it says that it has
ended. As long as the predictable tokens of a trial come last, a whole trial is right free-running exactly when it is
right teacher-forced, since both part at the first wrong token (tested). What free-running adds is what happens after
it: by how many tokens the behaviour misses the counterfactual.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from numsym.alignment.engines.rows import compacted
from numsym.alignment.pairs import Pairs
from numsym.programs import Program

CHUNK = 250
"""Pairs that go on at a time where each token needs a whole run."""

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

    @classmethod
    def joined(cls, parts: "Sequence[FreeRun]") -> "FreeRun":
        """Several, one after the other."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("right", "said", "wanted")))

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
    steps: int = STEPS,
) -> FreeRun:
    """Run a model on by itself from an exchange.

    Args:
        step: from the next token and the states before it, the logits after it and the states.
        logits: of the next token, at the exchange.
        states: there.
        pairs: where it was; `pairs.state` is what the program continues from.
        program: whose emissions are wanted.
        generator: of tokens that are not predictable, where the pair has none because the model has left its course.
        steps: after which a model that does not end is stopped.
    """
    state, right = dict(pairs.state), torch.ones_like(pairs.base_at, dtype=torch.bool)
    said, over = torch.zeros_like(pairs.base_at), torch.zeros_like(pairs.base_at)
    length = pairs.base_ids.shape[1]
    for taken in range(1, steps + 1):
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
        if taken == steps or bool(over.all()):
            break
        logits, states = step(token, states)
    return FreeRun(right & (over == 1), said, pairs.scored.sum(1))


def generates(model: nn.Module) -> bool:
    """Whether it is a language model of transformers, which says one token after the other."""
    own = type(model).__module__.startswith("numsym.")
    if own or not isinstance(model, PreTrainedModel) or getattr(model.config, "is_encoder_decoder", False):
        return False
    return model.can_generate()


def room(model: nn.Module, tokens: int) -> int:
    """How many tokens a language model may say after so many: until it has no more positions, and `STEPS` at most."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)  # type: ignore[union-attr,operator]
    return STEPS if positions is None else max(1, min(STEPS, positions - tokens + 1))


def run_anew(
    said: Callable[[Int[Tensor, "batch pos"], Int[Tensor, "batch"]], Float[Tensor, "batch vocab"]],
    pairs: Pairs,
    program: Program,
    generator: torch.Generator | None = None,
    steps: int = STEPS,
) -> FreeRun:
    """`run_on` where each token is said by a new run over all of those before it.

    Args:
        said: from rows of tokens, the first real one at position 0, and how many each has: the logits after the last.
        pairs: where the exchange was, on the model's device.
        program: whose emissions are wanted.
        generator: see `run_on`.
        steps: likewise.
    """
    ids, at = compacted(pairs.base_mask, pairs.base_at[:, None], pairs.base_ids)
    lengths = at[:, 0] + 1
    ids = ids[:, : int(lengths.max())]

    def step(token: Int[Tensor, "batch"], before: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        ids, lengths = before
        ids = nn.functional.pad(ids, (0, 1)).scatter(1, lengths[:, None], token[:, None])
        return said(ids, lengths + 1), (ids, lengths + 1)

    return run_on(step, said(ids, lengths), (ids, lengths), pairs, program, generator, steps)
