"""The search: gradient steps on interchange pairs until the exchange does what the program says ([N] appendix)."""

from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.descent import Descent
from numsym.alignment.latent import Latent, latent_losses
from numsym.alignment.order import Order
from numsym.alignment.pairs import Pairs
from numsym.alignment.settings import SearchSettings
from numsym.alignment.tries import CHUNK, Progress, Starts, Tries
from numsym.programs import Program

if TYPE_CHECKING:
    from numsym.alignment.engines.free_running import FreeRun


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
        """How much each learned mask takes, a part of the loss; anew in each step."""

    def set_temperature(self, index: int, temperature: float) -> None:
        """Set how soft a learned mask is."""

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of one alignment's parameters."""

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set one alignment to parameters, and buffers, by name: a copy of before, or a start."""

    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> "FreeRun | None":
        """What the model does by itself after the exchange; `None` where the engine cannot let it run on."""


def search(
    engine: Engine,
    training: Sequence[Sized],
    validation: Sequence[Sized],
    seeds: list[int],
    settings: SearchSettings,
    on_check: Callable[[int, dict[str, float | int]], Any] | None = None,
    starts: Sequence[Starts] = (),
    latents: Sequence[Latent] = (),
) -> list[Progress]:
    """Train the engine's alignments, each until it converges or stops improving, and leave the best of each in place.

    Args:
        engine: holds as many alignments for each entry of the lists: the tries of it, one after the other.
        training: pairs for each entry, or whatever the engine prepares.
        validation: pairs for each, to stop and to choose by.
        seeds: of each one's order of pairs.
        settings: see `SearchSettings`.
        on_check: called with the index of an entry and the new record of its best try.
        starts: for each entry what it may begin with; as its alignments are, if not given.
        latents: for each entry the states that the counterfactual latent loss is measured on, if it has a weight.

    Returns:
        For each entry its best try.
    """
    prepared = {id(pairs): engine.prepare(pairs) for pairs in _distinct([*training, *validation])}
    train, valid = ([prepared[id(pairs)] for pairs in sets] for sets in (training, validation))
    tries = Tries.of(engine, valid, [len(pairs) for pairs in validation], settings, starts)
    orders = [Order(len(training[i]), settings.batch_size, seeds[i], settings.wrong_share) for i in tries.owner]
    alive, losses = tries.alive(), []
    descent = Descent(engine.parameters(), settings) if alive else None
    for step in range(1, settings.max_steps + 1):
        if descent is None or not alive:
            break
        tries.cool(step / settings.max_steps)
        rows = [orders[slot].next() for slot in alive]
        loss, was_right = engine.measure([train[tries.owner[slot]] for slot in alive], rows, alive)
        for slot, picked, found in zip(alive, rows, was_right, strict=True):
            orders[slot].see(picked, found)
        if latents:
            near = latent_losses(engine, [latents[tries.owner[slot]] for slot in alive], rows, alive)
            loss = loss + settings.cl_weight * near
        descent.step(step, loss.sum() + settings.boundary_weight * sum(p.sum() for p in engine.boundaries()))
        losses.append(loss.detach())
        if step % settings.check_every == 0 or step == settings.max_steps:
            means = torch.stack(losses).mean(0).tolist()
            losses = []
            with descent.averages.in_place():
                for slot, mean in zip(alive, means, strict=True):
                    tries.note(slot, {"step": step, "loss": mean, "iia": tries.appraise(slot)[0]})
            if on_check is not None:
                for index in dict.fromkeys(tries.owner[slot] for slot in alive):
                    on_check(index, tries.best(index, among=alive).records[-1])
            alive = tries.alive()
            for slot in alive:
                orders[slot].look()
    return tries.finished()


def _distinct(sets: Sequence[Sized]) -> list[Sized]:
    """The same pairs may serve several alignments."""
    return list({id(pairs): pairs for pairs in sets}.values())


def right(engine: Measures, index: int, pairs: Any) -> Bool[Tensor, "batch"]:
    """Which of some pairs one alignment gets right, on the CPU: all of their predictable tokens are the program's."""
    return correct(engine, index, engine.prepare(pairs), len(pairs))


@torch.no_grad()
def correct(engine: Measures, index: int, prepared: Any, n: int, chunk: int = CHUNK) -> Bool[Tensor, "batch"]:
    """`right`, of `n` pairs that are prepared already."""
    return torch.cat([engine.measure([prepared], [rows], [index])[1][0].cpu() for rows in torch.arange(n).split(chunk)])
