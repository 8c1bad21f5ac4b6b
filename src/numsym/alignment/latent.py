"""The counterfactual latent loss: how far exchanged states lie from natural states of the counterfactual's values.

A search by behaviour alone may end at an exchange whose states the model never has. Grant, Han, Tartaglini and Potts
(2026, arXiv 2511.04638) add to its loss the distance of the exchanged state x from a natural state t whose variables
have the counterfactual's values: |x - t|^2 / 2 + (1 - cos(x, t)) / 2. Here t is the mean of such states, or one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.alignment.starts import Seen, classes, natural_means

TARGETS = ("mean", "matched")


@dataclass(frozen=True)
class Latent:
    """The states of the training pairs of one alignment, and where their exchange should lead.

    Attributes:
        base, source: (pairs, hidden) at the site.
        block: (pairs,) which variable each exchanges.
        target: (pairs, hidden) a natural state, or the mean of all, of the counterfactual's values.
        known: (pairs,) whether there is any.
    """

    base: Float[Tensor, "pairs hidden"]
    source: Float[Tensor, "pairs hidden"]
    block: Int[Tensor, "pairs"]
    target: Float[Tensor, "pairs hidden"]
    known: Bool[Tensor, "pairs"]

    @classmethod
    def of(cls, seen: Seen, target: str, generator: torch.Generator | None = None) -> "Latent":
        """From what the pairs show; a "matched" target is drawn by the generator."""
        mean, known = natural_means(seen)
        if target == "matched":
            mean = _drawn(seen, known, generator)
        return cls(seen.base.float(), seen.source.float(), seen.block, mean.float(), known)

    def __len__(self) -> int:
        return len(self.base)


def latent_losses(
    engine: Any, latents: Sequence[Latent], rows: Sequence[Int[Tensor, "batch"]], alive: list[int]
) -> Float[Tensor, "alive"]:
    """The mean loss of each of `alive` over rows of its pairs; rows without a natural state are left out.

    Args:
        engine: any of one model, which makes the exchange (`exchange`).
        latents: of each of `alive`.
        rows: of each, as many; those beyond what was looked at count nothing.
        alive: indices of alignments.
    """
    parts = [row.to(one.base.device).clamp(max=len(one) - 1) for one, row in zip(latents, rows, strict=True)]
    sides = [[getattr(one, name)[row] for one, row in zip(latents, parts, strict=True)]
             for name in ("base", "source", "block")]  # fmt: skip
    found = engine.exchange(*sides, alive).split([len(row) for row in parts])
    losses = []
    for one, row, asked, state in zip(latents, parts, rows, found, strict=True):
        target = one.target[row]
        apart = (state - target).square().sum(1) / 2 + (1 - nn.functional.cosine_similarity(state, target, dim=1)) / 2
        counts = one.known[row] & (asked.to(row.device) < len(one))
        losses.append((apart * counts).sum() / counts.sum().clamp(min=1))
    return torch.stack(losses)


def _drawn(
    seen: Seen, known: Bool[Tensor, "pairs"], generator: torch.Generator | None
) -> Float[Tensor, "pairs hidden"]:
    """For each pair a state, of any base or source, that has the counterfactual's values; zero where there is none."""
    n = len(seen.base)
    label = classes(torch.cat([seen.values, seen.wanted])).cpu()
    own, wanted = label[: 2 * n], label[2 * n :]
    order = torch.randperm(2 * n, generator=generator)
    order = order[own[order].argsort(stable=True)]
    counts = torch.bincount(own, minlength=int(label.max()) + 1)
    first = counts.cumsum(0) - counts
    there = (torch.rand(n, generator=generator) * counts[wanted]).long().clamp(max=2 * n - 1)
    picked = order[(first[wanted] + there).clamp(max=2 * n - 1)].to(seen.base.device)
    return torch.where(known[:, None], seen.states[picked], 0.0)
