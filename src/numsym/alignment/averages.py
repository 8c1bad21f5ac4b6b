"""Running means of what a search learns: at a high rate single steps still jump about where their mean has arrived."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Averages:
    """Exponential running means of parameters, step by step (Polyak and Juditsky 1992; as used since in deep learning).

    Args:
        parameters: as they are before the first step.
        share: of the mean that stays at each step; over the first steps it is the plain mean. None are kept, if 0.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], share: float):
        self.parameters, self.share, self.steps = list(parameters), share, 0
        self.means: list[Tensor] = [p.detach().clone() for p in self.parameters] if share else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters after a step."""
        self.steps += 1
        weight = max(1 - self.share, 1 / (self.steps + 1))
        for mean, parameter in zip(self.means, self.parameters, strict=False):
            mean.lerp_(parameter, weight)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The means where the parameters were; the parameters are back afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, mean in enumerate(self.means):
            parameter = self.parameters[i]
            parameter.data, self.means[i] = mean, parameter.data
