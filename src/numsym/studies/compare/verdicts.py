"""The rule by which `compare` says which program a network runs, and which are ruled out; and what it weighs.

An exchange may do what a program says without exchanging anything that the network holds: it steers. So a program is
run only if its IIA is not above the ceiling (the whole site exchanged), and if the states after the exchange are near
to states that the network has by itself. And a program is said to fail only if nothing else that was tried succeeds: no
other function, no start, no kind of pairs (`numsym.alignment.restrictions`).

A program is scored by its worst variable: a network that runs it holds all of its variables. "full" does not count
towards the score, since programs that keep different variables often agree on what follows when all are exchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numsym._pyvene import frozen
from numsym.alignment import AlignmentResult, Divergence, Pairs, right_of
from numsym.alignment.explain import diverging
from numsym.alignment.pairs import told_apart
from numsym.alignment.restrictions import ALL, Tried
from numsym.errors import check_at_least, check_between
from numsym.programs import FULL
from numsym.results import left_out
from numsym.shares import Difference, Share
from numsym.studies.compare.shared import common

LEVEL = 0.05
"""The probability below which McNemar's test says that two hypotheses differ, times the number of other programs."""

OUT = ("ruled out", "fails")
"""Verdicts on programs that the network does not run, as far as was looked."""

FEWEST = 30
"""Shared pairs below which nothing is said of two programs."""

STATES = 500
"""Pairs whose exchanged states are held against natural ones."""

MINDED = ("floor", "permuted", "untrained")
"""The controls that a hypothesis must be above, where they were run."""


@dataclass(frozen=True)
class Rule:
    """When a program is said to be run, and when to be ruled out.

    Attributes:
        accept: a program can be the answer if the lower bound of its worst variable's IIA is at least this.
        margin: a program can be ruled out if its worst variable's IIA is below the best program's by more than this,
            by the lower bound of the paired difference: what differs by less is a matter of the search.
        away: a program is run only if half of its exchanged states lie at most this much farther from the nearest
            natural state than natural ones do; 1 is how far natural states are from their mean.
    """

    accept: float | int = 0.9
    margin: float | int = 0.05
    away: float | int = 1.0

    def __post_init__(self) -> None:
        check_between("accept", self.accept, 0, 1)
        check_between("margin", self.margin, 0, 1)
        check_at_least("away", self.away, 0)


@dataclass(frozen=True)
class Tested:
    """One hypothesis of a comparison.

    Attributes:
        program, variable: what was tested.
        iia, held_out: on its pairs, and on pairs of held-out numbers.
        controls: as in `AlignmentResult`.
        above_controls: whether the lower bound of its IIA is above the upper bound of each of floor, permuted and
            untrained; `None` where permuted and untrained were not both run. Without it, an IIA supports nothing.
        divergence: of its exchanged states; `None` in comparisons saved before it was measured.
        result: the alignment.
        right: (batch,) which of its pairs it gets right; `None` where the comparison was read.
        pairs: its pairs, with its counterfactuals; likewise.
    """

    program: str
    variable: str
    iia: Share
    held_out: Share | None
    controls: dict[str, Share]
    above_controls: bool | None
    divergence: Divergence | None = None
    result: Any = left_out(default=None)
    right: Any = left_out(default=None)
    pairs: Any = left_out(default=None)

    @classmethod
    def of(cls, result: AlignmentResult, pairs: Pairs, engine: str = "auto") -> "Tested":
        """A result on these pairs, by a route through the model."""
        right = right_of(result, pairs, engine)
        iia, above = Share.of(right), None
        if {"permuted", "untrained"} <= set(result.controls):
            above = all(iia.low > result.controls[name].high for name in MINDED if name in result.controls)
        with frozen(result.model):
            divergence = diverging(result, pairs.rows(slice(0, STATES)))
        return cls(
            program=result.program,
            variable=result.variables[0],
            iia=iia,
            held_out=None if result.held_out is None else result.held_out.iia,
            controls=dict(result.controls),
            above_controls=above,
            divergence=divergence,
            result=result,
            right=right,
            pairs=pairs,
        )

    @property
    def name(self) -> str:
        """`program.variable`."""
        return f"{self.program}.{self.variable}"

    def steers(self, rule: Rule) -> str | None:
        """Why its exchange does not pass on what the network holds, if there is a reason."""
        ceiling, found = self.controls.get("ceiling"), self.divergence
        if ceiling is not None and self.iia.low > ceiling.high:
            return (
                f"the IIA of {self.name}, {_percent(self.iia)}, is above the ceiling, {_percent(ceiling)}: exchanging "
                "the whole site does not do it"
            )
        if found is not None and not found.near(rule.away):
            return (
                f"half of the exchanged states of {self.name} lie {found.nearest:.2g} or more from the nearest natural "
                f"state (natural ones {found.natural_nearest:.2g}), where 1 is how far those are from their mean; "
                "a search with cl_weight above 0 keeps them nearer"
            )
        return None


def _percent(share: Share) -> str:
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


@dataclass(frozen=True)
class Contrast:
    """Two hypotheses on the pairs that both have.

    Attributes:
        first, second: their names.
        told_apart: the share of these pairs on which their counterfactuals differ in a predictable token.
        first_iia, second_iia: IIA of each, by its own counterfactual, on those pairs; `None` where there are none.
        difference: of the two IIAs on all pairs.
        difference_apart: the same on the pairs that tell them apart.
        n: how many pairs both have.
    """

    first: str
    second: str
    told_apart: float
    first_iia: Share | None
    second_iia: Share | None
    difference: Difference | None
    difference_apart: Difference | None
    n: int


