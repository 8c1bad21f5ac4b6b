"""Why an IIA is what it is: by values, counts and positions, by what else was tried, by divergence, in examples.

A low IIA has three causes: the network has no such variable, no map of this kind expresses it, or the search did not
find the map. No number alone tells them apart; the tables here do, as far as they can be told apart: what another
function reaches, or the same one on pairs of one kind, what the search reaches from its several starts, and whether the
states after the exchange are any that the model has.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from numsym._pyvene import frozen
from numsym.alignment.cells import Crossed, crossed, grid, picked
from numsym.alignment.controls import exchanged_states
from numsym.alignment.divergence import Divergence
from numsym.alignment.drawn import PairCounts, measured_pairs
from numsym.alignment.engines.choice import right_of
from numsym.alignment.examples import Example, in_words
from numsym.alignment.explained import explained
from numsym.alignment.geometry import Geometry
from numsym.alignment.hypotheses import Hypothesis
from numsym.alignment.measurement import Measurement
from numsym.alignment.one_model import OneModel
from numsym.alignment.pairs import Pairs, Positions, interchange_pairs
from numsym.alignment.restrictions import Tried, tried_on
from numsym.alignment.result import AlignmentResult
from numsym.alignment.settings import SearchSettings
from numsym.errors import InvalidArgumentError, Options, check_at_least, options_of
from numsym.figures import charts
from numsym.programs import Program
from numsym.results import Result
from numsym.shares import Share
from numsym.tasks import Task
from numsym.training import rightly

if TYPE_CHECKING:
    from altair import TopLevelMixin
    from matplotlib.figure import Figure

APART = 3_000_000
"""Added to a result's seed for the pairs that it is explained on."""

KEPT = ("task", "program", "variables", "alignment", "subspace_dim", "start", "starts", "ends")
"""What an explanation says of its alignment as the result has it."""

NOTES = """\
IIA in percent with 95 % intervals, on pairs that were not trained on.
Values of a variable: at the base down, at the source across. Here pairs count
that were trained on, too: of some values a small task has no others.
far: the share of exchanged states that lie farther from every natural state
than natural ones do from each other. nearest: their median distance from the
nearest natural one; 1 is how far natural states lie from their mean."""


