"""What numsym's alignment interventions share: strict constructors, pyvene's subspaces, exact reloading."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.errors import InvalidArgumentError, check_at_least

# What pyvene passes to a constructor: the fields of a representation, the width of the component, its speed flag.
PYVENE_FIELDS = (*pv.RepresentationConfig._fields, "use_fast")


class AlignmentIntervention(pv.TrainableIntervention, pv.DistributedRepresentationIntervention):
    """Exchange coordinates of a learned map between base and source: z = f(h), z' = swap, h' = f^-1(z').

    Which coordinates: those of the blocks that `subspaces` names (blocks of `subspace_partition`, or single
    coordinates where there is no partition); without `subspaces`, the first `interchange_dim`.

    A pyvene intervention is rebuilt from the fields of its `RepresentationConfig` and its state dict alone, so the
    options that pyvene has no field for travel in the state dict.

    Args:
        embed_dim: the width d of what is intervened on.
        keep_last_dim: take (batch, pos, d) as it comes instead of flattening positions into one vector of pos * d.
        subspace_partition: blocks of coordinates, each [start, end) as a pair or a list of indices.
        fields: the other fields of `pv.RepresentationConfig`, which pyvene passes; anything else is refused.

    Raises:
        InvalidArgumentError: `embed_dim` is missing or below 1, or a keyword is unknown.
    """

    keep_last_dim: bool
    embed_dim: Tensor
    interchange_dim: Tensor

    def __init__(
        self,
        *,
        embed_dim: int | None = None,
        keep_last_dim: bool = False,
        subspace_partition: Sequence[Sequence[int]] | None = None,
        **fields: Any,
    ):
        unknown = sorted(set(fields) - set(PYVENE_FIELDS))
        if unknown:
            raise InvalidArgumentError(
                f"unknown argument {', '.join(unknown)} of {type(self).__name__}: besides embed_dim, keep_last_dim and "
                f"subspace_partition it takes the fields of pyvene's RepresentationConfig, {', '.join(PYVENE_FIELDS)}"
            )
        for name in ("low_rank_dimension", "latent_dim"):
            if fields.get(name) is not None:
                raise InvalidArgumentError(
                    f"{name}={fields[name]!r} is not allowed: {type(self).__name__} has none; it exchanges the first "
                    "`interchange_dim` coordinates (`set_interchange_dim`), or the blocks of `subspace_partition`"
                )
        if embed_dim is None:
            raise InvalidArgumentError(
                f"embed_dim=None is not allowed: {type(self).__name__} needs the width of what it intervenes on "
                "(pyvene gives it for a registered component)"
            )
        check_at_least("embed_dim", embed_dim, 1)
        super().__init__(
            embed_dim=int(embed_dim), keep_last_dim=keep_last_dim, subspace_partition=subspace_partition, **fields
        )
        self.width = int(embed_dim)

    @property
    def features(self) -> int | None:
        """How many coordinates z has, which subspaces and `interchange_dim` count; `None`: as many as a state."""
        return None

    @abstractmethod
    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch feature"],
    ) -> Float[Tensor, "*batch hidden"]:
        """The base with the `chosen` coordinates (1 or 0 each) taken from the source."""

    def forward(
        self, base: Float[Tensor, "*batch hidden"], source: Tensor, subspaces: list | None = None, **kwargs: Any
    ) -> Float[Tensor, "*batch hidden"]:
        """Interchange; computed in the map's own type (float32 unless it was changed), returned in the base's.

        Args:
            base: (batch, d), or (batch, pos, d).
            source: the same shape, or one that broadcasts to it.
            subspaces: per example, the blocks (or coordinates) to exchange; `None` means the first `interchange_dim`.
            kwargs: ignored; pyvene passes the module's inputs here on request.
        """
        wide = next((p.dtype for p in self.parameters()), torch.float32)
        chosen = self.chosen(base, subspaces).to(wide)
        return self.exchange(base.to(wide), source.to(wide).expand_as(base), chosen).to(base.dtype)

    def chosen(self, base: Float[Tensor, "*batch hidden"], subspaces: list | None) -> Tensor:
        """Which coordinates are exchanged, as a boolean that broadcasts against `base`."""
        width = self.features or base.shape[-1]
        if subspaces is None:
            return torch.arange(width, device=base.device) < self.interchange_dim.to(base.device)
        if len(subspaces) != base.shape[0]:
            raise InvalidArgumentError(
                f"subspaces has {len(subspaces)} entries, but there are {base.shape[0]} examples: give one list each"
            )
        rows = [self._coordinates(names) for names in subspaces]
        mask = torch.zeros(len(rows), width, dtype=torch.bool)
        for row, coordinates in enumerate(rows):
            mask[row, coordinates] = True
        return mask.to(base.device).reshape(len(rows), *[1] * (base.ndim - 2), width)

    def _coordinates(self, names: list[int]) -> list[int]:
        blocks = self.subspace_partition
        if blocks is None:
            return list(names)
        if any(not 0 <= name < len(blocks) for name in names):
            raise InvalidArgumentError(f"subspaces={names!r} is not allowed: there are blocks 0..{len(blocks) - 1}")
        return [coordinate for name in names for coordinate in blocks[name]]

    def get_extra_state(self) -> dict[str, Any]:
        """What a state dict carries besides tensors."""
        return {"keep_last_dim": self.keep_last_dim, "subspace_partition": self.subspace_partition}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what a saved intervention was built with."""
        self.keep_last_dim, self.subspace_partition = state["keep_last_dim"], state["subspace_partition"]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # pyvene rebuilds at the width of all units together; one that kept its last dimension is narrower than that.
        if state_dict.get(f"{prefix}_extra_state", {}).get("keep_last_dim"):
            for name, own in [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]:
                saved = state_dict.get(prefix + name)
                if saved is not None and saved.shape != own.shape:
                    new = torch.empty_like(saved, device=own.device)
                    setattr(self, name, nn.Parameter(new, own.requires_grad) if isinstance(own, nn.Parameter) else new)
        super()._load_from_state_dict(state_dict, prefix, *args)
