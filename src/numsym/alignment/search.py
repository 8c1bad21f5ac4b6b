"""The search: gradient steps on interchange pairs until the exchange does what the program says ([N] appendix)."""

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.latent import Latent, latent_losses
from numsym.alignment.pairs import Pairs
from numsym.programs import Program

if TYPE_CHECKING:
    from numsym.alignment.engines.free_running import FreeRun

RANDOM, FITTED = "random", "fitted"
STARTS, SCHEDULES = (FITTED, RANDOM), ("cosine", "constant")
"""What `SearchSettings.starts` and `schedule` may be."""

LAST_TEMPERATURE = 0.1
"""Of a learned mask at the end of a search, in coordinates: all but one or two are then in or out."""


CHUNK = 1000
"""Pairs measured at a time."""

Starts = Mapping[str, Mapping[str, Tensor]]
"""What an alignment may begin with, by name: parameters and buffers; none leaves it as it was made."""


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


@dataclass(frozen=True)
class SearchSettings:
    """How to search. Rate and schedule are such as `benchmarks/search.py` compares; `search=grant` is [N]'s.

    Attributes:
        max_steps: the most optimiser steps.
        batch_size: pairs a step.
        learning_rate: of Adam.
        check_every: steps between checks on validation pairs.
        patience: checks without a better IIA after which an alignment stops.
        stop_at: validation IIA at which an alignment stops.
        schedule: "constant", or "cosine": the learning rate falls to zero over `max_steps`.
        boundary_weight: how much a learned mask (the share of coordinates exchanged) adds to the loss. Alignments
            with one run all `max_steps`, while their temperature falls, and end with their last parameters.
        cl_weight: how much the counterfactual latent loss adds (`numsym.alignment.latent`): it keeps exchanged states
            near natural ones. Nothing, if 0.
        cl_target: "mean" or "matched": what natural state is meant.
        starts: "fitted" compares the starts that the states of the training pairs give (`numsym.alignment.starts`) and
            a random one on validation pairs, before any step; "random" has the random one alone, as [N].
        tries: so many of the best starts, of different kinds, are searched from side by side; the best that was seen
            is kept.
        wrong_share: the most of each batch that is taken from pairs that were wrong when they were last seen, as far as
            there are such: near its end a search has few, and most of a batch would teach nothing. None, as [N], if 0.
    """

    max_steps: int = 500
    batch_size: int = 128
    learning_rate: float | int = 3e-2
    check_every: int = 25
    patience: int = 20
    stop_at: float | int = 0.998
    schedule: str = "cosine"
    boundary_weight: float | int = 0.01
    cl_weight: float | int = 0.0
    cl_target: str = "mean"
    starts: str = "fitted"
    tries: int = 2
    wrong_share: float | int = 0.5

    def rate(self, step: int) -> float:
        """The learning rate of a step, which are counted from 1."""
        if self.schedule == "constant":
            return float(self.learning_rate)
        return self.learning_rate * (1 + math.cos(math.pi * (step - 1) / self.max_steps)) / 2


