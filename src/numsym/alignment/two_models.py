"""Two networks that hold one variable: a subject of the search, as one model is, with four directions of exchange.

Each network has an alignment function of its own, and both are trained together on all directions (from a network into
itself and into the other), so that they must agree on what the coordinates mean. What cancels within one network (the
scale S and the bias of the LAF) does not cancel here; the LAF therefore standardises each network's states and learns
its bias.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import nn

from numsym._pyvene import pv
from numsym.alignment.controls import untrained
from numsym.alignment.drawn import Drawn, PairCounts
from numsym.alignment.engines.cross import ALL, CrossEngine, Direction, Joint, Side
from numsym.alignment.engines.pyvene import device_of, unintervened
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import Parameters, build
from numsym.alignment.hypotheses import Hypothesis
from numsym.alignment.joint_starts import Crossing, Network, joint_starts
from numsym.alignment.latent import Latent
from numsym.alignment.settings import RANDOM, SearchSettings
from numsym.alignment.subject import Searched, train
from numsym.alignment.tries import Starts
from numsym.errors import InvalidArgumentError, check_name
from numsym.interventions import LinearAlignmentIntervention
from numsym.models.logits import check_vocabulary
from numsym.shares import Share

FUNCTIONS = ("linear", "orthogonal")
CONTROLS = ("floor", "permuted", "untrained")


@dataclass(frozen=True)
class TwoModels:
    """Two networks.

    Attributes:
        sides: which.
        counts: of the pairs of each direction.
    """

    sides: tuple[Side, Side]
    counts: PairCounts

    @property
    def models(self) -> tuple[nn.Module, nn.Module]:
        """The networks themselves."""
        return self.sides[0].model, self.sides[1].model

    @property
    def width(self) -> int:
        """Of the wider network's state."""
        return max(side.place.check(side.model) for side in self.sides)

    def checked(self, hypothesis: Hypothesis) -> Hypothesis:
        """With all defaults filled in.

        Raises:
            InvalidArgumentError: the networks or the hypothesis are not ones that can be exchanged between.
        """
        for side in self.sides:
            if not RecurrentEngine.supports(side.model, side.place, []):
                raise InvalidArgumentError(
                    f"model of type {type(side.model).__name__} at {side.place} is not allowed across networks: give a "
                    "RecurrentLM, at its state"
                )
            check_vocabulary(side.model, side.task)
        width = min(side.place.check(side.model) for side in self.sides)
        found = [
            replace(hypothesis, program=self._program(side, hypothesis)).checked(side.task, width)
            for side in self.sides
        ]
        if len(found[0].variables) != 1:
            raise InvalidArgumentError(
                f"variable={hypothesis.variable!r} is not allowed across networks: give one, or full"
            )
        for one, other in pairwise(found):
            if one.variables != other.variables:
                raise InvalidArgumentError(
                    f"variable={hypothesis.variable!r} is not allowed between {one.variables[0]!r} and "
                    f"{other.variables[0]!r}: name one that both programs have"
                )
        check_name("alignment across networks", str(found[0].alignment), FUNCTIONS)
        return found[0]

    @staticmethod
    def _program(side: Side, hypothesis: Hypothesis) -> str | None:
        return side.program or hypothesis.program

    def draw(self, hypothesis: Hypothesis) -> Drawn[Joint]:
        """The pairs of every direction."""
        drawn: dict[Direction, Drawn] = {}
        for number, (a, b) in enumerate(ALL):
            giving, taking = self.sides[a], self.sides[b]
            source = (giving.task, giving.task.program(self._program(giving, hypothesis)))
            own = replace(
                hypothesis, program=self._program(taking, hypothesis), seed=hypothesis.seed * len(ALL) + number
            )
            drawn[a, b] = Drawn.draw(taking.task, own, self.counts, None, source)
        train, validation, test = (
            Joint({direction: getattr(one, part) for direction, one in drawn.items()})
            for part in ("train", "validation", "test")
        )
        held_out = Joint({direction: one.held_out for direction, one in drawn.items() if one.held_out is not None})
        return Drawn(train, validation, test, held_out if len(held_out) else None, None)

    def engine(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Joint]]) -> CrossEngine:
        """Fresh alignment functions of both networks; the LAFs standardise the states that they are searched on."""
        built = [(self._fresh(h, 0), self._fresh(h, 1)) for h in hypotheses]
        engine = CrossEngine(self.sides, built)
        for pair, drawn in zip(built, data, strict=True):
            for (a, _), prepared in engine.prepare(drawn.train).items():
                if isinstance(pair[a], LinearAlignmentIntervention):
                    pair[a].standardise(prepared.source)
        return engine

    def starts(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Joint]], kind: str) -> list[Starts]:
        """What the states of both networks say, and a random one; see `numsym.alignment.joint_starts`."""
        if kind == RANDOM:
            return [{RANDOM: {}} for _ in hypotheses]
        engine = self.engine(hypotheses, data)
        return [
            {RANDOM: {}, **self._starts(h, one, engine, index)}
            for index, (h, one) in enumerate(zip(hypotheses, data, strict=True))
        ]

    def _starts(self, h: Hypothesis, data: Drawn[Joint], engine: CrossEngine, index: int) -> dict[str, Parameters]:
        programs = [side.task.program(self._program(side, h)) for side in self.sides]
        crossings = {}
        for (a, b), part in engine.prepare(data.train).items():
            pairs = data.train[a, b]
            shown = (pairs.base_state, b), (pairs.source_state, a), (pairs.state, b)
            read = [
                torch.stack([state[name] for name in programs[i].variables], 1).to(part.base.device)
                for state, i in shown
            ]
            crossings[a, b] = Crossing(part.base.double(), part.source.double(), *read)
        networks = [
            Network.of(
                i, crossings, tuple(one.variables.index(name) for name in one.block(h.variables[0])), one.variables
            )
            for i, one in enumerate(programs)
        ]
        first, second = engine.interventions[index]
        return joint_starts((first, second), (networks[0], networks[1]), crossings)

    def latents(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Joint]], target: str) -> list[Latent]:
        """Not yet.

        Raises:
            InvalidArgumentError: always.
        """
        raise InvalidArgumentError("cl_weight is not allowed across networks: it must be 0")

    def _fresh(self, h: Hypothesis, place: int) -> pv.Intervention:
        side = self.sides[place]
        one = build(str(h.alignment), side.place.check(side.model), h.subspace_dim or 1, 1, h.seed + place)
        if isinstance(one, LinearAlignmentIntervention):
            one.bias.requires_grad_(True)
        return one.to(device_of(side.model))

    def shares(self, searched: Searched, index: int, pairs: Joint) -> dict[str, Share]:
        """IIA of each direction, by "from->to"."""
        alone = {direction: Joint({direction: some}) for direction, some in pairs.items()}
        return {self.label(direction): Share.of(searched.right(index, some)) for direction, some in alone.items()}

    def references(
        self, hypothesis: Hypothesis, data: Drawn[Joint], wanted: Sequence[str]
    ) -> dict[str, dict[str, Share]]:
        """The floor."""
        if "floor" not in wanted:
            return {}
        floor = {d: Share.of(unintervened(self.models[d[1]], pairs)) for d, pairs in data.test.items()}
        return {"floor": {self.label(direction): share for direction, share in floor.items()}}

    def untrained(
        self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Joint]], settings: SearchSettings
    ) -> list[dict[str, Share]]:
        """The direction away from each network, when that one has fresh weights.

        It is searched for together with the other network's own direction: what the maps make of any network.
        """
        made: list[dict[str, Share]] = [{} for _ in hypotheses]
        for fresh, into in ((0, 1), (1, 0)):
            sides = list(self.sides)
            sides[fresh] = replace(sides[fresh], model=untrained(sides[fresh].model, hypotheses[0].seed))
            twin, directions = replace(self, sides=(sides[0], sides[1])), ((fresh, into), (into, into))
            parts = [
                replace(one, train=one.train.only(directions), validation=one.validation.only(directions))
                for one in data
            ]
            searched = train(twin, hypotheses, parts, settings)
            for index, one in enumerate(data):
                made[index] |= twin.shares(searched, index, one.test.only([(fresh, into)]))
        return made

    def label(self, direction: Direction) -> str:
        """What a direction is called, such as "gru-0->gru-1"."""
        return "->".join(self.sides[i].name for i in direction)
