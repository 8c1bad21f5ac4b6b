"""What alignments are searched for in, and the order of work on it: draw, search, controls.

A subject is one model at a site (`numsym.alignment.align`), or two networks (`numsym.studies.cross_model`). It says how
its pairs are drawn, which engine runs it, what a share of right pairs is of it, and which twins are its controls.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from jaxtyping import Bool
from torch import Tensor

from numsym.alignment.drawn import Drawn
from numsym.alignment.hypotheses import Hypothesis
from numsym.alignment.latent import Latent
from numsym.alignment.search import Engine, correct, search
from numsym.alignment.settings import SearchSettings
from numsym.alignment.tries import Progress, Starts

logger = logging.getLogger(__name__)

FELL = 0.05
"""By how much a search has to end below its start to be told of."""

M = TypeVar("M")
"""What is measured on a set of pairs: one share, or one for each direction between two networks."""

Report = Callable[[int, dict[str, float | int]], Any]
"""Called with the index of a hypothesis and each record of its search."""


@dataclass(frozen=True)
class Searched:
    """Alignments that were searched for in one batch, by index.

    Attributes:
        engine: holds every try of each.
        progress: the best try of each.
    """

    engine: Engine
    progress: Sequence[Progress]
    _prepared: list[tuple[Any, Any]] = field(default_factory=list, repr=False)

    def slot(self, index: int) -> int:
        """Where the engine has one of them."""
        return self.progress[index].slot

    def right(self, index: int, pairs: Any) -> Bool[Tensor, "batch"]:
        """Which of some pairs one of them gets right, on the CPU."""
        for known, ready in self._prepared:
            if known is pairs:
                return correct(self.engine, self.slot(index), ready, len(pairs))
        # Functions of the same variable come one after the other and are measured on the same pairs, test and held-out.
        self._prepared[:] = [*self._prepared[-1:], (pairs, self.engine.prepare(pairs))]
        return correct(self.engine, self.slot(index), self._prepared[-1][1], len(pairs))


@dataclass(frozen=True)
class Found(Generic[M]):
    """One alignment that was searched for, with what the result is made from.

    Attributes:
        hypothesis, data: what was searched for, and its pairs.
        searched, index: the batch that it was searched for in, and its place there.
        controls: name -> what was measured.
    """

    hypothesis: Hypothesis
    data: Drawn[Any]
    searched: Searched
    index: int
    controls: Mapping[str, M]

    @property
    def progress(self) -> Progress:
        """The course of its search."""
        return self.searched.progress[self.index]

    @property
    def intervention(self) -> Any:
        """What was learned: an intervention, or one of each network."""
        return self.searched.engine.interventions[self.searched.slot(self.index)]

    def right(self, pairs: Any) -> Bool[Tensor, "batch"]:
        """Which of some pairs it gets right, on the CPU."""
        return self.searched.right(self.index, pairs)


@runtime_checkable
class Subject(Protocol[M]):
    """What alignments are searched for in."""

    @property
    def width(self) -> int:
        """How many coordinates are exchanged at most, which says how far a step of the search may go."""

    def draw(self, hypothesis: Hypothesis) -> Drawn[Any]:
        """The pairs of a hypothesis: those of its program, variables and seed."""

    def engine(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Any]]) -> Engine:
        """Fresh alignments, each with the pairs that it will be searched for on, and the route to search by."""

    def starts(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Any]], kind: str) -> list[Starts]:
        """What the search for each may begin with; `kind` is the settings' `starts`."""

    def latents(self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Any]], target: str) -> list[Latent]:
        """The states of the training pairs of each, and where their exchange should lead."""

    def shares(self, searched: Searched, index: int, pairs: Any) -> M:
        """What is right of some pairs."""

    def references(self, hypothesis: Hypothesis, data: Drawn[Any], wanted: Sequence[str]) -> dict[str, M]:
        """Those of the wanted controls that need no search."""

    def untrained(
        self, hypotheses: Sequence[Hypothesis], data: Sequence[Drawn[Any]], settings: SearchSettings
    ) -> list[M]:
        """What the same search finds with fresh weights, for each hypothesis."""


