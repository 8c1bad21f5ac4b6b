"""Which program does a network run? Several hypotheses on the same pairs, ranked, and ruled out by a stated rule.

Each variable of each program alone, and each program's variables together ("full"), is one hypothesis. All are searched
for over the same trials, with the exchange at the same positions; only the counterfactual differs by program. Two
hypotheses can say the same on many pairs, so each two are also compared on the pairs that tell them apart.

A program is scored by its worst variable: a network that runs it holds all of its variables. "full" does not count
towards the score, since programs that keep different variables often agree on what follows when all are exchanged.

What a verdict says, it says of this site, this kind of map and this search: a better map or a longer search may find
what was not found here.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym.alignment.align import Hypothesis, PairCounts, align_many, measured_pairs
from numsym.alignment.engines import right_of
from numsym.alignment.pairs import Pairs, Positions
from numsym.alignment.result import AlignmentResult, plain
from numsym.alignment.statistics import Difference, Share
from numsym.errors import InvalidArgumentError, check_between
from numsym.programs import FULL
from numsym.storage import new_folder, write_json
from numsym.tasks import Task

FILE, FOLDER = "comparison.json", "alignments"

LEVEL = 0.05
"""The probability below which McNemar's test says that two hypotheses differ, times the number of other programs."""

FEWEST = 30
"""Shared pairs below which nothing is compared."""

MINDED = ("floor", "permuted", "untrained")
"""The controls that a hypothesis must be above, where they were run."""


@dataclass(frozen=True)
class Rule:
    """When a program is said to be run, and when to be ruled out.

    Attributes:
        accept: a program can be the answer if the lower bound of its worst variable's IIA is at least this.
        margin: a program can be ruled out if its worst variable's IIA is below the best program's by more than this,
            by the lower bound of the paired difference: what differs by less is a matter of the search.
    """

    accept: float | int = 0.9
    margin: float | int = 0.05

    def __post_init__(self) -> None:
        check_between("accept", self.accept, 0, 1)
        check_between("margin", self.margin, 0, 1)


@dataclass(frozen=True)
class Tested:
    """One hypothesis of a comparison.

    Attributes:
        program, variable: what was tested.
        iia, held_out: on the shared pairs, and on pairs of held-out numbers.
        controls: as in `AlignmentResult`.
        above_controls: whether the lower bound of its IIA is above the upper bound of each of floor, permuted and
            untrained; `None` where permuted and untrained were not both run. Without it, an IIA supports nothing.
        result: the alignment.
        right: (batch,) which of the shared pairs it gets right.
        pairs: the shared pairs with its counterfactuals.
    """

    program: str
    variable: str
    iia: Share
    held_out: Share | None
    controls: dict[str, Share]
    above_controls: bool | None
    result: AlignmentResult = field(repr=False, compare=False)
    right: Bool[Tensor, "batch"] = field(repr=False, compare=False)
    pairs: Pairs = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """`program.variable`."""
        return f"{self.program}.{self.variable}"


@dataclass(frozen=True)
class Contrast:
    """Two hypotheses on the same pairs.

    Attributes:
        first, second: their names.
        told_apart: the share of pairs on which their counterfactuals differ in a predictable token.
        first_iia, second_iia: IIA of each, by its own counterfactual, on those pairs; `None` where there are none.
        difference: of the two IIAs on all pairs.
        difference_apart: the same on the pairs that tell them apart.
    """

    first: str
    second: str
    told_apart: float
    first_iia: Share | None
    second_iia: Share | None
    difference: Difference | None
    difference_apart: Difference | None