@dataclass
class Progress:
    """One try of an alignment's search: the best parameters so far, and its course.

    Attributes:
        slot: the index of its alignment in the engine.
        start: the name of its start.
        records: one a check: `step`, `loss` (mean over the steps since the last), `iia` on validation pairs; step 0 is
            the start, where starts were compared.
        best_iia: the highest of them; the parameters kept are those that reached it.
        steps: optimiser steps taken.
        converged: whether `stop_at` was reached.
        starts: the IIA of every start that was compared, on validation pairs.
        ends: the IIA that the search from each start that was tried reached there.
    """

    slot: int = 0
    start: str = RANDOM

    records: list[dict[str, float | int]] = field(default_factory=list)
    best_iia: float = -1.0
    best: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    steps: int = 0
    converged: bool = False
    starts: dict[str, float] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)


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
    tries = _Tries.of(engine, valid, [len(pairs) for pairs in validation], settings, starts)
    orders = [_Order(len(training[i]), settings.batch_size, seeds[i], settings.wrong_share) for i in tries.owner]
    alive, losses = tries.alive(), []
    optimiser = torch.optim.Adam(engine.parameters(), lr=settings.learning_rate) if alive else None
    for step in range(1, settings.max_steps + 1):
        if optimiser is None or not alive:
            break
        tries.cool(step / settings.max_steps)
        optimiser.param_groups[0]["lr"] = settings.rate(step)
        rows = [orders[slot].next() for slot in alive]
        loss, was_right = engine.measure([train[tries.owner[slot]] for slot in alive], rows, alive)
        for slot, picked, found in zip(alive, rows, was_right, strict=True):
            orders[slot].see(picked, found)
        if latents:
            near = latent_losses(engine, [latents[tries.owner[slot]] for slot in alive], rows, alive)
            loss = loss + settings.cl_weight * near
        optimiser.zero_grad(set_to_none=True)
        (loss.sum() + settings.boundary_weight * sum(p.sum() for p in engine.boundaries())).backward()
        optimiser.step()
        losses.append(loss.detach())
        if step % settings.check_every == 0 or step == settings.max_steps:
            means = torch.stack(losses).mean(0).tolist()
            losses = []
            for slot, mean in zip(alive, means, strict=True):
                tries.note(slot, {"step": step, "loss": mean, "iia": tries.appraise(slot)[0]})
            if on_check is not None:
                for index in dict.fromkeys(tries.owner[slot] for slot in alive):
                    on_check(index, tries.best(index, among=alive).records[-1])
            alive = tries.alive()
            for slot in alive:
                orders[slot].look()
    return tries.finished()


