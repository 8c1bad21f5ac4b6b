"""One model at a site: the usual subject of a search, and how what was found in it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment import controls as control
from numsym.alignment.controls import states_at
from numsym.alignment.dictionary import Dictionary
from numsym.alignment.drawn import Drawn, PairCounts
from numsym.alignment.engines.choice import engine_for, right_whole
from numsym.alignment.engines.pyvene import device_of, unintervened
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build, function_of
from numsym.alignment.hypotheses import CONDITIONAL, Hypothesis
from numsym.alignment.latent import Latent
from numsym.alignment.measurement import Measurement
from numsym.alignment.pairs import Pairs, Positions
from numsym.alignment.result import AlignmentResult
from numsym.alignment.search import Engine
from numsym.alignment.settings import RANDOM, SearchSettings
from numsym.alignment.starts import Seen
from numsym.alignment.subject import Found, Searched, train
from numsym.alignment.tries import Starts
from numsym.errors import InvalidArgumentError
from numsym.models.recurrent import RecurrentLM
from numsym.models.site import Site
from numsym.programs import State
from numsym.shares import Share
from numsym.tasks import Task

SEEN = 10_000
"""Training pairs, at most, whose states are looked at for a start."""


@dataclass(frozen=True)
class OneModel:
    """A model at a site.

    Attributes:
        model, task, site: which, what it does, and where.
        counts, positions: of the pairs.
        route: as `engine_for` knows it.
    """

    model: nn.Module
    task: Task
    site: Site
    counts: PairCounts
    positions: Positions | None
    route: str

    @property
    def width(self) -> int:
        """Of the site."""
        return self.site.check(self.model)

    def draw(self, hypothesis: Hypothesis) -> Drawn[Pairs]:
        """The pairs of a hypothesis."""
        return Drawn.draw(self.task, hypothesis, self.counts, self.positions)

    def engine(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Pairs]]) -> Engine:
        """Fresh alignments in the engine that was asked for, or in the first that supports them."""
        made = [self.fresh(h, d.train) for h, d in zip(hypotheses, data, strict=True)]
        return engine_for(self.model, self.site, made, self.route, bool(self.tokens))

    @property
    def tokens(self) -> tuple[int | str, ...]:
        """At which tokens the model's values are exchanged, where that is said."""
        return () if self.positions is None or isinstance(self.positions, Mapping) else tuple(self.positions)

    def fresh(self, h: Hypothesis, pairs: Pairs) -> pv.TrainableIntervention:
        """A hypothesis' alignment before the search on some pairs, on the model's device."""
        conditions = self.conditions(h, pairs)[1] if h.alignment == CONDITIONAL else 1
        one = build(str(h.alignment), self.width, h.subspace_dim or 1, len(h.variables), h.seed, conditions)
        return one.to(device_of(self.model))

    def conditions(self, h: Hypothesis, pairs: Pairs) -> tuple[Tensor | None, int]:
        """In which condition each base and then each source is, where a variable says it; and how many there are.

        Raises:
            InvalidArgumentError: the variable never varies in the pairs, though it was named.
        """
        program = self.task.program(h.program)
        condition, pairs = h.given(program), pairs.rows(slice(0, SEEN))
        if isinstance(condition, int):
            return None, condition
        values = torch.cat([pairs.base_state[condition], pairs.source_state[condition]])
        known, label = values.unique(return_inverse=True)
        if len(known) == 1 and h.condition is not None:
            raise InvalidArgumentError(
                f"condition={condition!r} is not allowed: it is {int(known)} in all of the pairs; give a variable that "
                "varies, or a number of codes"
            )
        return label, len(known)

    def starts(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Pairs]], kind: str) -> list[Starts]:
        """What the states of the training pairs say that each may begin with."""
        seen: dict[int, Seen] = {}
        found: list[Starts] = []
        for h, d in zip(hypotheses, data, strict=True):
            function = function_of(str(h.alignment))
            if kind == RANDOM and function.begins is None:
                found.append({RANDOM: {}})
                continue
            if id(d) not in seen:
                seen[id(d)] = self.seen(h, d.train)
            shown = seen[id(d)]
            label = self.conditions(h, d.train)[0] if h.alignment == CONDITIONAL else None
            if label is not None:  # of each side, as often as there are places
                places = 2 * len(shown.base) // len(label)
                label = label.to(shown.block.device).view(2, -1).repeat(1, places).flatten()
                shown = replace(shown, condition=label)
            if h.dictionary is not None:
                shown = replace(shown, dictionary=Dictionary.read(h.dictionary))
            begins = function.starts(self.fresh(h, d.train), shown)
            found.append({RANDOM: begins[RANDOM]} if kind == RANDOM and RANDOM in begins else begins)
        return found

    def latents(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Pairs]], target: str) -> list[Latent]:
        """The states of the training pairs of each, and where their exchange should lead."""
        drawn = (torch.Generator().manual_seed(h.seed) for h in hypotheses)
        return [
            Latent.of(self.seen(h, d.train), target, each) for h, d, each in zip(hypotheses, data, drawn, strict=True)
        ]

    def seen(self, h: Hypothesis, pairs: Pairs) -> Seen:
        """What interchange pairs show at the site."""
        program, device = self.task.program(h.program), device_of(self.model)
        pairs = pairs.rows(slice(0, SEEN)).to(device)
        base, source = self._states(pairs)
        places = len(base) // len(pairs)

        def values(state: State) -> Tensor:
            return torch.stack([state[name] for name in program.variables], 1).repeat(places, 1)

        blocks = [tuple(program.variables.index(name) for name in program.block(one)) for one in h.variables]
        return Seen(
            base=base.double(),
            source=source.double(),
            base_values=values(pairs.base_state),
            source_values=values(pairs.source_state),
            wanted=values(pairs.state),
            block=pairs.block.repeat(places),
            blocks=tuple(blocks),
            names=program.variables,
        )

    def _states(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The site's values where bases and sources meet, by the search's own route where it reads them faster."""
        if isinstance(self.model, RecurrentLM) and not self.tokens and len(self.site.parts) == 1:
            anything = build("low_rank", self.width, 1, 1, 0)
            if RecurrentEngine.supports(self.model, self.site, [anything]):
                prepared = RecurrentEngine(self.model, self.site, [anything]).prepare(pairs)
                return prepared.base, prepared.source
        return states_at(self.model, self.site, pairs)

    def shares(self, searched: Searched, index: int, pairs: Pairs) -> Share:
        """IIA."""
        return Share.of(searched.right(index, pairs))

    def references(self, hypothesis: Hypothesis, data: Drawn[Pairs], wanted: Sequence[str]) -> dict[str, Share]:
        """The controls that need no search."""
        made: dict[str, Share] = {}
        if "floor" in wanted:
            made["floor"] = Share.of(unintervened(self.model, data.test))
        if "ceiling" in wanted and data.everything is not None:
            made["ceiling"] = Share.of(right_whole(self.model, self.site, data.everything, self.route))
        if "neurons" in wanted:
            k = (hypothesis.subspace_dim or 1) * len(hypothesis.variables)
            made["neurons"] = Share.of(control.single_neurons(self.model, self.site, data.train, data.test, k))
        return made

    def untrained(
        self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Pairs]], settings: SearchSettings
    ) -> list[Share]:
        """The same search on the same architecture with fresh weights."""
        twin = replace(self, model=control.untrained(self.model, hypotheses[0].seed))
        searched = train(twin, hypotheses, data, settings)
        return [twin.shares(searched, i, d.test) for i, d in enumerate(data)]

    def result(self, found: Found[Share], weights: str) -> AlignmentResult:
        """Measure what was found.

        Args:
            found: by `find`, in this model.
            weights: the model's hash.
        """
        h, engine, index, data = found.hypothesis, found.searched.engine, found.index, found.data
        kept, generator = data.held_out, torch.Generator(device_of(self.model)).manual_seed(h.seed)
        free = engine.free_running(found.searched.slot(index), data.test, self.task.program(h.program), generator)
        return AlignmentResult(
            task=self.task.name,
            program=str(h.program),
            variables=h.variables,
            alignment=str(h.alignment),
            condition=h.given(self.task.program(h.program)) if h.alignment == CONDITIONAL else None,
            dictionary=h.dictionary,
            subspace_dim=getattr(found.intervention, "boundary", h.subspace_dim) or 1,
            site=self.site,
            seed=h.seed,
            engine=engine.name,
            start=found.progress.start,
            starts=found.progress.starts,
            ends=found.progress.ends,
            steps=found.progress.steps,
            converged=found.progress.converged,
            test=Measurement.of(found.right(data.test), data.test),
            held_out=None if kept is None else Measurement.of(found.right(kept), kept),
            free_running=None if free is None else Share.of(free.right),
            tokens_off=None if free is None else free.off,
            controls=dict(found.controls),
            records=found.progress.records,
            tokens=self.tokens,
            model_hash=weights,
            answered=self.task.answered,
            intervention=found.intervention,
            model=self.model,
        )
