"""What a learned map is compared with: subspaces that are read off the states, exchanged as they are, without a step.

| baseline | the k directions that are exchanged, orthonormal, block after block |
| --- | --- |
| `pca` | the principal components of the states, the first k for the first variable, the next k for the next |
| `mean_difference` | the principal directions of the differences between the mean states of the variable's values |
| `probe` | the directions that a linear probe for the variable's values reads (ridge regression on which value it is) |
| `random` | a random subspace: the best of `DRAWS` on validation pairs; `starts` of the result has all their IIAs |

Each is an alignment by name, `align(alignment="pca")`: an orthogonal exchange (`low_rank` with U = V), not trained.
Where the means or the probe span fewer than k, those directions follow in which the states vary least.
"""

from collections.abc import Callable
from zlib import crc32

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.alignment.starts import Seen, class_means, classes, damped, filled
from numsym.registry import Registry

DRAWS = 10
"""Random subspaces."""

RIDGE = 1e-3
"""Of the probe, as a share of the mean variance."""

Directions = Float[Tensor, "hidden feature"]

Baseline = Callable[[Directions, Seen], dict[str, Directions]]
"""From the columns of a fresh map, and what the pairs show, to the directions to exchange, by the name of the start."""

BASELINES: Registry[Baseline] = Registry("baseline")
"""Baselines by the name that `align(alignment=...)` uses, as it does those of `ALIGNMENTS`."""


@BASELINES.register("pca")
def _pca(fresh: Directions, seen: Seen) -> dict[str, Directions]:
    states = seen.states - seen.states.mean(0)
    return {"pca": torch.linalg.eigh(states.mT @ states).eigenvectors.flip(1)[:, : fresh.shape[1]]}


@BASELINES.register("mean_difference")
def _mean_difference(fresh: Directions, seen: Seen) -> dict[str, Directions]:
    def of_block(block: int, k: int) -> Directions:
        means, counts = class_means(seen.states, classes(seen.values[:, list(seen.blocks[block])]))
        return filled((means - seen.states.mean(0)) * counts.sqrt()[:, None], seen.states, k)

    return {"mean difference": _by_block(fresh, seen, of_block)}


@BASELINES.register("probe")
def _probe(fresh: Directions, seen: Seen) -> dict[str, Directions]:
    def of_block(block: int, k: int) -> Directions:
        states = seen.states - seen.states.mean(0)
        which = torch.nn.functional.one_hot(classes(seen.values[:, list(seen.blocks[block])])).to(states)
        weights = torch.linalg.solve(damped(states.mT @ states, RIDGE), states.mT @ (which - which.mean(0)))
        return filled(weights.mT, seen.states, k)

    return {"probe": _by_block(fresh, seen, of_block)}


@BASELINES.register("random")
def _random(fresh: Directions, seen: Seen) -> dict[str, Directions]:
    """Seeded by the fresh map, which the alignment's seed has made."""
    seed, found = crc32(fresh.cpu().numpy().tobytes()), {}
    for draw in range(1, DRAWS + 1):
        drawn = torch.randn(fresh.shape, dtype=fresh.dtype, generator=torch.Generator().manual_seed(seed + draw))
        found[f"subspace {draw}"] = torch.linalg.qr(drawn.to(fresh.device)).Q
    return found


def _by_block(fresh: Directions, seen: Seen, of_block: Callable[[int, int], Directions]) -> Directions:
    """The directions of each block side by side, each made orthogonal to those before it."""
    k = fresh.shape[1] // len(seen.blocks)
    return torch.linalg.qr(torch.cat([of_block(block, k) for block in range(len(seen.blocks))], 1)).Q
