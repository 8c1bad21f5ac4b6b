"""Which neurons hold a variable, learned: no map, and a mask over the coordinates of the state itself."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.interventions.base import AlignmentIntervention

START = 2.0
"""What a mask's logits begin at, in or out."""


class NeuronMaskIntervention(AlignmentIntervention):
    """h' = h + m (s - h), m = sigmoid(l / T) for each neuron.

    The logits l are learned while the temperature T falls, so that the soft mask ends as a choice of neurons; how many
    it takes is a part of the search's loss (`boundary_weight`), so that no more are chosen than serve. There is one
    block: `interchange_dim` and subspaces are not used. It is what single neurons reach, which no map is needed for.

    Args:
        others: see `AlignmentIntervention`.

    Example:
        >>> mask = NeuronMaskIntervention(embed_dim=24)
        >>> base, source = torch.randn(2, 8, 24)
        >>> mask(base, source).shape, mask.neurons
        (torch.Size([8, 24]), [])
    """

    def __init__(self, **others: Any):
        super().__init__(**others)
        self.logits = nn.Parameter(torch.zeros(self.width))
        self.register_buffer("temperature", torch.tensor(self.starting_temperature))
        self.temperature: Tensor

    @property
    def starting_temperature(self) -> float:
        """Of the logits: with `START` a neuron begins 88 % in, or out."""
        return 1.0

    def set_temperature(self, temperature: Tensor | float) -> None:
        """Set T."""
        self.temperature.fill_(float(temperature))

    @property
    def neurons(self) -> list[int]:
        """Those that are more in than out."""
        return (self.logits > 0).nonzero()[:, 0].tolist()

    @property
    def boundary(self) -> int:
        """How many neurons are exchanged, at least one."""
        return max(1, len(self.neurons))

    @property
    def size(self) -> Float[Tensor, ""]:
        """What the search adds to its loss."""
        return mask_size(self.logits)

    def chosen(self, base: Float[Tensor, "*batch hidden"], subspaces: list | None) -> Tensor:
        """The degree to which each neuron is exchanged."""
        return neuron_mask(self.logits, self.temperature)

    def exchange(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Float[Tensor, "*batch hidden"],
        chosen: Float[Tensor, "*#batch hidden"],
    ) -> Float[Tensor, "*batch hidden"]:
        """Base plus the chosen part of the difference."""
        return base + (source - base) * chosen

    def __str__(self) -> str:
        return "NeuronMaskIntervention()"


def neuron_mask(
    logits: Float[Tensor, "*stack hidden"], temperature: Float[Tensor, "*stack"]
) -> Float[Tensor, "*stack hidden"]:
    """Sigmoid(l / T), for one mask or a stack of them."""
    return torch.sigmoid(logits / temperature.unsqueeze(-1))


def mask_size(logits: Float[Tensor, "*stack hidden"]) -> Float[Tensor, "*stack"]:
    """The share of neurons that are in, softly."""
    return torch.sigmoid(logits).mean(-1)
