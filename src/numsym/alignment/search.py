"""The search: gradient steps on interchange pairs until the exchange does what the program says ([N] appendix)."""

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.pairs import Pairs
from numsym.programs import Program

if TYPE_CHECKING:
    from numsym.alignment.engines.free_running import FreeRun

LAST_TEMPERATURE = 0.1
"""Of a learned mask at the end of a search, in coordinates: all but one or two are then in or out."""


@runtime_checkable
class Measures(Protocol):
    """What makes exchanges and scores what follows: all that is needed to say which pairs are `right`."""

    def prepare(self, pairs: Any) -> Any:
        """What can be computed ahead."""

    def measure(self, prepared: list[Any], rows: list[Tensor], alive: list[int]) -> tuple[Tensor, list[Tensor]]:
        """Losses (alive,) and which pairs are right (batch,), of prepared pairs and rows for each of `alive`."""


@runtime_checkable
class Engine(Measures, Protocol):
    """What the search needs of a route through the model; `PyveneEngine` is the reference.

    Attributes:
        name: in results.
        interventions: one per alignment; the search leaves in them what it found.
    """

    name: str
    interventions: list[pv.Intervention]

    def parameters(self) -> list[nn.Parameter]:
        """What is learned."""

    def boundaries(self) -> list[Tensor]:
        """The learned boundaries, whose size is a part of the loss."""

    def set_temperature(self, index: int, temperature: float) -> None:
        """Set how soft a learned mask is."""

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of one alignment's parameters."""

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set one alignment back to a copy."""

    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> "FreeRun | None":
        """What the model does by itself after the exchange; `None` where the engine cannot let it run on."""


@dataclass(frozen=True)
class SearchSettings:
    """How to search; the defaults are [N]'s.

    Attributes:
        max_steps: the most optimiser steps.
        batch_size: pairs a step.
        learning_rate: of Adam.
        check_every: steps between checks on validation pairs.
        patience: checks without a better IIA after which an alignment stops.
        stop_at: validation IIA at which an alignment stops.
        boundary_weight: how much a learned boundary (the share of coordinates exchanged) adds to the loss. Alignments
            with one run all `max_steps`, while their temperature falls, and end with their last parameters.
    """

    max_steps: int = 2000
    batch_size: int = 128
    learning_rate: float | int = 1e-3
    check_every: int = 100
    patience: int = 10
    stop_at: float | int = 0.995
    boundary_weight: float | int = 0.01


@dataclass
class Progress:
    """One alignment's search: the best parameters so far, and its course.

    Attributes:
        records: one a check: `step`, `loss` (mean over the steps since the last), `iia` on validation pairs.
        best_iia: the highest of them; the parameters kept are those that reached it.
        steps: optimiser steps taken.
        converged: whether `stop_at` was reached.
    """

    records: list[dict[str, float | int]] = field(default_factory=list)
    best_iia: float = -1.0
    best: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    steps: int = 0
    converged: bool = False


def search(
    engine: Engine,
    training: Sequence[Sized],
    validation: Sequence[Sized],
    seeds: list[int],
    settings: SearchSettings,
    on_check: Callable[[int, dict[str, float | int]], Any] | None = None,
) -> list[Progress]:
    """Train the engine's alignments, each until it converges or stops improving, and leave the best of each in place.

    Args:
        engine: holds one alignment per entry of the lists.
        training: pairs for each alignment, or whatever the engine prepares.
        validation: pairs for each alignment, to stop and to choose by.
        seeds: of each alignment's order of pairs.
        settings: see `SearchSettings`.
        on_check: called with the index of an alignment and its new record.
    """
    prepared = {id(pairs): engine.prepare(pairs) for pairs in _distinct([*training, *validation])}
    train, valid = ([prepared[id(pairs)] for pairs in sets] for sets in (training, validation))
    orders = [_Order(len(pairs), settings.batch_size, seed) for pairs, seed in zip(training, seeds, strict=True)]
    optimiser = torch.optim.Adam(engine.parameters(), lr=settings.learning_rate)
    runs = [Progress(best=engine.snapshot(i)) for i in range(len(training))]
    alive, losses = list(range(len(runs))), []
    boundaries = engine.boundaries()
    bounded = [i for i, one in enumerate(engine.interventions) if hasattr(one, "boundary")]
    for step in range(1, settings.max_steps + 1):
        for i in bounded:
            start = engine.interventions[i].starting_temperature
            engine.set_temperature(i, start * (LAST_TEMPERATURE / start) ** (step / settings.max_steps))
        loss, _ = engine.measure([train[i] for i in alive], [orders[i].next() for i in alive], alive)
        optimiser.zero_grad(set_to_none=True)
        (loss.sum() + settings.boundary_weight * sum(p.sum() for p in boundaries)).backward()
        optimiser.step()
        losses.append(loss.detach())
        if step % settings.check_every == 0 or step == settings.max_steps:
            means = torch.stack(losses).mean(0).tolist()
            losses = []
            for index, mean in zip(list(alive), means, strict=True):
                record = {"step": step, "loss": mean, "iia": iia(engine, index, valid[index], len(validation[index]))}
                _update(runs[index], record, engine, index, settings)
                if on_check is not None:
                    on_check(index, record)
            alive = [i for i in alive if i in bounded or (not runs[i].converged and runs[i].waited < settings.patience)]
        if not alive:
            break
    for index, run in enumerate(runs):
        engine.restore(index, run.best)
    return runs


def _distinct(sets: Sequence[Sized]) -> list[Sized]:
    """The same pairs may serve several alignments."""
    return list({id(pairs): pairs for pairs in sets}.values())


def _update(
    run: Progress, record: dict[str, float | int], engine: Engine, index: int, settings: SearchSettings
) -> None:
    run.records.append(record)
    run.steps = int(record["step"])
    run.waited += 1
    if record["iia"] > run.best_iia or hasattr(engine.interventions[index], "boundary"):
        run.best_iia, run.best, run.waited = record["iia"], engine.snapshot(index), 0
    run.converged = record["iia"] >= settings.stop_at


def right(engine: Measures, index: int, pairs: Any) -> Bool[Tensor, "batch"]:
    """Which of some pairs one alignment gets right, on the CPU: all of their predictable tokens are the program's."""
    return correct(engine, index, engine.prepare(pairs), len(pairs))


@torch.no_grad()
def correct(engine: Measures, index: int, prepared: Any, n: int, chunk: int = 1000) -> Bool[Tensor, "batch"]:
    """`right`, of `n` pairs that are prepared already."""
    return torch.cat([engine.measure([prepared], [rows], [index])[1][0].cpu() for rows in torch.arange(n).split(chunk)])


def iia(engine: Measures, index: int, prepared: Any, n: int) -> float:
    """The share of `n` prepared pairs that one alignment gets right."""
    return correct(engine, index, prepared, n).float().mean().item()


class _Order:
    """Batches of row indices, epoch after epoch, each epoch in a new order."""

    def __init__(self, n: int, size: int, seed: int):
        self.n, self.size = n, min(size, n)
        self.generator = torch.Generator().manual_seed(seed)
        self.rest: Tensor = torch.empty(0, dtype=torch.long)

    def next(self) -> Tensor:
        if len(self.rest) < self.size:
            self.rest = torch.randperm(self.n, generator=self.generator)
        batch, self.rest = self.rest[: self.size], self.rest[self.size :]
        return batch
