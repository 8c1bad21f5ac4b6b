"""What the fast routes share of pairs: rows of tokens on the CPU, where they are scored, and how they reach a device.

What says which tokens are where stays on the CPU, so that nothing in a step waits for a device to say it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor, nn

R = TypeVar("R", bound="Rows")


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs as an engine needs them, row i for pair i; all on the CPU but for `block`.

    Attributes:
        block: (batch,) the variable exchanged.
        ids: (batch, pos) the bases' tokens, the first real one at position 0.
        starts: (batch,) tokens before the exchange, or the first where there are several.
        scored: (batch, step) where a predicted token is scored; step 0 is at the exchange.
        targets: (batch, step) the tokens predicted.
    """

    block: Int[Tensor, "batch"]
    ids: Int[Tensor, "batch pos"]
    starts: Int[Tensor, "batch"]
    scored: Bool[Tensor, "batch steps"]
    targets: Int[Tensor, "batch steps"]

    by_row: ClassVar[tuple[str, ...]] = ("block", "ids", "starts", "scored", "targets")

    def rows(self: R, rows: Int[Tensor, "picked"]) -> R:
        """Some of the pairs, by rows on the CPU."""
        sides = {name: side for name in self.by_row if (side := getattr(self, name)) is not None}
        return replace(self, **{name: side.index_select(0, moved(rows, side.device)) for name, side in sides.items()})

    def onwards(self, steps: int, skipped: int = 0) -> Int[Tensor, "batch steps"]:
        """The tokens from the exchange on, or some later; the last one again where a row has no more."""
        first = self.starts[:, None] + skipped
        return self.ids.gather(1, (first + torch.arange(steps)).clamp(max=self.ids.shape[1] - 1))


def compacted(
    mask: Bool[Tensor, "batch pos"], at: Int[Tensor, "batch token"], *values: Shaped[Tensor, "batch pos"]
) -> tuple[Tensor, ...]:
    """Each row's real positions moved to its front, whatever its padding, in each of `values`; and `at` there."""
    order = (~mask).long().argsort(dim=1, stable=True)
    before = (mask[:, None] & (torch.arange(mask.shape[1], device=at.device) < at[..., None])).sum(2)
    return *(side.gather(1, order) for side in values), before


def following(
    ids: Int[Tensor, "batch pos"], scored: Bool[Tensor, "batch pos"], at: Int[Tensor, "batch"]
) -> tuple[Bool[Tensor, "batch steps"], Int[Tensor, "batch steps"]]:
    """Where predicted tokens are scored after a position of each row, and these tokens; step 0 is predicted there."""
    after = at[:, None] + 1 + torch.arange(max(1, ids.shape[1] - int(at.min()) - 1))
    inside, after = after < ids.shape[1], after.clamp(max=ids.shape[1] - 1)
    return scored.gather(1, after) & inside, ids.gather(1, after)


def scored_of(parts: Sequence[Rows], steps: int) -> tuple[Bool[Tensor, "batch steps"], Int[Tensor, "batch steps"]]:
    """Where tokens are scored, and which, in batches one after the other: so many steps of each."""

    def joined(name: str) -> Tensor:
        sides = [getattr(part, name)[:, :steps] for part in parts]
        return torch.cat([nn.functional.pad(side, (0, steps - side.shape[1])) for side in sides])

    return joined("scored"), joined("targets")


def distinct(*columns: Shaped[Tensor, "batch ..."]) -> tuple[Int[Tensor, "distinct"], Int[Tensor, "batch"]]:
    """The first row of each kind, where rows alike in all columns are of one kind; and of which kind each row is.

    Kinds are in the order of what the columns hold, so that the same rows in another order have the same kinds.
    """
    rows = torch.cat([column.view(len(column), -1).long() for column in columns], 1)
    kinds, each = rows.unique(dim=0, return_inverse=True)
    first = each.new_full((len(kinds),), len(rows)).scatter_reduce(0, each, torch.arange(len(rows)).to(each), "amin")
    return first, each


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for it."""
    return tensor.to(device, non_blocking=True)


def picked(store: Tensor, index: Int[Tensor, "*shape"], device: torch.device) -> Shaped[Tensor, "*shape_and_rest"]:
    """Some tokens of what is kept, on a device; `index` is on the CPU.

    What lies in the host's memory goes through a pinned buffer, so that nothing waits for the device.
    """
    if store.device == device:
        return store.index_select(0, moved(index.flatten(), device)).view(*index.shape, *store.shape[1:])
    size = (index.numel(), *store.shape[1:])
    buffer = torch.empty(size, dtype=store.dtype, pin_memory=torch.cuda.is_available())
    torch.index_select(store, 0, index.flatten(), out=buffer)
    return moved(buffer, device).view(*index.shape, *store.shape[1:])