class _Tries:
    """The tries of every entry of a search: how each goes, which go on, which is the best.

    Attributes:
        runs: of every slot.
        owner: of every slot, the entry that it is a try of.
    """

    def __init__(self, engine: Engine, valid: list[Any], sizes: list[int], settings: SearchSettings):
        self.engine, self.valid, self.sizes, self.settings = engine, valid, sizes, settings
        self.each = len(engine.interventions) // len(valid)
        self.owner = [slot // self.each for slot in range(len(engine.interventions))]
        self.runs = [Progress(slot, best=engine.snapshot(slot)) for slot in range(len(self.owner))]
        self.used = set(range(len(self.owner)))
        self.bounded = {slot for slot, one in enumerate(engine.interventions) if hasattr(one, "boundary")}

    @classmethod
    def of(
        cls, engine: Engine, valid: list[Any], sizes: list[int], settings: SearchSettings, starts: Sequence[Starts]
    ) -> "_Tries":
        """With the best starts of each entry in its slots."""
        made = cls(engine, valid, sizes, settings)
        for index, candidates in enumerate(starts):
            if set(candidates) != {RANDOM}:
                made._begin(index, candidates)
            else:
                made.used -= set(made.slots(index)[1:])
        return made

    def slots(self, index: int) -> list[int]:
        """Those of an entry."""
        return list(range(index * self.each, (index + 1) * self.each))

    def _begin(self, index: int, candidates: Starts) -> None:
        """Compare the starts of an entry, and put the best into its slots."""
        first, *_ = slots = self.slots(index)
        one = self.engine.interventions[first]
        named = {**dict(one.named_parameters()), **dict(one.named_buffers())}
        fresh = {name: named[name].detach().clone() for start in candidates.values() for name in start}
        found: dict[str, tuple[float, float]] = {}
        for name, start in candidates.items():
            self.engine.restore(first, {**fresh, **start})
            if first in self.bounded:
                self.engine.set_temperature(first, LAST_TEMPERATURE)
            found[name] = self.appraise(first)
        ordered = _ranked(found)[: self.each]
        self.used -= set(slots[len(ordered) :])
        for slot, name in zip(slots, ordered, strict=False):
            self.engine.restore(slot, {**fresh, **candidates[name]})
            run = self.runs[slot]
            run.start, run.starts = name, {each: iia for each, (iia, _) in found.items()}
            self.note(slot, {"step": 0, "loss": found[name][1], "iia": found[name][0]})

    @torch.no_grad()
    def appraise(self, slot: int) -> tuple[float, float]:
        """IIA and mean loss of a slot on its entry's validation pairs."""
        valid, n = self.valid[self.owner[slot]], self.sizes[self.owner[slot]]
        loss, right = 0.0, []
        for rows in torch.arange(n).split(CHUNK):
            losses, found = self.engine.measure([valid], [rows], [slot])
            loss += losses[0].item() * len(rows) / n
            right.append(found[0])
        return torch.cat(right).float().mean().item(), loss

    def note(self, slot: int, record: dict[str, float | int]) -> None:
        """Take a record, and the parameters where they are the best so far."""
        run = self.runs[slot]
        run.records.append(record)
        run.steps = int(record["step"])
        run.waited += 1
        if record["iia"] > run.best_iia or slot in self.bounded:
            run.best_iia, run.best, run.waited = record["iia"], self.engine.snapshot(slot), 0
        run.converged = record["iia"] >= self.settings.stop_at

    def cool(self, share: float) -> None:
        """Lower the temperature of learned masks, to the last one when all steps are done."""
        for slot in self.bounded:
            start = self.engine.interventions[slot].starting_temperature
            self.engine.set_temperature(slot, start * (LAST_TEMPERATURE / start) ** share)

    def alive(self) -> list[int]:
        """The slots that go on: not where another try of the entry has reached the goal."""
        done = {self.owner[s] for s in self.used - self.bounded if self.runs[s].converged}
        return [s for s in sorted(self.used) if self._learns(s) and (s in self.bounded or self._goes_on(s, done))]

    def _goes_on(self, slot: int, done: set[int]) -> bool:
        return self.owner[slot] not in done and self.runs[slot].waited < self.settings.patience

    def _learns(self, slot: int) -> bool:
        return any(p.requires_grad for p in self.engine.interventions[slot].parameters())

    def best(self, index: int, among: Sequence[int] | None = None) -> Progress:
        """The try of an entry that got highest so far."""
        slots = [slot for slot in self.slots(index) if slot in self.used and (among is None or slot in among)]
        return max((self.runs[slot] for slot in slots), key=lambda run: run.best_iia)

    def finished(self) -> list[Progress]:
        """The best try of each entry, with its parameters in place."""
        for slot in self.used:
            self.engine.restore(slot, self.runs[slot].best)
        chosen = [self.best(index) for index in range(len(self.valid))]
        for index, run in enumerate(chosen):
            mine = [self.runs[slot] for slot in self.slots(index) if slot in self.used]
            run.ends = {one.start: one.best_iia for one in mine}
        return chosen


def _ranked(found: Mapping[str, tuple[float, float]]) -> list[str]:
    """Starts by their IIA, then loss: first the best of each kind ("means", "regression"), then the others.

    Two ridges of one kind often begin, and end, alike.
    """
    ordered = sorted(found, key=lambda name: (-found[name][0], found[name][1]))
    kinds: dict[str, str] = {}
    for name in ordered:
        kinds.setdefault(name.partition(",")[0], name)
    return [*kinds.values(), *(name for name in ordered if name not in kinds.values())]


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


class _Order:
    """Batches of row indices, epoch after epoch, each epoch in a new order; a share of each are rows that were wrong.

    Which rows were wrong is looked at between checks only, so that no step waits for a device.
    """

    def __init__(self, n: int, size: int, seed: int, wrong_share: float = 0.0):
        self.n, self.size = n, min(size, n)
        self.generator = torch.Generator().manual_seed(seed)
        self.rest: Tensor = torch.empty(0, dtype=torch.long)
        self.most = int(wrong_share * self.size)
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.was_wrong = torch.zeros(n, dtype=torch.bool)
        self.wrong: Tensor = torch.empty(0, dtype=torch.long)

    def next(self) -> Tensor:
        again = min(self.most, len(self.wrong))
        size = self.size - again
        if len(self.rest) < size:
            self.rest = torch.randperm(self.n, generator=self.generator)
        batch, self.rest = self.rest[:size], self.rest[size:]
        if not again:
            return batch
        return torch.cat([batch, self.wrong[torch.randperm(len(self.wrong), generator=self.generator)[:again]]])

    def see(self, rows: Tensor, right: Tensor) -> None:
        """Note which rows of a batch were right: across networks, in every direction, one behind the other."""
        if self.most:
            self.seen.append((rows, right.detach().view(-1, len(rows)).all(dim=0)))

    def look(self) -> None:
        """Read what was noted."""
        for rows, right in self.seen:
            self.was_wrong[rows] = ~right.cpu()
        self.seen, self.wrong = [], self.was_wrong.nonzero()[:, 0]
