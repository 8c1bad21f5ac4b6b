"""Where an exchange moves states: in the first principal components of the natural ones, and along each of them.

The components are those of the states that bases and sources have at the site. The directions are those in which the
exchange changes bases most: the first right singular vectors of exchanged less base states, whatever map makes them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SHOWN = 160
"""States that are kept to be drawn."""

COMPONENTS = 8
DIRECTIONS = 2


@dataclass(frozen=True)
class Geometry:
    """An exchange seen in the principal components of natural states.

    Attributes:
        variance: the share of the natural states' variance that lies in each of the first components.
        states: some natural states: their first two coordinates, `first` and `second`, and what the program's
            variables are there, in words.
        directions: the coordinates, in the first two components, of the directions in which the exchange changes
            states most, each as long as the root mean square of the change along it; and `share`, the part of the
            whole change (squared) that is along it.
        natural: the standard deviation of natural states along each of the first components.
        change: the root mean square of the exchange's change along each.
    """

    variance: list[float]
    states: list[dict[str, Any]]
    directions: list[dict[str, float]]
    natural: list[float]
    change: list[float]

    @classmethod
    def of(
        cls,
        exchanged: Float[Tensor, "batch hidden"],
        natural: Float[Tensor, "both hidden"],
        labels: list[dict[str, str]],
    ) -> "Geometry":
        """Measure it.

        Args:
            exchanged: states after the exchange.
            natural: those of the bases before it, in the same order, then those of the sources.
            labels: for each of the natural states, variable -> its value in words.
        """
        states = natural.detach().cpu().double()
        mean = states.mean(0)
        change = exchanged.detach().cpu().double() - states[: len(exchanged)]
        _, sizes, axes = torch.linalg.svd(states - mean, full_matrices=False)
        axes = _signed(axes[:COMPONENTS])
        seen = (states - mean) @ axes.mT
        _, lengths, along = torch.linalg.svd(change, full_matrices=False)
        whole = float(lengths.square().sum()) or 1.0
        plane = (_signed(along[:DIRECTIONS]) @ axes[:2].mT) * lengths[:DIRECTIONS, None] / len(change) ** 0.5
        chosen = torch.linspace(0, len(states) - 1, min(SHOWN, len(states))).long().tolist()
        plane_of = _plane(seen)
        return cls(
            variance=(sizes[:COMPONENTS].square() / (float(sizes.square().sum()) or 1.0)).tolist(),
            states=[{"component 1": plane_of[i][0], "component 2": plane_of[i][1], **labels[i]} for i in chosen],
            directions=[
                {
                    "component 1": float(one[0]),
                    "component 2": float(one[1]) if len(one) > 1 else 0.0,
                    "share": float(n**2) / whole,
                }
                for one, n in zip(plane, lengths, strict=False)
            ],
            natural=seen.square().mean(0).sqrt().tolist(),
            change=(change @ axes.mT).square().mean(0).sqrt().tolist(),
        )


def _plane(seen: Float[Tensor, "both component"]) -> list[list[float]]:
    """The first two coordinates; the second is 0 where states have one."""
    return torch.nn.functional.pad(seen[:, :2], (0, max(0, 2 - seen.shape[1]))).tolist()


def _signed(axes: Float[Tensor, "component hidden"]) -> Float[Tensor, "component hidden"]:
    """With the largest entry of each positive, since a singular vector's sign is arbitrary."""
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)
