"""Gradient symmetricity: does the network treat its two operands alike ([P] section 4.1)?"""

import random
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.circuits.adder import PAIRS_AT_ONCE, Adder, ModularModel, as_adder
from numsym.errors import InvalidArgumentError, check_between


def gradient_symmetricity(model: Adder | ModularModel, *, triples: int | str = 100, seed: int = 42) -> float:
    """Mean cosine between the gradients of a logit with respect to the two token embeddings ([P] section 4.1).

    For a triple (a, b, c) the gradients are those of logit c with respect to the embedding of a and that of b, before
    positions are added. A network that only sees the sum of its embeddings gives 1.

    Args:
        model: a modular adder; any p.
        triples: how many to average over: the first of `random.Random(seed).shuffle` over all triples in
            lexicographic order, which is how the published values were drawn; or "all" p^3 of them.
        seed: of the draw.

    Returns:
        A number in -1..1. A gradient of zero counts as cosine 0.

    Raises:
        InvalidArgumentError: `triples` is not "all" or in 1..p^3.
        ModelMismatchError: the logits are not one for each answer.
    """
    adder = as_adder(model)
    check_triples(adder.p, triples)
    if isinstance(triples, str):
        return _over_all(adder)
    chosen = drawn_triples(adder.p, triples, seed).to(adder.embed_a.device)
    total = 0.0
    for part in chosen.split(PAIRS_AT_ONCE):
        embed_a, embed_b = _leaves(adder, part)
        with torch.enable_grad():
            picked = adder.evaluate(embed_a, embed_b).gather(1, part[:, 2:])
        total += _cosines(picked.sum(), embed_a, embed_b, keep=False).item()
    return total / triples


def check_triples(p: int, triples: int | str) -> None:
    """Raise `InvalidArgumentError` unless `triples` is "all" or in 1..p^3."""
    if isinstance(triples, str) and triples != "all":
        raise InvalidArgumentError(f"triples={triples!r} is not allowed: it must be 'all' or a number")
    if not isinstance(triples, str):
        check_between("triples", triples, 1, p**3, why="there are p^3 triples")


@lru_cache(maxsize=16)
def drawn_triples(p: int, n: int, seed: int) -> Int[Tensor, "n 3"]:
    """The first n of all (a, b, c) in lexicographic order after `random.Random(seed).shuffle`."""
    # Shuffling indices draws the same numbers as shuffling the triples themselves: only the length matters.
    order = list(range(p**3))
    random.Random(seed).shuffle(order)
    index = torch.tensor(order[:n])
    return torch.stack([index // p**2, index // p % p, index % p], 1)


def _over_all(adder: Adder) -> float:
    total = 0.0
    for pairs in adder.pairs().split(PAIRS_AT_ONCE):
        embed_a, embed_b = _leaves(adder, pairs)
        with torch.enable_grad():
            sums = adder.evaluate(embed_a, embed_b).sum(0)
        # Rows do not interact, so one backward pass per answer gives its gradients for all pairs.
        for c in range(adder.p):
            total += _cosines(sums[c], embed_a, embed_b, keep=c < adder.p - 1).item()
    return total / adder.p**3


def _leaves(adder: Adder, rows: Int[Tensor, "batch _"]) -> tuple[Tensor, Tensor]:
    embed_a = adder.embed_a[rows[:, 0]].detach().requires_grad_()
    embed_b = adder.embed_b[rows[:, 1]].detach().requires_grad_()
    return embed_a, embed_b


def _cosines(logit: Tensor, embed_a: Tensor, embed_b: Tensor, *, keep: bool) -> Tensor:
    of_a, of_b = torch.autograd.grad(logit, (embed_a, embed_b), retain_graph=keep)
    return torch.cosine_similarity(of_a, of_b, dim=-1).sum()
