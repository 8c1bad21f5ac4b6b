"""A LAF that learns how many coordinates to exchange."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.interventions.linear import LinearAlignmentIntervention


class BoundlessLinearAlignmentIntervention(LinearAlignmentIntervention):
    """The LAF with a learned boundary: coordinate i is exchanged to the degree sigmoid((b d - i - 1/2) / T).

    As in pyvene's boundless rotation (Wu et al. 2023), the boundary b in 0..1 is learned with the map while the
    temperature T falls, so that the soft mask ends as a choice of the first b d coordinates. There is one block:
    `interchange_dim` and subspaces are not used.

    Args:
        others: see `LinearAlignmentIntervention`.
    """

    def __init__(self, **others: Any):
        super().__init__(**others)
        self.intervention_boundaries = nn.Parameter(torch.tensor([0.5]))
        self.register_buffer("temperature", torch.tensor(self.starting_temperature))
        self.temperature: Tensor

    @property
    def starting_temperature(self) -> float:
        """An eighth of the width, in coordinates: every coordinate begins with a gradient."""
        return max(1.0, self.width / 8)

    def set_temperature(self, temperature: Tensor | float) -> None:
        """Set T, in coordinates."""
        self.temperature.fill_(float(temperature))

    def get_boundary_parameters(self) -> nn.Parameter:
        """The boundary b, as pyvene names it."""
        return self.intervention_boundaries

    @property
    def boundary(self) -> int:
        """How many coordinates the boundary stands for, at least one."""
        return max(1, round(float(self.intervention_boundaries.detach().clamp(0, 1)) * self.width))

    @property
    def size(self) -> Float[Tensor, "1"]:
        """What the search adds to its loss: the boundary."""
        return self.intervention_boundaries

    def chosen(self, base: Float[Tensor, "*batch hidden"], subspaces: list | None) -> Tensor:
        """The degree to which each coordinate is exchanged."""
        return boundary_mask(self.intervention_boundaries, self.temperature, base.shape[-1])

    def __str__(self) -> str:
        return "BoundlessLinearAlignmentIntervention()"


def boundary_mask(
    boundary: Float[Tensor, "*stack 1"], temperature: Float[Tensor, "*stack"], width: int
) -> Float[Tensor, "*stack hidden"]:
    """Sigmoid((b d - i - 1/2) / T) for each coordinate i, for one boundary or a stack of them."""
    place = torch.arange(width, device=boundary.device) + 0.5
    return torch.sigmoid((boundary.clamp(1e-3, 1) * width - place) / temperature.unsqueeze(-1))
