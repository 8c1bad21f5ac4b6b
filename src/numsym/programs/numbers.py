"""Numbers as a tokenizer writes them in one place of a text: each one token or several."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Numbers:
    """The tokens of each of some consecutive numbers, in one place of a text.

    Reading goes token by token: `read` follows a tree whose root is node 0, and `value` says which number was read so
    far.

    Attributes:
        ids: for each number, the ids that write it.
        first: the lowest number.
    """

    ids: tuple[tuple[int, ...], ...]
    first: int = 0

    @property
    def last(self) -> int:
        """The highest number."""
        return self.first + len(self.ids) - 1

    @property
    def longest(self) -> int:
        """The tokens of the number that has most."""
        return max(map(len, self.ids))

    @property
    def needs_end(self) -> bool:
        """Whether some number begins as another is written, so that only what follows says which it was."""
        whole = set(self.ids)
        return any(ids[:end] in whole for ids in self.ids for end in range(1, len(ids)))

    def used(self) -> set[int]:
        """The ids that occur."""
        return {one for ids in self.ids for one in ids}

    def lengths(self, number: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """How many tokens a number has; the nearest number's where there is no such number."""
        return torch.tensor([len(ids) for ids in self.ids], device=number.device)[self._place(number)]

    def token(self, number: Int[Tensor, "batch"], index: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The token of a number at an index, counted from its first; the last one beyond its end."""
        table = [[*ids, *[ids[-1]] * (self.longest - len(ids))] for ids in self.ids]
        return torch.tensor(table, device=number.device)[self._place(number), index.clamp(0, self.longest - 1)]

    def read(self, node: Int[Tensor, "batch"], token: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The node after one more token; -1 where no number goes on so."""
        edges = torch.tensor([(parent, one, child) for (parent, one), child in self._tree[0].items()]).to(node.device)
        met = (edges[:, 0] == node[:, None]) & (edges[:, 1] == token[:, None])
        return torch.where(met.any(1), edges[met.long().argmax(1), 2], -1)

    def value(self, node: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The number that a node is, 0 where it is none yet."""
        return torch.tensor([*self._tree[1], 0], device=node.device)[node]

    def end(self, input_ids: Int[Tensor, "batch pos"], start: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The position of the last token of the number that begins at `start` of each row."""
        node, end = torch.zeros_like(start), start - 1
        for _ in range(self.longest):
            at = (end + 1).clamp(max=input_ids.shape[1] - 1)
            node = self.read(node, input_ids.gather(1, at[:, None])[:, 0])
            end = torch.where((node >= 0) & (end + 1 == at), at, end)
        return end

    def _place(self, number: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        return (number - self.first).clamp(0, len(self.ids) - 1)

    @cached_property
    def _tree(self) -> tuple[dict[tuple[int, int], int], list[int]]:
        """Parent and token -> child, and the number of each node."""
        edges: dict[tuple[int, int], int] = {}
        values = [0]
        for number, ids in enumerate(self.ids, self.first):
            node = 0
            for one in ids:
                if (node, one) not in edges:
                    edges[node, one] = len(values)
                    values.append(0)
                node = edges[node, one]
            values[node] = number
        return edges, values


NONE = Numbers(((0,),))
"""Where none are given."""


def pick(ids: tuple[int, ...], index: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """The ids at some places of a tuple; the nearest one where a place is outside."""
    if not ids:
        return torch.zeros_like(index)
    return torch.tensor(ids, device=index.device)[index.clamp(0, len(ids) - 1)]
