"""What a linear exchange is, whichever type of intervention makes it: h' = h + (h_source - h) U R with R U = I.

Whether U R is an orthogonal projection decides in which formats it fits.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS, name_of
from numsym.errors import InvalidArgumentError

TOLERANCE = 1e-4
"""Relative: float32 maps of a few thousand coordinates keep to it by two digits."""


@dataclass(frozen=True)
class Projection:
    """Which directions an exchange reads, and which it writes.

    Attributes:
        columns: U (hidden, k): the features of a state are h U.
        rows: R (k, hidden): what each feature's difference adds to the state.
    """

    columns: Float[Tensor, "hidden feature"]
    rows: Float[Tensor, "feature hidden"]

    @property
    def rank(self) -> int:
        """How many coordinates are exchanged, k."""
        return self.columns.shape[1]

    @cached_property
    def angle(self) -> float:
        """The largest angle in degrees between what is read and what is written; 0 is an orthogonal projection."""
        read, written = torch.linalg.qr(self.columns).Q, torch.linalg.qr(self.rows.mT).Q
        # The sine, as a cosine near 1 tells nothing in floating point.
        sine = torch.linalg.matrix_norm(written - read @ (read.mT @ written), ord=2)
        return float(torch.rad2deg(torch.arcsin(sine.clamp(max=1))))

    def check_orthogonal(self, otherwise: str) -> None:
        """Raise `InvalidArgumentError` unless it is an orthogonal projection; `otherwise`: what can be done instead."""
        if torch.sin(torch.deg2rad(torch.tensor(self.angle))) > TOLERANCE:
            raise InvalidArgumentError(
                f"this map is not allowed: the format holds orthogonal projections, and this exchange is oblique (it "
                f"reads and writes directions up to {self.angle:.3g} degrees apart); {otherwise}"
            )

    def basis(self) -> Float[Tensor, "hidden feature"]:
        """W (hidden, k) orthonormal with the exchange (h_source - h) W W^T: U itself where it is orthonormal."""
        eye = torch.eye(self.rank, dtype=self.columns.dtype)
        if torch.dist(self.columns.mT @ self.columns, eye) < TOLERANCE:
            return self.columns
        return torch.linalg.qr(self.columns).Q


@torch.no_grad()
def projection_of(intervention: pv.Intervention, block: int | None = None) -> Projection:
    """The exchange of an intervention, on the CPU in double precision.

    Args:
        intervention: of a type that `ALIGNMENTS` knows, or pyvene's rotation of low rank.
        block: which of its blocks; `None` where it has one.

    Raises:
        InvalidArgumentError: its type is not known, or what it does is no linear exchange.
    """
    if isinstance(intervention, pv.LowRankRotatedSpaceIntervention):
        forward = directions(intervention.rotate_layer).double().cpu()
        made = Projection(forward, forward.mT)
    else:
        made = _of_registered(intervention, block)
    _check(intervention, made, block)
    return made


def _of_registered(intervention: pv.Intervention, block: int | None) -> Projection:
    name = name_of(intervention)
    if name is None:
        raise InvalidArgumentError(
            f"intervention of type {type(intervention).__name__} is not allowed: it must be one of "
            f"{', '.join(ALIGNMENTS[one].kind.__name__ for one in ALIGNMENTS)}"
        )
    function = ALIGNMENTS[name]
    if function.maps is None:
        raise InvalidArgumentError(f"alignment={name!r} is not allowed: its exchange is no linear map")
    tensors = {k: v.detach().double().cpu()[None] for k, v in function.tensors(intervention).items()}
    forward, inverse = (one[0] for one in function.maps(tensors))
    if function.mask is not None:
        degree = function.mask(tensors)[0]
        if (torch.minimum(degree, 1 - degree) > TOLERANCE).any():
            raise InvalidArgumentError(
                f"alignment={name!r} is not allowed: some coordinates are exchanged by degrees "
                f"({degree[(degree - 0.5).abs().argmin()]:.3g}), not wholly or not at all"
            )
        chosen = (degree > 0.5).nonzero()[:, 0].tolist()
    elif block is not None:
        chosen = intervention.subspace_partition[block]
    else:
        chosen = list(range(int(intervention.interchange_dim)))
    return Projection(forward[:, chosen], inverse[chosen])


def _check(intervention: pv.Intervention, found: Projection, block: int | None) -> None:
    """That the intervention's own forward does this and nothing else."""
    generator = torch.Generator().manual_seed(0)
    base, source = torch.randn(2, 8, found.columns.shape[0], generator=generator)
    device = next(intervention.parameters()).device
    subspaces = None if block is None else [[block]] * len(base)
    got = intervention(base.clone().to(device), source.to(device), subspaces).cpu()
    want = base.double() + (source - base).double() @ found.columns @ found.rows
    if not torch.allclose(got.double(), want, atol=TOLERANCE * float(want.abs().max()), rtol=0):
        raise InvalidArgumentError(
            f"intervention of type {type(intervention).__name__} is not allowed: it is no linear exchange of some "
            "coordinates, the same for every state"
        )


def rotation_layer(basis: Float[Tensor, "hidden feature"]) -> nn.Module:
    """The layer of pyvene for k orthonormal directions, kept so by its parametrization, with these in it."""
    layer = pv.models.layers.LowRankRotateLayer(*basis.shape, init_orth=False)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # the directions are completed to a basis at random
        torch.manual_seed(0)
        layer.weight.copy_(basis)
        return nn.utils.parametrizations.orthogonal(layer)


def directions(layer: Any) -> Float[Tensor, "hidden feature"]:
    """The k orthonormal directions of such a layer."""
    return layer.weight.detach()


def low_rank_rotation(basis: Float[Tensor, "hidden feature"]) -> pv.LowRankRotatedSpaceIntervention:
    """The exchange by pyvene of the part of a state within k orthonormal directions."""
    width, rank = basis.shape
    with torch.random.fork_rng(devices=[]):
        made = pv.LowRankRotatedSpaceIntervention(embed_dim=width, low_rank_dimension=rank)
    made.rotate_layer = rotation_layer(basis.float())
    return made
