"""The main job: does this network hold what the task asks for, by each alignment function that is named?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym.alignment import AlignmentResult, Hypotheses, PairCounts, SearchSettings, Site, align_many, named, shown
from numsym.alignment.pairs import Positions
from numsym.errors import Options
from numsym.figures import COLOURS, drawing, points
from numsym.results import Result, brief
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks import Task

if TYPE_CHECKING:
    from altair import TopLevelMixin
    from matplotlib.figure import Figure

NOTES = """\
IIA: the share of trials in which every predictable token after the exchange is
the one the program says (teacher-forced), on pairs that were not trained on.
floor: no exchange. ceiling: the whole state exchanged, all variables with it.
What a map reaches by itself: permuted, the same search with sources that tell
nothing; untrained, the same search on fresh weights; neurons, k single ones.
off: tokens too many or too few, on average, when the model runs on by itself.
A dash was not measured."""

HEADINGS = {"iia": "IIA", "heldout_iia": "held-out IIA", "tokens_off": "off"}
REFERENCES, CONTROLS = ("floor", "ceiling"), ("permuted", "untrained", "neurons")


@dataclass(frozen=True, repr=False)
class Alignments(Result):
    """Several alignments of one model, by name."""

    alignments: dict[str, AlignmentResult]

    name: ClassVar[str] = "iia_by_count"
    notes: ClassVar[str] = NOTES

    def __getitem__(self, name: str) -> AlignmentResult:
        return self.alignments[name]

    @property
    def title(self) -> str:
        """The task, and what the numbers are."""
        return next(iter(self.alignments.values())).title

    def rows(self) -> list[dict[str, Any]]:
        """A row an alignment."""
        rows = [{"recipe": name, **result.rows()[0]} for name, result in self.alignments.items()]
        return [{key: row.get(key) for key in {k: None for one in rows for k in one}} for row in rows]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What was found, with its intervals; and what the controls reach."""
        what = ("function", "variable", "k")
        first = (*what[:2], "iia", "heldout_iia", *REFERENCES)
        second = (*what, *CONTROLS, "steps", "converged", "tokens_off")
        short = (*REFERENCES, *CONTROLS)

        def cells(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
            values = {key: brief(row.get(key)) if key in short else row.get(key) for key in keys}
            return {HEADINGS.get(key, key): value for key, value in values.items()}

        rows = self.rows()
        return {self.title: [cells(row, first) for row in rows], "controls": [cells(row, second) for row in rows]}

    @property
    def question(self) -> str:
        """What was asked, in a sentence."""
        return shown.question(self.alignments)

    def findings(self) -> list[tuple[str, str]]:
        """For each alignment, whether its IIA is surely above what the controls reach."""
        return [(one.standing, f"{name}: {one.reason}") for name, one in self.alignments.items()]

    def charts(self) -> "dict[str, TopLevelMixin]":
        """IIA beside its controls, and by the numbers of the trials."""
        return shown.pictures(self.alignments)

    def figure(self) -> "Figure":
        """IIA with 95 % intervals by base count (held-out counts hollow) and by |source - base| of the variable."""
        from matplotlib.ticker import MaxNLocator

        results = list(self.alignments.values())
        with drawing() as plt:
            figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
            width = 0.8 / max(1, len(results))
            for i, (name, result) in enumerate(self.alignments.items()):
                shift, colour = (i - (len(results) - 1) / 2) * width * 0.5, COLOURS[i % len(COLOURS)]
                points(left, result.test.by_base_count, shift, colour, label=name)
                if result.held_out is not None:
                    points(left, result.held_out.by_base_count, shift, colour, hollow=True)
                points(right, result.test.by_difference, shift, colour)
            if any(result.held_out is not None for result in results):
                left.plot([], [], "o", color="grey", markerfacecolor="white", label="held-out count")
            left.set(xlabel="count of the base trial", ylabel="IIA (all tokens of the trial)", ylim=(-0.03, 1.03))
            right.set(xlabel="|source value - base value|")
            for axes in (left, right):
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                if results[0].floor is not None:
                    axes.axhline(results[0].floor, color="grey", linewidth=0.8, linestyle=":", label="no intervention")
            variables = ", ".join(dict.fromkeys(f"{r.program}: {', '.join(r.variables)}" for r in results))
            left.set_title(f"{results[0].task}, {variables}", loc="left", fontsize=9)
            figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncol=4, bbox_to_anchor=(0.5, -0.1))
            figure.tight_layout()
        return figure


@study
def align(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    run: NoRun = NO_RUN,
) -> Alignments:
    """Train the recipe's model, and align with it what the task asks for by the functions that are named.

    Args:
        model: as for `numsym.align_many`, and so are all others.
        task: what it does.
        hypotheses: what to search for.
        site: where.
        positions: where in the trials.
        search: its settings.
        pairs: how many.
        controls: which.
        engine: the route.
        run: where the results are kept and shown.
    """
    asked = named(hypotheses, task)
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": pairs, "controls": controls}
    found = align_many(model, task, asked, site=site, engine=engine, run=run, **options)
    return run.show(Alignments(dict(zip(asked, found, strict=True))))