@dataclass(frozen=True, repr=False)
class Explanation(Result):
    """One alignment, taken apart.

    Attributes:
        task, program, variables, alignment, subspace_dim, site: of the alignment.
        measured: IIA on fresh pairs, whole and by count, difference and position; none of them was trained on, unless
            the task has no others.
        crossed: for each variable of the program (those that are not exchanged first), IIA by its value at base and
            source; pairs that were trained on count here, since of some values a small task has no others.
        tried: other functions, and the same function on pairs of one kind, each with a search of its own.
        divergence: of the exchanged states.
        start, starts, ends: of the search: the start that it kept; IIA on validation pairs of each that was compared,
            before any step; and what the search from each that was tried reached there.
        geometry: where the exchange moves states; `None` in explanations that are older.
        examples: trials in words, one of each way to be wrong and some that are right.
    """

    task: str
    program: str
    variables: tuple[str, ...]
    alignment: str
    subspace_dim: int
    site: str
    measured: Measurement
    crossed: dict[str, Crossed]
    tried: tuple[Tried, ...]
    divergence: Divergence
    examples: tuple[Example, ...]
    geometry: Geometry | None = None
    start: str = "random"
    starts: dict[str, float] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)

    name: ClassVar[str] = "explanation"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What was aligned, and how."""
        variables = ", ".join(f"{self.program}.{name}" for name in self.variables)
        return f"{self.task}, {variables} by {self.alignment} (k {self.subspace_dim}) at {self.site}: IIA in percent"

    def rows(self) -> list[dict[str, Any]]:
        """A row a share: what it is by, and the values at base and source."""
        rows = [{"by": "all pairs", "base": None, "source": None, "iia": self.measured.iia}]
        for name, cells in self.crossed.items():
            rows += [{"by": name, "base": b, "source": s, "iia": share} for (b, s), share in cells.items()]
        for by, shares in self.graded.items():
            rows += [{"by": by, "base": str(value), "source": None, "iia": share} for value, share in shares.items()]
        return rows

    @property
    def graded(self) -> dict[str, dict[int, Share]]:
        """IIA by numbers of the trial, each by name."""
        found = self.measured
        return {
            "count of the base": found.by_base_count,
            "count of the source": found.by_source_count,
            "difference": found.by_difference,
            "position": found.by_position,
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """A grid a variable; what else was measured; the examples."""
        made = {f"{self.title}, by {name} of the base (down) and of the source": grid(cells) for name, cells in
                self.crossed.items()}  # fmt: skip
        if self.tried:
            made["tried"] = [one.row() for one in self.tried]
        if self.starts:
            made["starts"] = [
                {"start": name, "before": iia, "after": self.ends.get(name), "kept": name == self.start}
                for name, iia in self.starts.items()
            ]
        made["all pairs"] = [{"IIA": self.measured.iia, **self.divergence.row()}]
        rows = [{k: v for k, v in vars(example).items() if k != "tokens"} for example in self.examples]
        return made | ({"examples": rows} if rows else {})

    def charts(self) -> "dict[str, TopLevelMixin]":
        """A map for each variable, and where the exchange moves states."""
        made: dict[str, TopLevelMixin] = {}
        for name, cells in self.crossed.items():
            down, across = f"{name} of the base", f"{name} of the source"
            rows = [{across: s, down: b, **charts.percent(share)} for (b, s), share in cells.items()]
            made[f"IIA by {name} at the base and at the source"] = charts.heatmap(rows, x=across, y=down)
        if self.geometry is not None:
            where = self.geometry
            made |= charts.plane(where.states, where.directions, where.variance)
            made |= charts.along(where.natural, where.change)
        return made

    @property
    def said(self) -> list[str]:
        """What follows from it, in sentences."""
        found = [f"IIA {_percent(self.measured.iia)}."]
        good = [one for one in self.tried if one.succeeds]
        if good:
            found.append(f"What succeeds: {'; '.join(map(str, good))}.")
        elif self.tried:
            best = max(self.tried, key=lambda one: one.iia.value)
            found.append(f"Of {len(self.tried)} other functions and kinds of pairs none succeeds; the best is {best}.")
        if len(self.ends) > 1:
            low, high = (100 * end(self.ends.values()) for end in (min, max))
            found.append(
                f"Searches from {len(self.ends)} starts end at {low:.0f} to {high:.0f} %; {self.start} is kept."
            )
        return [*found, f"Exchanged states: {self.divergence}."]

    def __repr__(self) -> str:
        return "\n".join([*self.said, super().__repr__()])

    def figure(self) -> "Figure":
        """A grid for each variable; below, by count, difference and position."""
        return explained(self.crossed, self.graded, self.title)


def _percent(share: Share) -> str:
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def explain(
    result: AlignmentResult,
    task: Task,
    *,
    pairs: Options[PairCounts] = None,
    positions: Positions | None = None,
    search: Options[SearchSettings] = None,
    measured: int = 2000,
    examples: int = 6,
    tries: bool = True,
    engine: str = "auto",
) -> Explanation:
    """Take an alignment apart: where it is right, how far its exchanged states are from natural ones, and examples.

    Args:
        result: with its model.
        task: that it was searched for in.
        pairs: as it was searched with, so that none that was trained on is measured.
        positions: likewise.
        search: settings of the searches for what is tried.
        measured: how many fresh pairs.
        examples: how many trials in words, at most.
        tries: whether to search with other functions and with pairs of one kind, which takes as long as a search for
            some ten alignments.
        engine: the route through the model.

    Raises:
        InvalidArgumentError: the result was read without its model, or is of another task; or a number is below 1.
    """
    check_at_least("measured", measured, 10)
    check_at_least("examples", examples, 0)
    _check_of(result, task)
    task = rightly(result.model, task)
    program = task.program(result.program)
    counts, settings = options_of(PairCounts, pairs), options_of(SearchSettings, search)
    drawn, unseen = fresh_pairs(result, task, counts, positions, measured)
    subject = OneModel(result.model, task, result.site, counts, positions, engine)
    with frozen(result.model):
        right = right_of(result, drawn, engine)
        fresh = torch.zeros_like(right).index_fill(0, unseen, True)
        tried = tried_on(subject, hypothesis_of(result), drawn, fresh, right, settings) if tries else ()
        chosen = drawn.rows(picked(right, drawn, program, examples))
        moved = exchanged_states(result.model, result.site, result.intervention, drawn)
        return Explanation(
            **{name: getattr(result, name) for name in KEPT},
            site=str(result.site),
            measured=Measurement.of(right[unseen], drawn.rows(unseen)),
            crossed=crossed(right, drawn, program),
            tried=tried,
            divergence=Divergence.of(*moved),
            geometry=Geometry.of(*moved, _labels(program, drawn, len(moved[0]) // len(drawn))),
            examples=in_words(result, task, chosen) if len(chosen) else (),
        )


def _check_of(result: AlignmentResult, task: Task) -> None:
    if result.model is None:
        raise InvalidArgumentError("result is not allowed: it was read without its model; load it with it")
    if result.task != task.name:
        raise InvalidArgumentError(f"task={task.name!r} is not allowed: the alignment is of {result.task!r}")


def fresh_pairs(
    result: AlignmentResult, task: Task, counts: PairCounts, positions: Positions | None, n: int
) -> tuple[Pairs, Int[Tensor, "unseen"]]:
    """Pairs of a result's program and variables, of numbers that training used; and which the search did not train on.

    All of them, where it has trained on each: a small task has no others.
    """
    hypothesis = hypothesis_of(result)
    generator = torch.Generator().manual_seed(result.seed + APART)
    program = task.program(result.program)
    drawn = interchange_pairs(task, program, result.variables, n, positions=positions, generator=generator)
    seen = set(measured_pairs(task, hypothesis, counts, positions, part="train").keys())
    unseen = [row for row, key in enumerate(drawn.keys()) if key not in seen]
    return drawn, torch.tensor(unseen or range(len(drawn)), dtype=torch.long)


def hypothesis_of(result: AlignmentResult) -> Hypothesis:
    """What a result was searched for as."""
    k, condition = int(result.subspace_dim), result.condition
    asked = (result.program, result.variables, result.alignment, k, result.seed)
    return Hypothesis(*asked, condition=condition, dictionary=result.dictionary)


def _labels(program: Program, pairs: Pairs, places: int) -> list[dict[str, str]]:
    """For each base state, then for each source state, what the program's variables are; what is exchanged first."""
    exchanged = {name for one in pairs.variables for name in program.block(one)}
    names = sorted(program.variables, key=lambda one: one not in exchanged)
    return [
        {name: program.word(name, int(values[name][row])) for name in names}
        for values in ({n: s.cpu() for n, s in state.items()} for state in (pairs.base_state, pairs.source_state))
        for _ in range(places)
        for row in range(len(pairs))
    ]


def diverging(result: AlignmentResult, pairs: Pairs) -> Divergence:
    """How far the exchanged states of some pairs lie from the pairs' own states."""
    return Divergence.of(*exchanged_states(result.model, result.site, result.intervention, pairs))
