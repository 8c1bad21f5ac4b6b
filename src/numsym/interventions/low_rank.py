"""The LAF at the width of a large language model: an oblique projection of fixed rank."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_between
from numsym.interventions.base import AlignmentIntervention


class LowRankLinearAlignmentIntervention(AlignmentIntervention):
    """h' = h + (h_source - h) P with P = U (V^T U)^-1 V^T, for U and V of d x k.

    Exchanging the first k coordinates of z = h W is the oblique projection P = W[:, :k] W^-1[:k, :] of rank k ([N]
    section 3.3), and every such projection has this form. So nothing of size d x d is made or inverted: a step costs
    O(d k) a state and O(d k^2 + k^3) for the map. U and V start as the same k orthonormal columns, where V^T U = I.

    Args:
        embed_dim: the width d.
        low_rank_dimension: the rank k, in 1..d.
        others: see `AlignmentIntervention`; blocks of `subspace_partition` count the k features.

    Raises:
        InvalidArgumentError: `low_rank_dimension` is missing or outside 1..d.

    Example:
        >>> low = LowRankLinearAlignmentIntervention(embed_dim=4096, low_rank_dimension=64)
        >>> base, source = torch.randn(2, 8, 4096)
        >>> low(base, source).shape
        torch.Size([8, 4096])
    """

    def __init__(self, *, embed_dim: int | None = None, low_rank_dimension: int | None = None, **others: Any):
        super().__init__(embed_dim=embed_dim, **others)
        width = self.width
        if low_rank_dimension is None:
            raise InvalidArgumentError("low_rank_dimension=None is not allowed: give the rank, in 1..embed_dim")
        check_between("low_rank_dimension", low_rank_dimension, 1, width, why="the width of the site")
        self.low_rank_dimension = low_rank_dimension
        start = torch.linalg.qr(torch.randn(width, low_rank_dimension)).Q
        self.columns = nn.Parameter(start)
        self.rows = nn.Parameter(start.clone())

    @property
    def features(self) -> int:
        """The rank k."""
        return self.low_rank_dimension

    def featurize(self, h: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch feature"]:
        """Map states to the k features z = h U."""
        return h @ self.columns

    def inverse(self, z: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch hidden"]:
        """The state of the projection's range whose features are z: z (V^T U)^-1 V^T."""
        flat = z.reshape(-1, z.shape[-1])
        solved = torch.linalg.solve(self.rows.mT @ self.columns, flat, left=False)
        return (solved @ self.rows.mT).reshape(*z.shape[:-1], -1)

    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch feature"],
    ) -> Float[Tensor, "*batch hidden"]:
        """Base plus the image of the chosen features' difference."""
        return base + self.inverse(self.featurize(source - base) * chosen)

    def __str__(self) -> str:
        return "LowRankLinearAlignmentIntervention()"