@dataclass(frozen=True)
class Verdict:
    """What is said of one program.

    Attributes:
        program: its name.
        worst: its variable with the lowest IIA, by which it is scored.
        iia: of that variable.
        verdict: "runs" (it is the answer), "fits" (the best one, but not the answer), "ruled out" or "undecided".
        why: the reason, in words.
        contrast: the best program's worst variable against its own; `None` for the best program itself.
    """

    program: str
    worst: str
    iia: Share
    verdict: str
    why: str
    contrast: Contrast | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        task: its name.
        rule: by which verdicts were given.
        hypotheses: in the order tested.
        contrasts: of each two hypotheses.
        verdicts: programs from the best to the worst.
    """

    task: str
    rule: Rule
    hypotheses: tuple[Tested, ...]
    contrasts: tuple[Contrast, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def answer(self) -> str | None:
        """The program that the network runs: the only one left, and accepted by the rule. `None` if undecided."""
        return next((one.program for one in self.verdicts if one.verdict == "runs"), None)

    @classmethod
    def of(
        cls,
        task: Task,
        results: Sequence[AlignmentResult],
        *,
        pairs: PairCounts | None = None,
        positions: Positions | None = None,
        rule: Rule | None = None,
    ) -> "Comparison":
        """From results of one seed and one alignment function, one variable (or "full") each.

        Args:
            task: what the model does.
            results: of `align_many`, or loaded.
            pairs: as they were searched with.
            positions: likewise.
            rule: see `Rule`.

        Raises:
            InvalidArgumentError: the results were not searched for alike, or too few of their pairs are the same.
        """
        rule = rule or Rule()
        kinds = {(r.seed, r.alignment, str(r.site), r.model_hash, len(r.variables)) for r in results}
        if len(kinds) != 1 or len(results[0].variables) != 1:
            raise InvalidArgumentError(
                "results is not allowed: they must share model, site, alignment and seed, and have one variable each"
            )
        asked = [Hypothesis(r.program, r.variables, r.alignment, r.subspace_dim, r.seed) for r in results]
        drawn = _shared([measured_pairs(task, hypothesis, pairs, positions) for hypothesis in asked])
        tested = tuple(_tested(result, own) for result, own in zip(results, drawn, strict=True))
        contrasts = tuple(contrast(a, b) for a, b in combinations(tested, 2))
        return cls(task.name, rule, tested, contrasts, _verdicts(tested, rule))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the alignments, as plain values for JSON."""
        left_out = ("result", "right", "pairs")
        tested = [{k: v for k, v in vars(one).items() if k not in left_out} for one in self.hypotheses]
        return plain({**vars(self), "answer": self.answer, "hypotheses": tested})

    def save(self, path: str | os.PathLike) -> None:
        """Write a new folder: `comparison.json`, and each alignment as `AlignmentResult.save` writes it.

        Raises:
            RunFolderError: `path` exists.
        """
        with new_folder(path) as folder:
            write_json(folder / FILE, self.to_dict())
            for one in self.hypotheses:
                one.result.save(folder / FOLDER / one.name)


def hypotheses_of(
    task: Task,
    programs: Iterable[str] | None = None,
    *,
    alignment: str = "linear",
    subspace_dim: int | None = None,
    seed: int = 0,
    full: bool = True,
) -> list[Hypothesis]:
    """Each variable of each program alone, and, for programs of several, "full": what `compare` tests."""
    wanted = []
    for program in task.programs if programs is None else programs:
        variables = task.program(program).variables
        for variable in (*variables, FULL) if full and len(variables) > 1 else variables:
            wanted.append(Hypothesis(program, variable, alignment, subspace_dim, seed))
    return wanted


def compare(
    model: nn.Module,
    task: Task,
    programs: Iterable[str] | None = None,
    *,
    alignment: str = "linear",
    subspace_dim: int | None = None,
    seed: int = 0,
    full: bool = True,
    pairs: PairCounts | None = None,
    positions: Positions | None = None,
    rule: Rule | None = None,
    **options: Any,
) -> Comparison:
    """Test programs as hypotheses about one network on the same pairs, and say which it runs and which are ruled out.

    Args:
        model: as for `align`.
        task: what the model does.
        programs: names of programs of the task; all of them if not given.
        alignment: the function, of every hypothesis; see `Hypothesis` for this and the next two.
        subspace_dim: coordinates of each variable.
        seed: of the pairs, of the start and of the order of the pairs.
        full: whether all variables of each program together are tested too.
        pairs: how many.
        positions: intervene only there; their names must be variables of every program.
        rule: for the verdicts.
        options: the others of `align_many`; without its controls no program is ever accepted.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.

    Example:
        >>> found = numsym.compare(model, task, programs=["up_down", "up_up"])  # doctest: +SKIP
        >>> found.answer, [(one.program, one.verdict, one.why) for one in found.verdicts]  # doctest: +SKIP
    """
    wanted = hypotheses_of(task, programs, alignment=alignment, subspace_dim=subspace_dim, seed=seed, full=full)
    counts = pairs or PairCounts()
    results = align_many(model, task, wanted, pairs=counts, positions=positions, **options)
    return Comparison.of(task, results, pairs=counts, positions=positions, rule=rule)


def _tested(result: AlignmentResult, pairs: Pairs) -> Tested:
    right = right_of(result, pairs)
    iia, above = Share.of(right), None
    if {"permuted", "untrained"} <= set(result.controls):
        above = all(iia.low > result.controls[name].high for name in MINDED if name in result.controls)
    return Tested(
        program=result.program,
        variable=result.variables[0],
        iia=iia,
        held_out=None if result.held_out is None else result.held_out.iia,
        controls=dict(result.controls),
        above_controls=above,
        result=result,
        right=right,
        pairs=pairs,
    )


