"""One variable exchanged between two networks, in both directions: Model Alignment Search (arXiv 2501.06164).

Each network has an alignment function of its own, z = f(h) with as many exchanged coordinates as the other's. A source
is read in one network and its coordinates are written into the other's base, h' = f_to^-1(z_to with z_from's first k);
from = to is the usual search within one network. Both functions are trained together on all four directions, so they
must agree on what the coordinates mean. What cancels within one network (the scale S and the bias of the LAF) does not
cancel here; the LAF therefore standardises each network's states and learns its bias.

Supported: recurrent networks of any cell, width, depth and seed, at their `state`; tasks that have the variable in
their programs; the alignment functions "orthogonal" and "linear".
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from numsym._pyvene import pv, quiet, save
from numsym.alignment import Hypothesis, PairCounts, Pairs, SearchSettings, Share
from numsym.alignment.align import frozen
from numsym.alignment.controls import untrained
from numsym.alignment.engines.cross import ALL, CrossEngine, Direction, Joint, Side
from numsym.alignment.engines.pyvene import unintervened
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import Progress, correct, search
from numsym.errors import InvalidArgumentError, check_name
from numsym.interventions import LinearAlignmentIntervention
from numsym.models import RecurrentLM
from numsym.models.logits import check_vocabulary
from numsym.models.weights import hash_of
from numsym.results import plain
from numsym.storage import new_folder, write_json

FUNCTIONS = ("linear", "orthogonal")
CONTROLS = ("floor", "permuted", "untrained")
FILE = "cross.json"


@dataclass(frozen=True)
class CrossResult:
    """What `align_across` found.

    Attributes:
        names: of the two networks.
        variable, alignment, subspace_dim, seed: what was searched for, and how.
        steps, converged: optimiser steps, and whether validation IIA, the mean over directions, reached the goal.
        iia: "from->to" -> IIA on pairs that were not trained on.
        held_out: the same on held-out numbers, where both tasks have them.
        controls: name -> direction -> share. "floor": no exchange. "permuted": the same search with sources that tell
            nothing. "untrained": the direction's source network with fresh weights, searched for again together with
            the target's own direction: what the maps make of any network. Only the two directions across have it.
        model_hashes: of the two networks' weights.
        interventions: the two alignment functions.
        sides: the two networks.
    """

    names: tuple[str, str]
    variable: str
    alignment: str
    subspace_dim: int
    seed: int
    steps: int
    converged: bool
    iia: dict[str, Share]
    held_out: dict[str, Share]
    controls: dict[str, dict[str, Share]]
    model_hashes: tuple[str, str]
    interventions: tuple[pv.Intervention, pv.Intervention] = field(repr=False, compare=False)
    sides: tuple[Side, Side] = field(repr=False, compare=False)

    @property
    def across(self) -> Share:
        """The worse of the two directions across: how far the variable is the same in both."""
        first, second = (f"{a}->{b}" for a, b in (self.names, self.names[::-1]))
        return min(self.iia[first], self.iia[second], key=lambda share: share.value)

    def to_dict(self) -> dict[str, Any]:
        """Everything but networks and alignment functions, as plain values for JSON."""
        left_out = ("interventions", "sides")
        return plain({name: value for name, value in vars(self).items() if name not in left_out})

    def save(self, path: str | os.PathLike) -> None:
        """Write a new folder: `cross.json`, and each network's alignment in pyvene's format in a folder of its name.

        Raises:
            RunFolderError: `path` exists.
        """
        with new_folder(path) as folder:
            for side, intervention in zip(self.sides, self.interventions, strict=True):
                with quiet():
                    config = pv.IntervenableConfig([side.site.representation(intervention)])
                    intervenable = pv.IntervenableModel(config, side.model)
                save(intervenable, folder / side.name)
            write_json(folder / FILE, self.to_dict())


def align_across(
    first: Side,
    second: Side,
    *,
    variable: str = "count",
    alignment: str = "linear",
    subspace_dim: int | None = None,
    seed: int = 0,
    settings: SearchSettings | None = None,
    pairs: PairCounts | None = None,
    controls: bool | Sequence[str] = True,
) -> CrossResult:
    """Search for alignment functions of two networks through which a variable can be exchanged between them.

    Args:
        first: a network.
        second: another one.
        variable: of both programs, or "full".
        alignment: "linear" or "orthogonal".
        subspace_dim: coordinates exchanged; half the smaller width but at most 16 if not given.
        seed: of the pairs, of the start and of the order of the pairs.
        settings: of the search.
        pairs: how many, for each direction.
        controls: True for all of `CONTROLS`, False for none, or their names.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    sides, counts = (first, second), pairs or PairCounts()
    check_name("alignment", alignment, FUNCTIONS)
    wanted = CONTROLS if controls is True else tuple(controls or ())
    for name in wanted:
        check_name("control", name, CONTROLS)
    width = min(_width(side) for side in sides)
    asked = Hypothesis("", variable, alignment, subspace_dim or min(16, max(1, width // 2)), seed)
    if first.name == second.name:
        raise InvalidArgumentError(f"name={first.name!r} is not allowed twice: give each network its own")
    for side in sides:
        side.task.program(side.program).block(variable)
    with frozen(first.model), frozen(second.model):
        return _Cross(sides, asked, settings or SearchSettings(), counts, wanted).result()


def _width(side: Side) -> int:
    if not isinstance(side.model, RecurrentLM):
        raise InvalidArgumentError(
            f"model of type {type(side.model).__name__} is not allowed across networks: give a RecurrentLM"
        )
    check_vocabulary(side.model, side.task)
    return side.site.check(side.model)


@dataclass
class _Cross:
    """One call of `align_across`."""

    sides: tuple[Side, Side]
    asked: Hypothesis
    settings: SearchSettings
    counts: PairCounts
    wanted: tuple[str, ...]

    def result(self) -> CrossResult:
        """Search on all four directions, measure each, and run the controls."""
        train, validation, test, held_out = self._drawn()
        engine, progress = self._search(self.sides, train, validation)
        controls: dict[str, dict[str, Share]] = {}
        if "floor" in self.wanted:
            floor = {d: Share.of(unintervened(self.sides[d[1]].model, pairs)) for d, pairs in test.items()}
            controls["floor"] = {self._label(d): share for d, share in floor.items()}
        if "permuted" in self.wanted:
            generator = torch.Generator().manual_seed(self.asked.seed)
            mixed = [
                Joint({d: pairs.with_permuted_sources(generator) for d, pairs in some.items()})
                for some in (train, validation, test)
            ]
            other, _ = self._search(self.sides, mixed[0], mixed[1])
            controls["permuted"] = self._shares(other, mixed[2])
        if "untrained" in self.wanted:
            controls["untrained"] = {}
            for fresh in (0, 1):
                controls["untrained"] |= self._with_untrained(fresh, train, validation, test)
        a, b = self.sides
        return CrossResult(
            names=(a.name, b.name),
            variable=self.asked.variables[0],
            alignment=self.asked.alignment,
            subspace_dim=self.asked.subspace_dim or 1,
            seed=self.asked.seed,
            steps=progress.steps,
            converged=progress.converged,
            iia=self._shares(engine, test),
            held_out={} if held_out is None else self._shares(engine, held_out),
            controls=controls,
            model_hashes=(hash_of(a.model), hash_of(b.model)),
            interventions=(engine.interventions[0][0], engine.interventions[0][1]),
            sides=self.sides,
        )

    def _drawn(self) -> tuple[Joint, Joint, Joint, Joint | None]:
        """Pairs of every direction: to train on, to stop by, to measure on, and of held-out numbers."""
        drawn: list[dict[Direction, Pairs]] = [{}, {}, {}, {}]
        for number, (a, b) in enumerate(ALL):
            generator = torch.Generator().manual_seed(self.asked.seed * len(ALL) + number)
            giving, taking = self.sides[a], self.sides[b]
            source = (giving.task, giving.task.program(giving.program))

            def pairs(n: int, split: str = "train", taking=taking, source=source, generator=generator) -> Pairs:  # type: ignore[no-untyped-def]
                program = taking.task.program(taking.program)
                return interchange_pairs(
                    taking.task, program, self.asked.variables, n, split=split, generator=generator, source=source
                )

            drawn[0][a, b] = pairs(self.counts.train)
            for place, n in ((1, self.counts.validation), (2, self.counts.test)):
                drawn[place][a, b] = pairs(2 * n).without(drawn[0][a, b]).rows(slice(0, n))
                if len(drawn[place][a, b]) == 0:
                    raise InvalidArgumentError(
                        f"train={self.counts.train} pairs is not allowed: none is left to measure on; ask for fewer"
                    )
            if giving.task.has_held_out and taking.task.has_held_out:
                drawn[3][a, b] = pairs(self.counts.test, "held_out")
        train, validation, test, held_out = (Joint(some) for some in drawn)
        return train, validation, test, held_out if dict(held_out) else None

    def _search(self, sides: tuple[Side, Side], train: Joint, validation: Joint) -> tuple[CrossEngine, Progress]:
        built = []
        for place, side in enumerate(sides):
            width, k = side.site.check(side.model), self.asked.subspace_dim or 1
            one = build(self.asked.alignment, width, k, 1, self.asked.seed + place)
            if isinstance(one, LinearAlignmentIntervention):
                one.bias.requires_grad_(True)
            built.append(one.to(next(side.model.parameters()).device))
        engine = CrossEngine(sides, (built[0], built[1]))
        for (a, _), prepared in engine.prepare(train).items():
            if isinstance(built[a], LinearAlignmentIntervention):
                built[a].standardise(prepared.source)
        return engine, search(engine, [train], [validation], [self.asked.seed], self.settings)[0]

    def _with_untrained(self, fresh: int, *drawn: Joint) -> dict[str, Share]:
        """The direction away from one network, when that one has fresh weights."""
        side, into = self.sides[fresh], 1 - fresh
        twin = Side(side.name, untrained(side.model, self.asked.seed), side.task, side.program, side.layer)
        sides = (twin, self.sides[1]) if fresh == 0 else (self.sides[0], twin)
        directions: tuple[Direction, ...] = ((fresh, into), (into, into))
        train, validation, test = (Joint({d: some[d] for d in directions}) for some in drawn)
        engine, _ = self._search(sides, train, validation)
        return self._shares(engine, Joint({directions[0]: test[directions[0]]}))

    def _shares(self, engine: CrossEngine, pairs: Joint) -> dict[str, Share]:
        found = {}
        for direction, some in pairs.items():
            alone = Joint({direction: some})
            found[self._label(direction)] = Share.of(correct(engine, 0, engine.prepare(alone), len(alone)))
        return found

    def _label(self, direction: Direction) -> str:
        return "->".join(self.sides[i].name for i in direction)