def find(
    subject: Subject[M],
    hypotheses: Sequence[Hypothesis],
    settings: SearchSettings,
    wanted: Sequence[str],
    report: Report | None = None,
) -> list[Found[M]]:
    """Search with the true pairs and, in the same batch, with permuted sources; then run the other controls.

    Args:
        subject: frozen.
        hypotheses: checked.
        settings: of the search.
        wanted: names of controls.
        report: of the hypotheses' own searches.
    """
    n, drawn = len(hypotheses), {_drawn_as(h): subject.draw(h) for h in {_drawn_as(h): h for h in hypotheses}.values()}
    data = [drawn[_drawn_as(h)] for h in hypotheses]
    shuffled = {key: one.permuted(key[-1]) for key, one in drawn.items()} if "permuted" in wanted else {}
    permuted = [shuffled[_drawn_as(h)] for h in hypotheses if shuffled]
    both = [*hypotheses, *hypotheses[: len(permuted)]]
    searched = train(subject, both, [*data, *permuted], settings, _of_the_first(n, report))
    for hypothesis, progress in zip(hypotheses, searched.progress, strict=False):
        _tell_where_it_fell(hypothesis, progress, settings.at(subject.width))
    references: dict[tuple, dict[str, M]] = {}
    for h, d in zip(hypotheses, data, strict=True):
        # Two functions on the same pairs have the same.
        if (key := (*_drawn_as(h), h.subspace_dim)) not in references:
            references[key] = subject.references(h, d, wanted)
    controls = [dict(references[*_drawn_as(h), h.subspace_dim]) for h in hypotheses]
    for i, d in enumerate(permuted):
        # What the map makes of sources that tell nothing, on pairs of the kind that it was fitted to.
        controls[i]["permuted"] = subject.shares(searched, n + i, d.test)
    if "untrained" in wanted:
        for made, share in zip(controls, subject.untrained(hypotheses, data, settings), strict=True):
            made["untrained"] = share
    return [Found(hypotheses[i], data[i], searched, i, controls[i]) for i in range(n)]


def train(
    subject: Subject[Any],
    hypotheses: Sequence[Hypothesis],
    data: Sequence[Drawn[Any]],
    settings: SearchSettings,
    report: Report | None = None,
) -> Searched:
    """Search for each hypothesis on its pairs, from its best starts, all in one batch."""
    settings = settings.at(subject.width)
    starts = subject.starts(hypotheses, data, settings.starts)
    tries = min(settings.tries, max(map(len, starts)))
    engine = subject.engine([h for h in hypotheses for _ in range(tries)], [d for d in data for _ in range(tries)])
    seeds, pairs = [h.seed for h in hypotheses], ([d.train for d in data], [d.validation for d in data])
    latents = subject.latents(hypotheses, data, settings.cl_target) if settings.cl_weight else []
    return Searched(engine, search(engine, *pairs, seeds, settings, report, starts, latents))


def _tell_where_it_fell(hypothesis: Hypothesis, progress: Progress, settings: SearchSettings) -> None:
    """A search that only fell from its start has kept the start: what it says is little, and the rate may be why."""
    first, *others = progress.records or [{"step": 0, "iia": 0.0}]
    if first["step"] == 0 and others and progress.best_iia <= first["iia"] and others[-1]["iia"] < first["iia"] - FELL:
        logger.warning(
            "%s (%s) stays at its start: %d steps at learning_rate=%g took validation IIA from %.0f to %.0f %%; "
            "another search.learning_rate, or a longer search.warm_up, may find more",
            ", ".join(hypothesis.variables), hypothesis.alignment, progress.steps, settings.learning_rate,
            100 * first["iia"], 100 * others[-1]["iia"],
        )  # fmt: skip


def _drawn_as(hypothesis: Hypothesis) -> tuple[Any, ...]:
    """Hypotheses for which this is the same have the same pairs; the seed comes last."""
    return hypothesis.program, hypothesis.variables, hypothesis.seed


def _of_the_first(n: int, report: Report | None) -> Report | None:
    return None if report is None else lambda index, record: report(index, record) if index < n else None
