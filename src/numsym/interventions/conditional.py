"""An exchange that is linear given a condition: a number that is held by another code in each phase, say."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_at_least, check_between
from numsym.interventions.base import AlignmentIntervention

LEARNED = ("columns", "rows", "offsets")
FIXED = ("probe", "threshold", "mean")


class ConditionalAlignmentIntervention(AlignmentIntervention):
    """h' = h + (z(s) - z(h)) (V_c^T U_c)^-1 V_c^T with z(x) = (x - mean_c(x)) U_c(x) + o_c(x) and c = c(h).

    The condition c(x) of a state is read from it by a linear probe, the argmax of x W + b: of the base from the base,
    of the source from the source. Each of the m conditions has k directions U_c to read and V_c to write, and an offset
    o_c; the k coordinates z mean the same in all of them, so that a source's are carried to the base's code by a linear
    map. After the exchange z(h') = z(s), as long as the probe still reads the base's condition. With one condition it
    is `LowRankLinearAlignmentIntervention`.

    The condition is not learned with the map: probe and means are buffers, fitted beforehand
    (`numsym.alignment.conditional`). It is more than a linear map can be: it decides by a threshold which code to
    write. What it finds is believed only beside its untrained twin and permuted sources, which it must not serve too.

    Args:
        embed_dim: the width d.
        low_rank_dimension: the coordinates k, in 1..d.
        latent_dim: how many conditions m there are (pyvene's field of that name); one if not given.
        others: see `AlignmentIntervention`; blocks of `subspace_partition` count the k features.

    Raises:
        InvalidArgumentError: `low_rank_dimension` is missing or outside 1..d, or `latent_dim` below 1.

    Example:
        >>> given_phase = ConditionalAlignmentIntervention(embed_dim=24, low_rank_dimension=4, latent_dim=2)
        >>> base, source = torch.randn(2, 8, 24)
        >>> given_phase(base, source).shape, given_phase.condition(base).shape
        (torch.Size([8, 24]), torch.Size([8]))
    """

    def __init__(
        self,
        *,
        embed_dim: int | None = None,
        low_rank_dimension: int | None = None,
        latent_dim: int | None = None,
        **others: Any,
    ):
        super().__init__(embed_dim=embed_dim, **others)
        width, conditions = self.width, 1 if latent_dim is None else latent_dim
        if low_rank_dimension is None:
            raise InvalidArgumentError("low_rank_dimension=None is not allowed: give the rank, in 1..embed_dim")
        check_between("low_rank_dimension", low_rank_dimension, 1, width, why="the width of the site")
        check_at_least("latent_dim", conditions, 1)
        self.low_rank_dimension, self.latent_dim = low_rank_dimension, conditions
        start = torch.linalg.qr(torch.randn(conditions, width, low_rank_dimension)).Q
        self.columns = nn.Parameter(start)
        self.rows = nn.Parameter(start.clone())
        self.offsets = nn.Parameter(torch.zeros(conditions, low_rank_dimension))
        self.register_buffer("probe", torch.randn(width, conditions) / width**0.5)
        self.register_buffer("threshold", torch.zeros(conditions))
        self.register_buffer("mean", torch.zeros(conditions, width))
        self.probe: Tensor
        self.threshold: Tensor
        self.mean: Tensor

    @property
    def features(self) -> int:
        """The coordinates k."""
        return self.low_rank_dimension

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything that the exchange depends on, by name."""
        return {name: getattr(self, name) for name in (*LEARNED, *FIXED)}

    def condition(self, h: Float[Tensor, "*batch hidden"]) -> Int[Tensor, "*batch"]:
        """Which condition each state is in."""
        return (h @ self.probe + self.threshold).argmax(-1)

    def featurize(self, h: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch feature"]:
        """The coordinates z of states, each by the code of its own condition."""
        return read(self.tensors, h.reshape(-1, h.shape[-1])).reshape(*h.shape[:-1], -1)

    def inverse(
        self, z: Float[Tensor, "*batch feature"], condition: Int[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch hidden"]:
        """The state of each condition's own span about its mean whose coordinates are z there."""
        inside = nn.functional.one_hot(condition.reshape(-1), self.latent_dim).to(z.dtype)
        flat = z.reshape(-1, z.shape[-1]) - inside @ self.offsets
        states = inside @ self.mean + write(self.tensors, flat, inside)
        return states.reshape(*z.shape[:-1], -1)

    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch feature"],
    ) -> Float[Tensor, "*batch hidden"]:
        """The base with the source's chosen coordinates, written in the base's own code."""
        flat = chosen.expand(*base.shape[:-1], self.features).reshape(-1, self.features)
        width = base.shape[-1]
        changed = exchange(self.tensors, base.reshape(-1, width), source.reshape(-1, width), flat)
        return changed.reshape(base.shape)

    def __str__(self) -> str:
        return "ConditionalAlignmentIntervention()"


def exchange(
    tensors: Mapping[str, Tensor],
    base: Float[Tensor, "*stack batch hidden"],
    source: Float[Tensor, "*stack batch hidden"],
    chosen: Float[Tensor, "*stack #batch feature"],
) -> Float[Tensor, "*stack batch hidden"]:
    """The exchange of one map, or of a stack of them."""
    inside = conditions(tensors, base)
    difference = (read(tensors, source) - read(tensors, base, inside)) * chosen
    return base + write(tensors, difference, inside)


def conditions(
    tensors: Mapping[str, Tensor], h: Float[Tensor, "*stack batch hidden"]
) -> Float[Tensor, "*stack batch condition"]:
    """1 for the condition that each state is in."""
    scores = h @ tensors["probe"] + tensors["threshold"].unsqueeze(-2)
    return torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1.0)


def read(
    tensors: Mapping[str, Tensor],
    h: Float[Tensor, "*stack batch hidden"],
    inside: Float[Tensor, "*stack batch condition"] | None = None,
) -> Float[Tensor, "*stack batch feature"]:
    """The coordinates of states, each by its condition's code."""
    inside = conditions(tensors, h) if inside is None else inside
    columns, mean = tensors["columns"], tensors["mean"]
    shift = tensors["offsets"] - torch.einsum("...md,...mdk->...mk", mean, columns)
    # All codes at once, and the state's own kept: conditions are few.
    every = torch.einsum("...nd,...mdk->...nmk", h, columns) + shift.unsqueeze(-3)
    return (every * inside.unsqueeze(-1)).sum(-2)


def write(
    tensors: Mapping[str, Tensor],
    z: Float[Tensor, "*stack batch feature"],
    inside: Float[Tensor, "*stack batch condition"],
) -> Float[Tensor, "*stack batch hidden"]:
    """What changes in the states when their coordinates change by z: z (V_c^T U_c)^-1 V_c^T."""
    columns, rows = tensors["columns"], tensors["rows"]
    inverse = torch.linalg.solve(rows.mT @ columns, rows.mT)
    spread = z.unsqueeze(-2) * inside.unsqueeze(-1)
    return torch.einsum("...nmk,...mkd->...nd", spread, inverse)
