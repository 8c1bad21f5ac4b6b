"""Alignment functions by name: which pyvene intervention each is, and its map and inverse map for the search.

An interchange of some coordinates of z = h F is h' = h + (h_source - h) F C F^-1 with C the 0/1 diagonal of the
coordinates exchanged. The search needs F and F^-1 for a stack of parameters at once; an intervention's own forward is
the definition, and the two are tested equal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from numsym._pyvene import pv
from numsym.alignment import conditional, features, projected
from numsym.alignment.baselines import BASELINES
from numsym.alignment.starts import Projection, Seen, distinct, projections
from numsym.errors import InvalidArgumentError, check_between, check_name
from numsym.interventions import (
    BoundlessLinearAlignmentIntervention,
    ConditionalAlignmentIntervention,
    DictionaryIntervention,
    LinearAlignmentIntervention,
    LowRankLinearAlignmentIntervention,
    NeuronMaskIntervention,
)
from numsym.interventions import conditional as given
from numsym.interventions import dictionary as sparse
from numsym.interventions.boundless import boundary_mask
from numsym.interventions.linear import definite
from numsym.interventions.mask import mask_size, neuron_mask
from numsym.registry import Registry

Maps = tuple[Float[Tensor, "stack hidden feature"], Float[Tensor, "stack feature hidden"]]
Parameters = projected.Parameters


@dataclass(frozen=True)
class AlignmentFunction:
    """An entry of `ALIGNMENTS`.

    Attributes:
        kind: the pyvene intervention type.
        learned: names of the parameters that the search learns; none of a function that only its starts decide.
        fixed: names of the buffers that the map depends on.
        maps: from parameters and buffers by name, each with a leading stack dimension, to F and F^-1; `None` where the
            exchange is no linear one.
        exchanged: where it is not, the exchange: from the same, base and source (stack, batch, hidden), and the degree
            (stack, batch, feature) to which each coordinate is exchanged.
        mask: from the same to the degree (stack, feature) to which each coordinate is exchanged, where that is learned
            too; its buffer `temperature` then falls during the search.
        size: where there is a mask, from the same to how much of the state it takes, a part of the search's loss.
        projected: from a fresh intervention, a projection and what the pairs show to the parameters, and buffers, that
            come nearest to the projection: what a search starts from. Without it a search starts at random.
        begins: instead of that, all starts by name, for a function that is not a linear exchange.
    """

    kind: type[pv.TrainableIntervention]
    learned: tuple[str, ...]
    fixed: tuple[str, ...]
    maps: Callable[[Parameters], Maps] | None = None
    mask: Callable[[Parameters], Tensor] | None = None
    size: Callable[[Parameters], Tensor] | None = None
    projected: Callable[[pv.Intervention, Projection, Seen], Parameters] | None = None
    begins: Callable[[pv.Intervention, Seen], Mapping[str, Parameters]] | None = None
    exchanged: Callable[[Parameters, Tensor, Tensor, Tensor], Tensor] | None = None

    def tensors(self, intervention: pv.Intervention) -> Parameters:
        """The parameters and buffers of an intervention that its map depends on, by name."""
        named = {**dict(intervention.named_parameters()), **dict(intervention.named_buffers())}
        return {name: named[name] for name in (*self.learned, *self.fixed)}

    def exchange(
        self,
        parameters: Parameters,
        base: Float[Tensor, "stack batch hidden"],
        source: Float[Tensor, "stack batch hidden"],
        chosen: Float[Tensor, "stack #batch feature"],
    ) -> Float[Tensor, "stack batch hidden"]:
        """H + (h_source - h) F C F^-1 for a stack of maps, or what the function has instead, in the maps' own type."""
        if self.exchanged is not None:
            return self.exchanged(parameters, base, source, chosen)
        assert self.maps is not None
        forward, inverse = self.maps(parameters)
        return base + (((source - base) @ forward) * chosen) @ inverse

    @torch.no_grad()
    def starts(self, intervention: pv.Intervention, seen: Seen) -> dict[str, Parameters]:
        """What a search may begin with, by name: parameters and buffers; none is the intervention as it is.

        Args:
            intervention: fresh, with as many blocks as the pairs have.
            seen: the pairs to search with.
        """
        if self.begins is not None:
            return dict(self.begins(intervention, seen))
        random: dict[str, Parameters] = {"random": {}}
        if self.projected is None:
            return random
        found = projections(seen, int(intervention.interchange_dim) // len(seen.blocks))
        return random | distinct([(name, self.projected(intervention, one, seen)) for name, one in found.items()])


ALIGNMENTS: Registry[AlignmentFunction] = Registry("alignment")
"""Alignment functions by the name that `align(alignment=...)` uses."""


def _orthogonal(parameters: Parameters) -> Maps:
    """What `torch.nn.utils.parametrizations.orthogonal` computes for pyvene's rotation: base exp(X - X^T)."""
    lower = parameters["rotate_layer.parametrizations.weight.original"].tril()
    rotation = parameters["rotate_layer.parametrizations.weight.0.base"] @ torch.matrix_exp(lower - lower.mT)
    return rotation, rotation.mT


def _linear(parameters: Parameters) -> Maps:
    """M M^T + l I and its inverse through the Cholesky factor, in standardised features; S and b cancel."""
    forward = definite(parameters["matrix"])
    # To say that a factor does not exist, a device would be waited for; it exists for every M.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(forward)[0])
    std = parameters["std"]
    return forward / std[:, :, None], inverse * std[:, None, :]


ALIGNMENTS.register("orthogonal")(
    AlignmentFunction(
        kind=pv.RotatedSpaceIntervention,
        learned=("rotate_layer.parametrizations.weight.original",),
        fixed=("rotate_layer.parametrizations.weight.0.base",),
        maps=_orthogonal,
        projected=projected.orthogonal,
    )
)
ALIGNMENTS.register("linear")(
    AlignmentFunction(
        kind=LinearAlignmentIntervention,
        learned=("matrix",),
        fixed=("std",),
        maps=_linear,
        projected=projected.linear,
    )
)


def _low_rank(parameters: Parameters) -> Maps:
    """U and (V^T U)^-1 V^T."""
    columns, rows = parameters["columns"], parameters["rows"]
    product = rows.mT @ columns
    # Whether it is singular is asked only where nothing waits for the answer.
    return columns, torch.linalg.solve_ex(product, rows.mT, check_errors=product.device.type == "cpu")[0]


ALIGNMENTS.register("low_rank")(
    AlignmentFunction(
        kind=LowRankLinearAlignmentIntervention,
        learned=("columns", "rows"),
        fixed=(),
        maps=_low_rank,
        projected=projected.low_rank,
    )
)
ALIGNMENTS.register("boundless")(
    AlignmentFunction(
        kind=BoundlessLinearAlignmentIntervention,
        learned=("matrix", "intervention_boundaries"),
        fixed=("std", "temperature"),
        maps=_linear,
        mask=lambda p: boundary_mask(p["intervention_boundaries"], p["temperature"], p["matrix"].shape[-1]),
        size=lambda p: p["intervention_boundaries"],
        projected=projected.boundless,
    )
)
ALIGNMENTS.register("conditional")(
    AlignmentFunction(
        kind=ConditionalAlignmentIntervention,
        learned=given.LEARNED,
        fixed=given.FIXED,
        exchanged=given.exchange,
        begins=conditional.starts,
    )
)
ALIGNMENTS.register("mask")(
    AlignmentFunction(
        kind=NeuronMaskIntervention,
        learned=("logits",),
        fixed=("temperature",),
        exchanged=lambda p, base, source, chosen: base + (source - base) * chosen,
        mask=lambda p: neuron_mask(p["logits"], p["temperature"]),
        size=lambda p: mask_size(p["logits"]),
        projected=projected.mask,
    )
)
ALIGNMENTS.register("sae")(
    AlignmentFunction(
        kind=DictionaryIntervention,
        learned=(),
        fixed=sparse.FIXED,
        exchanged=sparse.exchange,
        begins=features.starts,
    )
)
RANKED = (LowRankLinearAlignmentIntervention, ConditionalAlignmentIntervention, DictionaryIntervention)
"""Those that are made with the number of their coordinates."""


def function_names() -> tuple[str, ...]:
    """What `alignment=` may be: the functions that are learned, and the baselines that are not."""
    return (*ALIGNMENTS, *BASELINES)


def function_of(name: str) -> AlignmentFunction:
    """An alignment function by name; a baseline is a low-rank one with its own starts, which `build` lets be.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in BASELINES:
        check_name("alignment", name, function_names())
        return ALIGNMENTS[name]
    baseline = BASELINES[name]

    def begins(intervention: pv.Intervention, seen: Seen) -> dict[str, Parameters]:
        fresh = intervention.columns.detach().to(seen.base)
        return {start: {"columns": found, "rows": found} for start, found in baseline(fresh, seen).items()}

    return replace(ALIGNMENTS["low_rank"], begins=begins)


def check_fits(alignment: str, width: int, subspace_dim: int, blocks: int) -> None:
    """Raise what `build` raises, without building."""
    function = function_of(alignment)
    check_between("subspace_dim", subspace_dim, 1, width, why="the width of the site")
    if blocks * subspace_dim > width:
        raise InvalidArgumentError(
            f"subspace_dim={subspace_dim} is not allowed: {blocks} variables take {blocks * subspace_dim} coordinates, "
            f"but the site has {width}"
        )
    if function.mask is not None and blocks > 1:
        raise InvalidArgumentError(
            f"alignment={alignment!r} is not allowed for {blocks} variables: it learns one choice of coordinates"
        )


def build(
    alignment: str, width: int, subspace_dim: int, blocks: int, seed: int, conditions: int = 1
) -> pv.TrainableIntervention:
    """A fresh intervention of that name with `blocks` blocks of `subspace_dim` coordinates, started from `seed`.

    Args:
        alignment: the name.
        width: of the site.
        subspace_dim: coordinates of each block.
        blocks: how many.
        seed: of the start.
        conditions: how many a conditional function tells apart.

    Raises:
        UnknownNameError: no such alignment function.
        InvalidArgumentError: `subspace_dim` is outside 1..width, or the blocks do not fit side by side.
    """
    check_fits(alignment, width, subspace_dim, blocks)
    function = function_of(alignment)
    partition = [[i * subspace_dim, (i + 1) * subspace_dim] for i in range(blocks)] if blocks > 1 else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rank = {"low_rank_dimension": subspace_dim * blocks} if issubclass(function.kind, RANKED) else {}
        if issubclass(function.kind, ConditionalAlignmentIntervention):
            rank["latent_dim"] = conditions
        intervention = function.kind(embed_dim=width, subspace_partition=partition, **rank)
    intervention.set_interchange_dim(subspace_dim * blocks)
    return intervention.requires_grad_(False) if alignment in BASELINES else intervention


def name_of(intervention: pv.Intervention) -> str | None:
    """The name under which an intervention's type is registered, if it is."""
    return next((name for name in ALIGNMENTS if type(intervention) is ALIGNMENTS[name].kind), None)
