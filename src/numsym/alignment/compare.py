"""Which program does a network run? Several hypotheses on the same pairs, ranked, and ruled out by a stated rule.

Each variable of each program alone, and each program's variables together ("full"), is one hypothesis. All are searched
for over the same trials, with the exchange at the same positions; only the counterfactual differs by program. Two
hypotheses can say the same on many pairs, so each two are also compared on the pairs that tell them apart.

The rule, and what it says of each program, are in `verdicts`.

What a verdict says, it says of this site, this kind of map and this search: a better map or a longer search may find
what was not found here.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import nn

from numsym.alignment.align import align_many
from numsym.alignment.hypotheses import Hypothesis, PairCounts, measured_pairs
from numsym.alignment.pairs import Pairs, Positions
from numsym.alignment.result import AlignmentResult
from numsym.alignment.verdicts import Contrast, Rule, Tested, Verdict, contrast, verdicts_on
from numsym.errors import InvalidArgumentError
from numsym.programs import FULL
from numsym.results import plain
from numsym.storage import new_folder, write_json
from numsym.tasks import Task

FILE, FOLDER = "comparison.json", "alignments"

FEWEST = 30
"""Shared pairs below which nothing is compared."""


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
        tested = tuple(Tested.of(result, own) for result, own in zip(results, drawn, strict=True))
        contrasts = tuple(contrast(a, b) for a, b in combinations(tested, 2))
        return cls(task.name, rule, tested, contrasts, verdicts_on(tested, rule))

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
