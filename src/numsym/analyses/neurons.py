"""Is the variable in single neurons? [N] finds that exchanging them does badly where a learned map does well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from numsym.alignment import Pairs, Share, Site
from numsym.alignment.controls import exchanged_neurons, probe_weights
from numsym.alignment.engines.pyvene import unintervened
from numsym.errors import check_between
from numsym.results import plain

GREEDY_PAIRS = 300
"""Training pairs by which the greedy choice is made."""


@dataclass(frozen=True)
class Neurons:
    """IIA when neurons are exchanged as they are.

    Attributes:
        floor: with no exchange at all.
        each: of each neuron alone, in their order.
        sets: how the neurons were chosen -> how many -> IIA: "probe" takes those that a least-squares probe for the
            variable weighs most, "greedy" adds the one that lowers the loss on training pairs most.
        chosen: how -> the neurons, in the order chosen.
        n: the number of test pairs.
    """

    floor: Share
    each: tuple[Share, ...]
    sets: dict[str, dict[int, Share]]
    chosen: dict[str, list[int]]
    n: int

    @property
    def best(self) -> int:
        """The neuron whose exchange alone does best on the test pairs."""
        return max(range(len(self.each)), key=lambda i: self.each[i].value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain({**vars(self), "best": self.best})


def neurons(
    model: nn.Module,
    training: Pairs,
    test: Pairs,
    *,
    site: str | Site = "state",
    sizes: Sequence[int] = (1, 2, 4, 8),
    greedy: bool = True,
) -> Neurons:
    """Exchange each single neuron, and sets of them.

    Args:
        model: a network; it is put in evaluation mode, and its gradients are switched off by pyvene.
        training: pairs by which sets are chosen.
        test: pairs on which IIA is measured.
        site: where.
        sizes: of the sets.
        greedy: whether sets are also chosen greedily: as many passes as neurons, for each neuron chosen.

    Raises:
        InvalidArgumentError: a size is outside 1..width.
    """
    site = Site.of(site)
    width = site.check(model)
    for size in sizes:
        check_between("sizes", size, 1, width, why="the width of the site")
    model.eval()
    _, right = exchanged_neurons(model, site, test, [[neuron] for neuron in range(width)])
    chosen = {"probe": probe_weights(model, site, training).topk(max(sizes)).indices.tolist()}
    if greedy:
        chosen["greedy"] = _greedily(model, site, training.rows(slice(0, GREEDY_PAIRS)), max(sizes))
    sets = {}
    for how, order in chosen.items():
        _, found = exchanged_neurons(model, site, test, [order[:size] for size in sizes])
        sets[how] = {size: Share.of(row) for size, row in zip(sizes, found, strict=True)}
    floor = Share.of(unintervened(model, test))
    return Neurons(floor, tuple(Share.of(row) for row in right), sets, chosen, len(test))


@torch.no_grad()
def _greedily(model: nn.Module, site: Site, pairs: Pairs, n: int) -> list[int]:
    """By the loss, which tells more than the share of right pairs as long as few are right."""
    chosen: list[int] = []
    while len(chosen) < n:
        rest = [i for i in range(site.check(model)) if i not in chosen]
        losses, _ = exchanged_neurons(model, site, pairs, [[*chosen, i] for i in rest])
        chosen.append(rest[int(losses.argmin())])
    return chosen
