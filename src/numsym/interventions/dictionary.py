"""An exchange of features of a sparse dictionary, such as a sparse autoencoder's."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.interventions.base import AlignmentIntervention

FIXED = ("encoder", "bias", "threshold", "decoder")


class DictionaryIntervention(AlignmentIntervention):
    """h' = h + sum over features f of (a_f(s) - a_f(h)) d_f, with a_f(x) = max(0, x_f) where x_f = x w_f + b_f > t_f.

    The k features are some of a dictionary's: a sparse autoencoder of ReLUs has t = 0, a JumpReLU one thresholds of its
    own. Other features stay as they are, and so does what the dictionary does not reconstruct: the state is not
    replaced by a reconstruction. No decoder bias is needed, as it cancels.

    Nothing is learned here: which features are exchanged is chosen beforehand (`numsym.alignment.features`).

    Args:
        embed_dim: the width d.
        low_rank_dimension: how many features k are held.
        others: see `AlignmentIntervention`; blocks of `subspace_partition` count the k features.

    Raises:
        InvalidArgumentError: `low_rank_dimension` is missing or below 1.

    Example:
        >>> sae = DictionaryIntervention(embed_dim=24, low_rank_dimension=4)
        >>> base, source = torch.randn(2, 8, 24)
        >>> sae(base, source).shape, sae.featurize(base).shape
        (torch.Size([8, 24]), torch.Size([8, 4]))
    """

    def __init__(self, *, embed_dim: int | None = None, low_rank_dimension: int | None = None, **others: Any):
        super().__init__(embed_dim=embed_dim, **others)
        if low_rank_dimension is None:
            raise InvalidArgumentError("low_rank_dimension=None is not allowed: give how many features are exchanged")
        check_at_least("low_rank_dimension", low_rank_dimension, 1)
        self.low_rank_dimension = low_rank_dimension
        drawn = torch.randn(self.width, low_rank_dimension) / self.width**0.5
        self.encoder = nn.Parameter(drawn, requires_grad=False)
        self.decoder = nn.Parameter(drawn.mT.clone(), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(low_rank_dimension), requires_grad=False)
        self.threshold = nn.Parameter(torch.zeros(low_rank_dimension), requires_grad=False)

    @property
    def features(self) -> int:
        """How many are held, k."""
        return self.low_rank_dimension

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything that the exchange depends on, by name."""
        return {name: getattr(self, name) for name in FIXED}

    def featurize(self, h: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch feature"]:
        """The features' activations."""
        return activations(self.tensors, h.reshape(-1, h.shape[-1])).reshape(*h.shape[:-1], -1)

    def inverse(self, z: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch hidden"]:
        """The part of a state that these features write."""
        return z @ self.decoder

    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch feature"],
    ) -> Float[Tensor, "*batch hidden"]:
        """The base with the source's activations of the chosen features; all else stays."""
        return base + self.inverse((self.featurize(source) - self.featurize(base)) * chosen)

    def __str__(self) -> str:
        return "DictionaryIntervention()"


def activations(
    tensors: Mapping[str, Tensor], h: Float[Tensor, "*stack batch hidden"]
) -> Float[Tensor, "*stack batch feature"]:
    """Of one dictionary's features, or of a stack of them."""
    before = h @ tensors["encoder"] + tensors["bias"].unsqueeze(-2)
    return before.relu() * (before > tensors["threshold"].unsqueeze(-2))


def exchange(
    tensors: Mapping[str, Tensor],
    base: Float[Tensor, "*stack batch hidden"],
    source: Float[Tensor, "*stack batch hidden"],
    chosen: Float[Tensor, "*stack #batch feature"],
) -> Float[Tensor, "*stack batch hidden"]:
    """The exchange of one map, or of a stack of them."""
    return base + ((activations(tensors, source) - activations(tensors, base)) * chosen) @ tensors["decoder"]
