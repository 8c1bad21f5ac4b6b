"""Which features of a sparse dictionary are exchanged for a variable: read from the training pairs, without a step.

- *telling features*: those whose activation tells the variable best: the share of its variance over states that lies
  between the variable's values. It asks for no more than that a feature goes with the variable, and takes several that
  say the same.
- *leading features*: those whose exchange together leads nearest to where it should: over the pairs, the least mean
  squared distance of h + sum_f (a_f(s) - a_f(h)) d_f from the mean state of the counterfactual's values, one feature
  after the other, each the one that helps most beside those before it (of the `POOL` that help most alone).

A search compares both on validation pairs. Of several variables each has features of its own.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from numsym._pyvene import pv
from numsym.alignment.dictionary import Dictionary
from numsym.alignment.starts import Seen, classes, natural_means
from numsym.errors import InvalidArgumentError

POOL = 256
"""Features among which those are chosen that lead nearest together."""

CHUNK = 1000
"""States encoded at a time: a dictionary has many features."""

Rule = Callable[[Dictionary, Seen, int, int, list[int]], list[int] | None]
"""From a dictionary, what the pairs show, a block, how many, and the features that are taken, to features."""


def starts(intervention: pv.Intervention, seen: Seen) -> Mapping[str, dict[str, Tensor]]:
    """The parameters of the exchange with the features that each rule chooses.

    Raises:
        InvalidArgumentError: there is no dictionary to choose from.
    """
    if seen.dictionary is None:
        raise InvalidArgumentError("dictionary=None is not allowed: features are chosen of a dictionary")
    dictionary = seen.dictionary.to(seen.base)
    k, found = int(intervention.interchange_dim) // len(seen.blocks), {}
    for name, rule in RULES.items():
        taken: list[int] = []
        for block in range(len(seen.blocks)):
            taken += rule(dictionary, seen, block, k, taken) or []
        if len(taken) == k * len(seen.blocks):
            found[name] = dictionary.only(taken).tensors
    return found


def telling(dictionary: Dictionary, seen: Seen, block: int, k: int, taken: list[int]) -> list[int]:
    """The features with the highest share of variance between the values of a block."""
    share = between(dictionary, seen.states, seen.values[:, list(seen.blocks[block])])
    share[taken] = -1
    return share.topk(k).indices.tolist()


def between(dictionary: Dictionary, states: Float[Tensor, "n hidden"], values: Tensor) -> Float[Tensor, "feature"]:
    """Of each feature's variance over states the share between those of different values; 0 where it is constant."""
    label = classes(values)
    counts = torch.bincount(label).to(states.dtype)
    total = states.new_zeros(len(counts), len(dictionary))
    squares = states.new_zeros(len(dictionary))
    for rows in torch.arange(len(states), device=states.device).split(CHUNK):
        active = dictionary.activations(states[rows])
        total.index_add_(0, label[rows], active)
        squares += active.square().sum(0)
    mean = total.sum(0) / len(states)
    spread = squares - len(states) * mean.square()
    told = (total.square() / counts[:, None]).sum(0) - len(states) * mean.square()
    live = spread > 1e-12 * squares.clamp(min=1e-300)
    return torch.where(live, told / torch.where(live, spread, 1.0), 0.0)


def leading(dictionary: Dictionary, seen: Seen, block: int, k: int, taken: list[int]) -> list[int] | None:
    """The features whose exchange leads nearest to the counterfactual's mean state; none where no such is known."""
    mean, known = natural_means(seen)
    rows = (known & (seen.block == block)).nonzero()[:, 0]
    if not len(rows):
        return None
    helps, costs = seen.base.new_zeros(2, len(dictionary))
    lengths = dictionary.decoder.square().sum(1)
    for part in rows.split(CHUNK):
        change = dictionary.activations(seen.source[part]) - dictionary.activations(seen.base[part])
        helps += (change * ((mean[part] - seen.base[part]) @ dictionary.decoder.mT)).sum(0)
        costs += change.square().sum(0) * lengths
    gain = 2 * helps - costs
    gain[taken] = -torch.inf
    pool = gain.topk(min(max(POOL, k), len(dictionary) - len(taken))).indices
    few = dictionary.only(pool.tolist())
    change = few.activations(seen.source[rows]) - few.activations(seen.base[rows])
    both = (change.mT @ change) * (few.decoder @ few.decoder.mT)
    gain, chosen = gain[pool], []
    for _ in range(k):
        best = int(gain.argmax())
        chosen.append(int(pool[best]))
        gain = gain - 2 * both[best]
        gain[best] = -torch.inf
    return chosen


RULES: dict[str, Rule] = {"telling features": telling, "leading features": leading}
