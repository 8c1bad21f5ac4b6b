"""Tasks about two numbers a and b, some pairs of which training never sees."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_between, check_name
from numsym.programs import State
from numsym.tasks.base import SPLITS, Batch, Task

if TYPE_CHECKING:
    import datasets

MOST = 2**24
"""The pairs of a task are listed, so there may not be too many."""


class OperandTask(Task):
    """A task whose plan is `a` and `b`, one of all pairs of numbers 0..size-1.

    Args:
        size: how many values each number has.
        fraction: the share of all pairs that training sees; the others are held out. 1 holds out none.
        seed: which pairs: a permutation drawn by `torch.Generator().manual_seed(seed)`.
        allowed: which of all pairs there are, (size, size) bool; all of them if not given.

    Raises:
        InvalidArgumentError: `fraction` is outside 0..1 or leaves no pair for training, or there are too many pairs.
    """

    def __init__(self, size: int, fraction: float | int, seed: int, allowed: Bool[Tensor, "size size"] | None = None):
        check_between("fraction", fraction, 0, 1)
        if size**2 > MOST:
            raise InvalidArgumentError(f"{size} values of each number are not allowed: {MOST} pairs are the most")
        self.size, self.fraction, self.seed = size, fraction, seed
        self._order = torch.randperm(size**2, generator=torch.Generator().manual_seed(seed))
        if allowed is not None:
            self._order = self._order[allowed.flatten()[self._order]]
        self._train_size = round(fraction * len(self._order))
        if self._train_size == 0:
            raise InvalidArgumentError(
                f"fraction={fraction!r} is not allowed: it leaves none of {len(self._order)} pairs for training"
            )

    @property
    def has_held_out(self) -> bool:
        """Whether some pairs are kept out of training."""
        return self._train_size < len(self._order)

    def pairs(self, split: str = "all") -> Int[Tensor, "pairs 2"]:
        """Every (a, b) of a split, each once, in the order of the draw ("all": the training pairs first).

        Raises:
            UnknownNameError: no such split.
            InvalidArgumentError: the split is empty.
        """
        check_name("split", split, SPLITS)
        if split == "held_out" and not self.has_held_out:
            raise InvalidArgumentError("split='held_out' is empty: fraction=1 holds out no pair")
        chosen = {
            "all": self._order,
            "train": self._order[: self._train_size],
            "held_out": self._order[self._train_size :],
        }[split]
        return torch.stack([chosen // self.size, chosen % self.size], 1)

    def whole(self, split: str = "all") -> Batch:
        """Every pair of a split, each once, with the trace of the generating program."""
        a, b = self.pairs(split).unbind(1)
        return self.sample(len(a), split=split, plan={"a": a, "b": b})

    def dataset(self, split: str = "all") -> "datasets.Dataset":
        """Every pair of a split as a Hugging Face dataset."""
        return self.whole(split).to_dataset()

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """`n` pairs of a split, uniform, with repetition: `{"a": (n,), "b": (n,)}`."""
        pairs = self.pairs(split)
        device = torch.device("cpu") if generator is None else generator.device
        index = torch.randint(len(pairs), (n,), generator=generator, device=device)
        a, b = pairs.to(device)[index].unbind(1)
        return {"a": a, "b": b}
