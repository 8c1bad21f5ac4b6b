"""What `compare` found: hypotheses on the same pairs, how each two differ, and what the rule says of each program."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym.alignment import AlignmentResult, Hypothesis, PairCounts
from numsym.alignment.align import FOLDER
from numsym.alignment.pairs import Positions
from numsym.alignment.restrictions import Tried
from numsym.errors import InvalidArgumentError, Options, options_of
from numsym.figures import charts
from numsym.results import Result, brief, read_result
from numsym.studies.compare.figure import comparison
from numsym.studies.compare.shared import comparable_pairs
from numsym.studies.compare.verdicts import MINDED, Contrast, Rule, Tested, Verdict, contrast, verdicts_on
from numsym.tasks import Task

if TYPE_CHECKING:
    from altair import TopLevelMixin
    from matplotlib.figure import Figure

NOTES = """\
All on the same trials and positions; only the counterfactual differs.
above: surely above its floor, permuted and untrained controls.
A program is scored by its worst variable; "full" does not count, since programs
often agree on what follows when everything is exchanged.
far: half of the exchanged states lie at least so far from the nearest natural
state; 1 is how far natural states are from their mean.
apart: pairs on which the best program's worst variable and this one differ;
difference: of their IIAs on all pairs, and on those."""


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """What `compare` found.

    Attributes:
        task: its name.
        rule: by which verdicts were given.
        hypotheses: in the order tested.
        contrasts: of each two hypotheses.
        verdicts: programs from the best to the worst.
        tried: what else was searched for of a hypothesis that fell short, by its name.
    """

    task: str
    rule: Rule
    hypotheses: tuple[Tested, ...]
    contrasts: tuple[Contrast, ...]
    verdicts: tuple[Verdict, ...]
    tried: dict[str, tuple[Tried, ...]] = field(default_factory=dict)

    name: ClassVar[str] = "comparison"
    notes: ClassVar[str] = NOTES

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
        pairs: Options[PairCounts] = None,
        positions: Positions | None = None,
        rule: Options[Rule] = None,
        engine: str = "auto",
    ) -> "Comparison":
        """From results of one seed and one alignment function, one variable (or "full") each.

        Args:
            task: what the model does.
            results: of `align_many`, or loaded.
            pairs: as they were searched with.
            positions: likewise.
            rule: see `Rule`.
            engine: the route by which they are measured again.

        Raises:
            InvalidArgumentError: the results were not searched for alike.
        """
        rule, counts = options_of(Rule, rule), options_of(PairCounts, pairs)
        kinds = {(r.seed, r.alignment, str(r.site), r.model_hash, len(r.variables)) for r in results}
        if len(kinds) != 1 or len(results[0].variables) != 1:
            raise InvalidArgumentError(
                "results is not allowed: they must share model, site, alignment and seed, and have one variable each"
            )
        asked = [Hypothesis(r.program, r.variables, r.alignment, r.subspace_dim, r.seed) for r in results]
        drawn = comparable_pairs(task, asked, counts, positions)
        tested = tuple(Tested.of(result, own, engine) for result, own in zip(results, drawn, strict=True))
        contrasts = tuple(contrast(a, b) for a, b in combinations(tested, 2))
        return cls(task.name, rule, tested, contrasts, verdicts_on(tested, rule))

    def short(self) -> list[AlignmentResult]:
        """The alignments of the programs that fall surely short of what is accepted: each one's worst variable."""
        names = [f"{one.program}.{one.worst}" for one in self.verdicts if one.iia.high < self.rule.accept]
        return [one.result for one in self.hypotheses if one.name in names]

    def beside(self, tried: Mapping[str, Sequence[Tried]]) -> "Comparison":
        """The same with its verdicts given once more, beside what else was searched for of some hypotheses, by name."""
        return replace(
            self,
            verdicts=verdicts_on(self.hypotheses, self.rule, tried),
            tried={name: tuple(found) for name, found in tried.items()},
        )

    @property
    def title(self) -> str:
        """The task, and what the numbers are."""
        return f"{self.task}: IIA in percent, with 95 % intervals"

    def rows(self) -> list[dict[str, Any]]:
        """A row a hypothesis: its IIA, its controls, and whether it is above them."""
        controls = dict.fromkeys(name for one in self.hypotheses for name in one.controls)
        return [
            {
                "hypothesis": one.name,
                "program": one.program,
                "variable": one.variable,
                "iia": one.iia,
                "heldout_iia": one.held_out,
                **{name: one.controls.get(name) for name in controls},
                "above": one.above_controls,
                "nearest": None if one.divergence is None else one.divergence.nearest,
                "natural_nearest": None if one.divergence is None else one.divergence.natural_nearest,
            }
            for one in self.hypotheses
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The hypotheses; and the programs, from the best to the worst."""
        hypotheses = [
            {
                "hypothesis": one.name,
                "IIA": one.iia,
                "held-out": brief(one.held_out),
                **{name: brief(one.controls.get(name)) for name in (*MINDED, "ceiling")},
                "above": one.above_controls,
                "far": None if one.divergence is None else one.divergence.nearest,
            }
            for one in self.hypotheses
        ]
        made = {self.title: hypotheses, "programs": [self._program(one) for one in self.verdicts]}
        tried = [{"hypothesis": name, **one.row()} for name, all_of_it in self.tried.items() for one in all_of_it]
        return made | ({"tried": tried} if tried else {})

    @staticmethod
    def _program(one: Verdict) -> dict[str, Any]:
        seen = one.contrast
        return {
            "program": one.program,
            "worst": one.worst,
            "IIA": brief(one.iia),
            "apart": None if seen is None else f"{100 * seen.told_apart:.0f} %",
            "difference": None if seen is None else seen.difference,
            "where apart": None if seen is None else seen.difference_apart,
            "verdict": one.verdict,
            "why": one.why,
        }

    @property
    def question(self) -> str:
        """What was asked, in a sentence."""
        programs = ", ".join(dict.fromkeys(one.program for one in self.hypotheses))
        return (
            f"Which of the programs {programs} does this network run on the task {self.task}, and which are ruled out?"
        )

    def findings(self) -> list[tuple[str, str]]:
        """What the rule says of each program, the best first."""
        return [(one.verdict, f"{one.program}: {one.why}") for one in self.verdicts]

    def charts(self) -> "dict[str, TopLevelMixin]":
        """Each hypothesis beside its controls, and the IIA of each two where they say something else."""
        apart = [
            {"hypothesis": row, "against": column, **charts.percent(iia), "pairs told apart in percent": share}
            for each in self.contrasts
            for row, column, iia, share in (
                (each.first, each.second, each.first_iia, round(100 * each.told_apart, 1)),
                (each.second, each.first, each.second_iia, round(100 * each.told_apart, 1)),
            )
            if iia is not None
        ]
        made: dict[str, TopLevelMixin] = {
            "Each hypothesis beside its controls": charts.beside_controls(self.rows(), "hypothesis")
        }
        if apart:
            caption = "IIA of the row's hypothesis on the pairs that tell it from the column's"
            made[caption] = charts.heatmap(apart, x="against", y="hypothesis")
        return made

    def figure(self) -> "Figure":
        """The IIA of each beside its controls, and where they differ."""
        return comparison(self)

    def to_dict(self) -> dict[str, Any]:
        """With the answer, and with the alignments by their names."""
        return {
            **super().to_dict(),
            "answer": self.answer,
            "alignments": {h.name: h.result.to_dict() for h in self.hypotheses},
        }

    def write(self, folder: Path) -> None:
        """Write `result.json`, and each alignment as `AlignmentResult.save` writes it."""
        super().write(folder)
        for one in self.hypotheses:
            (folder / FOLDER / one.name).mkdir(parents=True)
            one.result.write(folder / FOLDER / one.name)

    @classmethod
    def load(cls, path: str | os.PathLike, model: nn.Module | None = None) -> "Comparison":
        """Read what `save` wrote; without the model, its numbers.

        Raises:
            ModelMismatchError: `model` does not have the weights that the alignments were fitted to.
        """
        found = cls.from_dict(read_result(path, cls.__name__))
        tested = [
            replace(one, result=AlignmentResult.load(Path(path) / FOLDER / one.name, model)) for one in found.hypotheses
        ]
        return replace(found, hypotheses=tuple(tested))

    def __repr__(self) -> str:
        answer = f"it runs {self.answer}" if self.answer else "undecided"
        return "\n".join([f"{self.task}: {answer}", *(f"{v.program} {v.verdict}: {v.why}" for v in self.verdicts)])
