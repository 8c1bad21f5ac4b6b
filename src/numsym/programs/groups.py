"""Finite groups as multiplication tables: the integers modulo n, and all permutations of n things."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.errors import InvalidArgumentError


@dataclass(frozen=True)
class Group:
    """A finite group.

    Attributes:
        elements: the names of its elements; the first one is the identity.
        table: entry (g, h) is the index of the product g h.
    """

    elements: tuple[str, ...]
    table: Int[Tensor, "n n"]


@lru_cache
def group(name: str) -> Group:
    """The group Zn (n at least 2: the integers modulo n, added) or Sn (n = 2..5: the permutations of 0..n-1).

    A permutation is named by the images of 0, 1, ..., and g h means: first h, then g. Their order is lexicographic.

    Raises:
        InvalidArgumentError: no such group.
    """
    read = re.fullmatch(r"([ZS])(\d{1,3})", name)
    kind, n = (read[1], int(read[2])) if read else ("", 0)
    if kind == "Z" and n >= 2:
        values = torch.arange(n)
        return Group(tuple(str(i) for i in range(n)), (values[:, None] + values) % n)
    if kind == "S" and 2 <= n <= 5:
        every = torch.tensor(list(permutations(range(n))))
        products = every[:, every]
        place = n ** torch.arange(n - 1, -1, -1)
        return Group(
            tuple("".join(str(image) for image in one.tolist()) for one in every),
            torch.searchsorted((every * place).sum(-1), (products * place).sum(-1)),
        )
    raise InvalidArgumentError(f"group={name!r} is not allowed: it must be Z2..Z999 (such as Z7) or S2..S5")