def _shared(drawn: list[Pairs]) -> list[Pairs]:
    """The pairs of each hypothesis that are met at the same places in all of them, in one order.

    They are all of them, unless programs admit different exchanges or `positions` names what they do not agree on.
    """
    keys = [pairs.keys() for pairs in drawn]
    if all(own == keys[0] for own in keys):
        return drawn
    rows = [{key: row for row, key in enumerate(own)} for own in keys]
    common = [key for key in dict.fromkeys(keys[0]) if all(key in own for own in rows)]
    if len(common) < FEWEST:
        raise InvalidArgumentError(
            f"these hypotheses are not allowed together: only {len(common)} pairs are met at the same places in all of "
            f"them, fewer than {FEWEST}; ask for more pairs, or compare programs that admit the same exchanges"
        )
    return [pairs.rows(torch.tensor([own[key] for key in common])) for pairs, own in zip(drawn, rows, strict=True)]


def told_apart(first: Pairs, second: Pairs) -> Bool[Tensor, "batch"]:
    """On which rows of the same trials two counterfactuals differ in a predictable token, or in where one is."""
    length = max(first.base_ids.shape[1], second.base_ids.shape[1])
    said = []
    for pairs in (first, second):
        tokens = torch.where(pairs.scored, pairs.base_ids, -1)
        said.append(nn.functional.pad(tokens, (0, length - tokens.shape[1]), value=-1))
    return (said[0] != said[1]).any(1).cpu()


def contrast(first: Tested, second: Tested) -> Contrast:
    """Two hypotheses, on all shared pairs and on those that tell them apart."""
    apart = told_apart(first.pairs, second.pairs)
    here, there = first.right[apart], second.right[apart]
    return Contrast(
        first=first.name,
        second=second.name,
        told_apart=apart.double().mean().item(),
        first_iia=Share.of(here) if len(here) else None,
        second_iia=Share.of(there) if len(there) else None,
        difference=Difference.of(first.right, second.right),
        difference_apart=Difference.of(here, there),
    )


def _verdicts(tested: Sequence[Tested], rule: Rule) -> tuple[Verdict, ...]:
    worst: dict[str, Tested] = {}
    supported: dict[str, bool] = {}
    for one in tested:
        if one.variable != FULL:
            worst[one.program] = min(worst.get(one.program, one), one, key=lambda t: t.iia.value)
            supported[one.program] = supported.get(one.program, True) and bool(one.above_controls)
    order = sorted(worst.values(), key=lambda one: -one.iia.value)
    best, others = order[0], order[1:]
    judged = [_against(best, one, rule, supported[best.program], len(others)) for one in others]
    left = [one.program for one in judged if one.verdict != "ruled out"]
    return (_best(best, rule, supported[best.program], len(others), left), *judged)


def _best(best: Tested, rule: Rule, supported: bool, others: int, left: list[str]) -> Verdict:
    if not supported:
        why = "not every variable is above its own controls, or these were not run"
    elif best.iia.low < rule.accept:
        why = f"its worst variable's IIA is not surely {rule.accept:g} or more"
    elif not others:
        why = "no other program was tested"
    elif left:
        why = f"not ruled out: {', '.join(left)}"
    else:
        why = "every variable is found above its controls, and every other program is ruled out"
        return Verdict(best.program, best.variable, best.iia, "runs", why, None)
    return Verdict(best.program, best.variable, best.iia, "fits" if supported else "undecided", why, None)


def _against(best: Tested, one: Tested, rule: Rule, supported: bool, others: int) -> Verdict:
    """A program is ruled out if it is worse than a supported best one, surely, by the margin, and where they differ."""
    found = contrast(best, one)
    apart, everywhere = found.difference_apart, found.difference
    verdict = "undecided"
    if not supported:
        why = "the best program is not above its own controls"
    elif apart is None or everywhere is None:
        why = f"{best.name} and {one.name} say the same on every pair"
    elif min(apart.low, everywhere.low) <= rule.margin or apart.p * others >= LEVEL:
        why = f"not surely worse than {best.name} by {rule.margin:g}, on all pairs and where they differ"
    else:
        verdict = "ruled out"
        why = (
            f"{one.name} is worse than {best.name} by {everywhere.value:.2f} on all pairs, and by {apart.value:.2f} on "
            f"the {100 * found.told_apart:.0f} % that tell them apart"
        )
    return Verdict(one.program, one.variable, one.iia, verdict, why, found)
