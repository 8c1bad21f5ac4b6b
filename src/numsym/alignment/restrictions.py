"""What makes an alignment succeed: other functions, and pairs of one kind only, each searched for and compared.

A search of its own is made for each function on all pairs, and for the alignment's own function on each kind of pairs:
those within one value of another variable (one phase), those of small values. All are one batch, each beside the same
search with sources that tell nothing. As many are looked at for one that succeeds, their intervals are widened for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.alignment.controls import exchanged_states, states_at
from numsym.alignment.divergence import AWAY, Divergence
from numsym.alignment.drawn import Drawn
from numsym.alignment.engines.pyvene import unintervened
from numsym.alignment.functions import ALIGNMENTS, check_fits
from numsym.alignment.hypotheses import CONDITIONAL, WIDE, Hypothesis
from numsym.alignment.one_model import OneModel
from numsym.alignment.pairs import Pairs
from numsym.alignment.settings import SearchSettings
from numsym.alignment.subject import Found, train
from numsym.errors import InvalidArgumentError
from numsym.programs import Program
from numsym.shares import Share

Kind = Callable[[Pairs], Bool[Tensor, "batch"]]
"""Which pairs are of a kind."""

FEW = 6
"""Variables of so many values are held, one value after the other."""

FEWEST = 30
"""Pairs that a kind must have to be measured on."""

STATES = 500
"""Whose divergence is measured for each."""

ACCEPT = 0.9
"""The IIA that counts as success, unless told otherwise."""

ALL = "all pairs"


@dataclass(frozen=True)
class Tried:
    """One function on all pairs, or one kind of pairs.

    Attributes:
        pairs: which, in words.
        function: by which it was searched for.
        before: what the alignment that is explained reaches on these pairs; `None` of another function.
        iia: what a search of its own reaches there; its interval, like all here, is widened for how many were tried.
        floor: with no exchange on the same pairs.
        permuted: what the same search reaches with sources that tell nothing.
        nearest, natural_nearest: of its exchanged states; see `Divergence`.
        succeeds: whether its IIA is surely what is accepted or more and surely above the floor and the permuted search,
            and its exchanged states are near to natural ones.
    """

    pairs: str
    function: str
    before: Share | None
    iia: Share
    floor: Share
    permuted: Share
    nearest: float
    natural_nearest: float
    succeeds: bool

    def __str__(self) -> str:
        where = "" if self.pairs == ALL else f", {self.pairs}"
        ends = f"{100 * self.iia.value:.0f} % [{100 * self.iia.low:.0f}, {100 * self.iia.high:.0f}]"
        return f"{self.function}{where}: {ends}"

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {
            "pairs": self.pairs,
            "function": self.function,
            "before": self.before,
            "IIA": self.iia,
            "floor": self.floor,
            "permuted": self.permuted,
            "nearest": self.nearest,
            "succeeds": self.succeeds,
        }


@dataclass(frozen=True)
class _Job:
    """What is tried: a function on pairs of a kind, those that it is searched with, and where they are among all."""

    pairs: str
    function: str
    data: Drawn[Pairs]
    rows: Int[Tensor, "rows"]


def kinds_of(program: Program, pairs: Pairs) -> dict[str, Kind]:
    """The kinds of pairs to try, in words: other variables held, and small values of the one that is exchanged."""
    exchanged = {name for one in pairs.variables for name in program.block(one)}
    found: dict[str, Kind] = {}
    for name in program.variables:
        both = torch.cat([pairs.base_state[name], pairs.source_state[name]])
        values = both.unique().tolist()
        if name not in exchanged and 1 < len(values) <= FEW:
            found[f"{name} the same"] = _same(name)
            found |= {f"{name} {program.word(name, value)}": _between(name, value, value) for value in values}
        elif name in exchanged and len(values) > FEW // 2:
            middle = int(both.median())
            found[f"{name} at most {program.word(name, middle)}"] = _between(name, values[0], middle)
    return found


def _same(name: str) -> Kind:
    return lambda pairs: pairs.base_state[name] == pairs.source_state[name]


def _between(name: str, low: int, high: int) -> Kind:
    """At base and source."""

    def inside(pairs: Pairs) -> Bool[Tensor, "batch"]:
        base, source = pairs.base_state[name], pairs.source_state[name]
        return (base >= low) & (base <= high) & (source >= low) & (source <= high)

    return inside


def _every(pairs: Pairs) -> Bool[Tensor, "batch"]:
    return torch.ones_like(pairs.changed)


def other_functions(alignment: str, width: int, subspace_dim: int, blocks: int) -> list[str]:
    """The alignment functions that a site of this width takes, besides one.

    And besides those that learn their own size, and those that learn nothing.
    """
    found = []
    for name in ALIGNMENTS:
        function = ALIGNMENTS[name]
        if name == alignment or function.mask is not None or not function.learned:
            continue
        if width > WIDE and name != "low_rank":
            continue
        try:
            check_fits(name, width, subspace_dim, blocks)
        except InvalidArgumentError:
            continue
        found.append(name)
    return found


def tried_on(
    subject: OneModel,
    hypothesis: Hypothesis,
    fresh: Pairs,
    unseen: Bool[Tensor, "batch"],
    right: Bool[Tensor, "batch"],
    settings: SearchSettings,
    *,
    accept: float | int = ACCEPT,
    away: float | int = AWAY,
) -> tuple[Tried, ...]:
    """Search for each function and each kind of pairs, and say which succeed.

    Args:
        subject: the frozen model at its site.
        hypothesis: of the alignment that is explained, with its function and k.
        fresh: pairs of it; each is measured on those of its kind.
        unseen: which of them are not among those to search with; where a kind has too few, it is measured on all.
        right: which of them the alignment gets right.
        settings: of the searches.
        accept: the IIA that counts as success.
        away: see `Divergence.near`.
    """
    jobs = _jobs(subject, hypothesis, fresh, unseen, settings.batch_size)
    if not jobs:
        return ()
    n, sets = len(jobs), [job.data for job in jobs]
    asked = [_asked(subject, hypothesis, job.function) for job in jobs]
    shuffled = [own.permuted(hypothesis.seed) for own in sets]
    searched = train(subject, [*asked, *asked], [*sets, *shuffled], settings)
    natural = torch.cat(states_at(subject.model, subject.site, fresh.rows(slice(0, 2 * STATES))))
    made = []
    for index, job in enumerate(jobs):
        found: Found[Share] = Found(asked[index], job.data, searched, index, {})
        test = job.data.test
        iia, floor, permuted = (
            Share.of(rows, among=n)
            for rows in (
                found.right(test),
                unintervened(subject.model, test),
                searched.right(n + index, shuffled[index].test),
            )
        )
        part = test.rows(slice(0, STATES))
        far = Divergence.of(exchanged_states(subject.model, subject.site, found.intervention, part)[0], natural)
        own = job.function == hypothesis.alignment
        made.append(
            Tried(
                pairs=job.pairs,
                function=job.function,
                before=Share.of(right[job.rows], among=n) if own else None,
                iia=iia,
                floor=floor,
                permuted=permuted,
                nearest=far.nearest,
                natural_nearest=far.natural_nearest,
                succeeds=iia.low >= accept and iia.low > max(floor.high, permuted.high) and far.near(away),
            )
        )
    return tuple(made)


def _asked(subject: OneModel, hypothesis: Hypothesis, function: str) -> Hypothesis:
    """The same by another function: a conditional one has no more coordinates than its means can span."""
    if function == hypothesis.alignment:
        return hypothesis
    other = replace(hypothesis, alignment=function, condition=None, dictionary=None)
    if function != CONDITIONAL:
        return other
    spanned = other.spanned(subject.task, subject.task.program(other.program))
    k = other.subspace_dim or 1
    return replace(other, subspace_dim=k if spanned is None else min(k, max(1, spanned)))


def _jobs(
    subject: OneModel, hypothesis: Hypothesis, fresh: Pairs, unseen: Bool[Tensor, "batch"], least: int
) -> list[_Job]:
    """All for which there are pairs enough."""
    width, k = subject.site.check(subject.model), hypothesis.subspace_dim or 1
    own, data = str(hypothesis.alignment), subject.draw(hypothesis)
    wanted: list[tuple[str, str, Kind]] = [
        (ALL, name, _every) for name in other_functions(own, width, k, len(hypothesis.variables))
    ]
    program = subject.task.program(hypothesis.program)
    wanted += [(what, own, kind) for what, kind in kinds_of(program, fresh).items()]
    found = []
    for what, function, kind in wanted:
        rows = (kind(fresh) & unseen).nonzero()[:, 0]
        if len(rows) < FEWEST:
            rows = kind(fresh).nonzero()[:, 0]
        train, valid = (pairs.rows(kind(pairs).nonzero()[:, 0]) for pairs in (data.train, data.validation))
        if len(valid) < FEWEST:
            cut = len(train) - len(train) // 5
            train, valid = train.rows(slice(0, cut)), train.rows(slice(cut, None))
        if min(len(rows), len(valid)) >= FEWEST and len(train) >= least:
            parts: dict[str, Any] = {"train": train, "validation": valid, "test": fresh.rows(rows), "held_out": None}
            found.append(_Job(what, function, replace(data, **parts), rows))
    return found
