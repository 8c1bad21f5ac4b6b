"""The tries of a search: where each begins, how it goes, which go on, and which is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from numsym.alignment.settings import RANDOM, SearchSettings

if TYPE_CHECKING:
    from numsym.alignment.search import Engine

LAST_TEMPERATURE = 0.1
"""Of a learned mask at the end of a search, in coordinates: all but one or two are then in or out."""

CHUNK = 1000
"""Pairs measured at a time."""

Starts = Mapping[str, Mapping[str, Tensor]]
"""What an alignment may begin with, by name: parameters and buffers; none leaves it as it was made."""


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


class Tries:
    """The tries of every entry of a search: how each goes, which go on, which is the best.

    Attributes:
        runs: of every slot.
        owner: of every slot, the entry that it is a try of.
    """

    def __init__(self, engine: "Engine", valid: list[Any], sizes: list[int], settings: SearchSettings):
        self.engine, self.valid, self.sizes, self.settings = engine, valid, sizes, settings
        self.each = len(engine.interventions) // len(valid)
        self.owner = [slot // self.each for slot in range(len(engine.interventions))]
        self.runs = [Progress(slot, best=engine.snapshot(slot)) for slot in range(len(self.owner))]
        self.used = set(range(len(self.owner)))
        self.bounded = {slot for slot, one in enumerate(engine.interventions) if hasattr(one, "boundary")}

    @classmethod
    def of(
        cls, engine: "Engine", valid: list[Any], sizes: list[int], settings: SearchSettings, starts: Sequence[Starts]
    ) -> "Tries":
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
