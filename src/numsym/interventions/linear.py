"""The linear alignment function (LAF) of [N], as a pyvene intervention."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.interventions.base import AlignmentIntervention

DAMPING = 0.1
"""The l of [N]: it keeps both factors of W away from singular."""


class LinearAlignmentIntervention(AlignmentIntervention):
    """z = h W with W = (M M^T + l I) S, any invertible map of that form instead of a rotation ([N] section 3.3).

    M (d x d) is learned and starts at N(0, 1/d); S is diagonal with entries tanh(a) + l sign(tanh(a)), a learned and
    started at N(0, 0.01^2); l = 0.1. With a bias b and standardisation, z = ((h - mean) / std + b) W. The first factor
    is symmetric positive definite, so its inverse goes through a Cholesky factor.

    S and b cancel in an exchange (S scales a coordinate and is undone, b is added to base and source alike): they
    matter to `featurize`, and receive no gradient from an interchange.

    So not every projection is an exchange of a LAF. Write the k exchanged directions as (I, X) and the kept ones as
    (Y, I), the first k coordinates first: XY then has real eigenvalues in [0, 1). An orthogonal projection has
    Y = -X^T, so of the exchanges of a rotation the LAF has only that of the coordinates themselves; a k beyond what the
    variable takes makes up for it, and `LowRankLinearAlignmentIntervention` has no such limit.

    Args:
        bias: whether b is learned; it is zero otherwise.
        others: see `AlignmentIntervention`.

    Example:
        >>> laf = LinearAlignmentIntervention(embed_dim=24)
        >>> laf.set_interchange_dim(5)
        >>> base, source = torch.randn(2, 8, 24)
        >>> laf(base, source).shape
        torch.Size([8, 24])
    """

    def __init__(self, *, embed_dim: int | None = None, bias: bool = False, **others: Any):
        super().__init__(embed_dim=embed_dim, **others)
        width = self.width
        self.matrix = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.scale = nn.Parameter(0.01 * torch.randn(width))
        self.bias = nn.Parameter(torch.zeros(width), requires_grad=bias)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.mean: Tensor
        self.std: Tensor

    def standardise(self, states: Float[Tensor, "*batch hidden"]) -> None:
        """Take mean and standard deviation per feature from `states`; a constant feature keeps its scale."""
        flat = states.detach().reshape(-1, states.shape[-1]).to(self.mean)
        std = flat.std(0)
        self.mean.copy_(flat.mean(0))
        self.std.copy_(torch.where(std > 0, std, 1.0))

    @property
    def definite(self) -> Float[Tensor, "hidden hidden"]:
        """M M^T + l I."""
        return definite(self.matrix)

    @property
    def diagonal(self) -> Float[Tensor, "hidden"]:
        """The entries of S; never zero, also where a is."""
        squashed = self.scale.tanh()
        return squashed + torch.full_like(squashed, DAMPING).copysign(squashed)

    def featurize(self, h: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
        """Map states to features, z = ((h - mean) / std + b) W."""
        return ((h - self.mean) / self.std + self.bias) @ self.definite * self.diagonal

    def inverse(self, z: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
        """The h whose `featurize` is z."""
        return (self._solve(z / self.diagonal) - self.bias) * self.std + self.mean

    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch hidden"],
    ) -> Float[Tensor, "*batch hidden"]:
        """Base plus the inverse image of the chosen coordinates' difference.

        This is `inverse` of the swapped features, with the parts that cancel left out: equal states stay as they are
        to the last bit, and the error of the inverse scales with the difference instead of with the state.
        """
        difference = ((source - base) / self.std) @ self.definite
        return base + self._solve(difference * chosen) * self.std

    def _solve(self, y: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
        """Y (M M^T + l I)^-1, for rows y."""
        factor = torch.linalg.cholesky(self.definite)
        rows = y.reshape(-1, y.shape[-1])
        return torch.cholesky_solve(rows.mT, factor).mT.reshape(y.shape)

    def __str__(self) -> str:
        return "LinearAlignmentIntervention()"


def definite(matrix: Float[Tensor, "*stack hidden hidden"]) -> Float[Tensor, "*stack hidden hidden"]:
    """M M^T + l I, the positive definite factor of W, for one M or a stack of them."""
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return matrix @ matrix.mT + DAMPING * eye