@dataclass(frozen=True)
class Verdict:
    """What is said of one program.

    Attributes:
        program: its name.
        worst: its variable with the lowest IIA, by which it is scored.
        iia: of that variable.
        verdict: "runs" (it is the answer), "steered" (the exchange does what it says, but passes on nothing that the
            network holds), "fits" (the best one, but not the answer), "ruled out", "fails" (nothing that was tried
            finds it) or "undecided".
        why: the reason, in words.
        contrast: the best program's worst variable against its own; `None` for the best program itself.
    """

    program: str
    worst: str
    iia: Share
    verdict: str
    why: str
    contrast: Contrast | None


def contrast(first: Tested, second: Tested) -> Contrast:
    """Two hypotheses, on all pairs that both have and on those of them that tell the two apart."""
    rows, others = common(first.pairs, second.pairs)
    apart = told_apart(first.pairs.rows(rows), second.pairs.rows(others))
    one, other = first.right[rows], second.right[others]
    here, there = one[apart], other[apart]
    return Contrast(
        first=first.name,
        second=second.name,
        told_apart=apart.double().mean().item() if len(rows) else 0.0,
        first_iia=Share.of(here) if len(here) else None,
        second_iia=Share.of(there) if len(there) else None,
        difference=Difference.of(one, other),
        difference_apart=Difference.of(here, there),
        n=len(rows),
    )


def verdicts_on(
    tested: Sequence[Tested], rule: Rule, tried: Mapping[str, Sequence[Tried]] | None = None
) -> tuple[Verdict, ...]:
    """What the rule says of each program, from the best to the worst by its worst variable; "full" does not count.

    Args:
        tested: the hypotheses.
        rule: it.
        tried: what else was searched for of a hypothesis, by its name.
    """
    worst: dict[str, Tested] = {}
    supported: dict[str, bool] = {}
    for one in tested:
        if one.variable != FULL:
            worst[one.program] = min(worst.get(one.program, one), one, key=lambda t: t.iia.value)
            supported[one.program] = supported.get(one.program, True) and bool(one.above_controls)
    order = sorted(worst.values(), key=lambda one: -one.iia.value)
    best, others = order[0], order[1:]
    own = [one.steers(rule) for one in tested if one.program == best.program and one.variable != FULL]
    steers = next((why for why in own if why), None)
    judged = [_against(best, one, rule, supported[best.program], len(others), steers) for one in others]
    judged = [_beside(one, rule, (tried or {}).get(f"{one.program}.{one.worst}", ())) for one in judged]
    left = [one.program for one in judged if one.verdict not in OUT]
    first = _best(best, rule, supported[best.program], len(others), left, steers)
    return (_beside(first, rule, (tried or {}).get(best.name, ())), *judged)


def _beside(verdict: Verdict, rule: Rule, tried: Sequence[Tried]) -> Verdict:
    """A verdict on a program that falls short, beside what else was searched for of its worst variable."""
    if not tried or verdict.iia.high >= rule.accept:
        return verdict
    good, name = [one for one in tried if one.succeeds], f"{verdict.program}.{verdict.worst}"
    if good:
        why = f"{verdict.why}; but {name} succeeds by {'; '.join(map(str, good))}"
        elsewhere = verdict.verdict == "ruled out" and any(one.pairs == ALL for one in good)
        return replace(verdict, why=why, verdict="undecided" if elsewhere else verdict.verdict)
    best = max(tried, key=lambda one: one.iia.value)
    why = f"{verdict.why}; of {len(tried)} other functions and kinds of pairs none finds {name}, the best is {best}"
    return replace(verdict, why=why, verdict="fails" if verdict.verdict == "undecided" else verdict.verdict)


def _best(best: Tested, rule: Rule, supported: bool, others: int, left: list[str], steers: str | None) -> Verdict:
    if not supported:
        why = "not every variable is above its own controls, or these were not run"
    elif best.iia.low < rule.accept:
        why = f"its worst variable's IIA is not surely {rule.accept:g} or more"
    elif steers:
        return Verdict(best.program, best.variable, best.iia, "steered", steers, None)
    elif not others:
        why = "no other program was tested"
    elif left:
        why = f"not ruled out: {', '.join(left)}"
    else:
        why = "every variable is found above its controls, and every other program is ruled out"
        return Verdict(best.program, best.variable, best.iia, "runs", why, None)
    return Verdict(best.program, best.variable, best.iia, "fits" if supported else "undecided", why, None)


def _against(best: Tested, one: Tested, rule: Rule, supported: bool, others: int, steers: str | None) -> Verdict:
    """A program is ruled out if it is worse than a supported best one, surely, by the margin, and where they differ."""
    found = contrast(best, one)
    apart, everywhere = found.difference_apart, found.difference
    verdict = "undecided"
    if not supported:
        why = "the best program is not above its own controls"
    elif steers:
        why = f"the best program, {best.program}, is steered"
    elif found.n < FEWEST:
        why = f"{best.name} and {one.name} are hardly ever exchanged at the same places ({found.n} pairs)"
    elif apart is None or everywhere is None:
        why = f"{best.name} and {one.name} say the same on every pair"
    elif min(apart.low, everywhere.low) <= rule.margin or apart.p * others >= LEVEL:
        why = f"not surely worse than {best.name} by {100 * rule.margin:g} points, on all pairs and where they differ"
    else:
        verdict = "ruled out"
        why = (
            f"{one.name} is worse than {best.name} by {100 * everywhere.value:.0f} points on all pairs, and by "
            f"{100 * apart.value:.0f} on the {100 * found.told_apart:.0f} % that tell them apart"
        )
    return Verdict(one.program, one.variable, one.iia, verdict, why, found)
