"""How a search descends: Adam at a rate that rises and falls, and the running mean of what it learns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from numsym.alignment.settings import SearchSettings


class Descent:
    """Steps of Adam on parameters, by the settings of a search; `averages` are what is looked at and kept."""

    def __init__(self, parameters: Sequence[nn.Parameter], settings: SearchSettings):
        self.settings, betas = settings, (0.9, float(settings.beta2))
        self.optimiser = torch.optim.Adam(parameters, lr=settings.rate(1), betas=betas)
        self.averages = Averages(parameters, settings.memory)

    def step(self, number: int, loss: Tensor) -> None:
        """Step `number`, counted from 1, down a loss."""
        self.optimiser.param_groups[0]["lr"] = self.settings.rate(number)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.averages.update()


class Averages:
    """Exponential running means of parameters: at a high rate single steps jump about where their mean has arrived.

    After Polyak and Juditsky (1992).

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
