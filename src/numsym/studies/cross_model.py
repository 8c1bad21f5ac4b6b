"""One variable exchanged between each two of several networks, both ways: Model Alignment Search (arXiv 2501.06164).

A source is read in one network and its coordinates are written into the other's base, as
`numsym.alignment.two_models` does it. Supported: recurrent networks of any cell, width, depth and seed, at their
`state`; tasks that have the variable in their programs; the alignment functions "orthogonal" and "linear".
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numsym._pyvene import frozen, pv
from numsym.alignment import Hypotheses, Hypothesis, PairCounts, SearchSettings, named
from numsym.alignment.align import Watch, check_options
from numsym.alignment.engines.cross import Side
from numsym.alignment.stored import read_intervention, write_intervention
from numsym.alignment.subject import Found, find
from numsym.alignment.two_models import CONTROLS, TwoModels
from numsym.errors import InvalidArgumentError, Options, check_name, options_of
from numsym.figures import COLOURS, drawing, spread
from numsym.models.weights import check_hash, hash_of
from numsym.results import Result, brief, left_out, plain, read_result
from numsym.run import NO_RUN, NoRun
from numsym.shares import Share
from numsym.studies.catalog import study
from numsym.training import rightly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "across/"
"""Where a run keeps them."""

MARKS = {"floor": "|", "permuted": "x", "untrained": "v"}


@dataclass(frozen=True, repr=False)
class CrossResult(Result):
    """One variable exchanged between two networks.

    Attributes:
        names: of the two networks.
        variable, alignment, subspace_dim, seed: what was searched for, and how.
        steps, converged: optimiser steps, and whether validation IIA, the mean over directions, reached the goal.
        iia: "from->to" -> IIA on pairs that were not trained on.
        held_out: the same on held-out numbers, where both tasks have them.
        controls: name -> direction -> share. "floor": no exchange. "permuted": the same search with sources that tell
            nothing. "untrained": the direction's source network with fresh weights, searched for again together with
            the target's own direction: what the maps make of any network. Only the two directions across have it.
        model_hashes: of the two networks' weights.
        records: the course of the search.
        start, starts, ends: the start that the search kept; validation IIA of each that was compared, the mean over
            directions, before any step; and what the search from each that was tried reached.
        interventions: the two alignment functions; `None` where only the numbers were read.
        sides: the two networks; likewise.
    """

    names: tuple[str, str]
    variable: str
    alignment: str
    subspace_dim: int
    seed: int
    steps: int
    converged: bool
    iia: dict[str, Share]
    held_out: dict[str, Share]
    controls: dict[str, dict[str, Share]]
    model_hashes: tuple[str, str]
    records: list[dict[str, float | int]] = field(repr=False)
    start: str = "random"
    starts: dict[str, float] = field(default_factory=dict, repr=False)
    ends: dict[str, float] = field(default_factory=dict, repr=False)
    interventions: tuple[pv.Intervention, pv.Intervention] | None = left_out(default=None)
    sides: tuple[Side, Side] | None = left_out(default=None)

    name: ClassVar[str] = "across"

    @classmethod
    def of(cls, found: Found[dict[str, Share]], subject: TwoModels, hashes: tuple[str, str]) -> "CrossResult":
        """From what was searched for in two networks of these weights."""
        h, data, first, second = found.hypothesis, found.data, *subject.sides
        shares = [
            {} if pairs is None else subject.shares(found.searched, found.index, pairs)
            for pairs in (data.test, data.held_out)
        ]
        return cls(
            names=(first.name, second.name),
            variable=h.variables[0],
            alignment=str(h.alignment),
            subspace_dim=h.subspace_dim or 1,
            seed=h.seed,
            steps=found.progress.steps,
            converged=found.progress.converged,
            iia=shares[0],
            held_out=shares[1],
            controls=dict(found.controls),
            model_hashes=hashes,
            records=found.progress.records,
            start=found.progress.start,
            starts=found.progress.starts,
            ends=found.progress.ends,
            interventions=(found.intervention[0], found.intervention[1]),
            sides=subject.sides,
        )

    @property
    def across(self) -> Share:
        """The worse of the two directions across: how far the variable is the same in both."""
        first, second = (f"{a}->{b}" for a, b in (self.names, self.names[::-1]))
        return min(self.iia[first], self.iia[second], key=lambda share: share.value)

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"{self.variable}: IIA in percent, with 95 % intervals"

    def rows(self) -> list[dict[str, Any]]:
        """A row a direction."""
        return [
            {
                "pair": " ".join(self.names),
                "variable": self.variable,
                "function": self.alignment,
                "k": self.subspace_dim,
                "direction": direction,
                "iia": share,
                "heldout_iia": self.held_out.get(direction),
                **{name: self.controls.get(name, {}).get(direction) for name in CONTROLS},
            }
            for direction, share in self.iia.items()
        ]

    def write(self, folder: Path) -> None:
        """Each network's alignment in a folder of its name, with `result.json` beside."""
        for name, intervention in zip(self.names, self.interventions or (None, None), strict=True):
            (folder / name).mkdir()
            write_intervention(intervention, folder / name)
        super().write(folder)

    @classmethod
    def load(cls, path: str | os.PathLike, model: tuple[Side, Side] | None = None) -> "CrossResult":
        """Read what `save` wrote; without the two networks, its numbers.

        Raises:
            ModelMismatchError: they do not have the weights that the alignment was fitted to.
        """
        read, loaded = read_result(path, cls.__name__), []
        if model is None:
            return cls.from_dict(read)
        for side, expected in zip(model, read["model_hashes"], strict=True):
            check_hash(side.model, expected)
            loaded.append(read_intervention(Path(path) / side.name).to(next(side.model.parameters()).device))
        return cls.from_dict(read, interventions=tuple(loaded), sides=model)


@dataclass(frozen=True, repr=False)
class CrossModel(Result):
    """A variable exchanged between each two of several networks."""

    across: tuple[CrossResult, ...]

    name: ClassVar[str] = "cross_model"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return self.across[0].title

    def rows(self) -> list[dict[str, Any]]:
        """A row a pair of networks and direction."""
        return [row for one in self.across for row in one.rows()]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Its rows, with controls without intervals."""
        left = ("variable", "k")
        rows = [{key: value for key, value in row.items() if key not in left} for row in self.rows()]
        return {self.title: [row | {name: brief(row[name]) for name in CONTROLS} for row in rows]}

    def figure(self) -> "Figure":
        """A row a direction, beside its controls; directions within one network are hollow."""
        rows = [(i, one, direction) for i, one in enumerate(self.across) for direction in one.iia]
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(6.8, 1.3 + 0.24 * len(rows)))
            for place, (i, one, direction) in enumerate(rows):
                share, colour = one.iia[direction], COLOURS[i % len(COLOURS)]
                fill = "white" if len(set(direction.split("->"))) == 1 else colour
                options: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 5, "markerfacecolor": fill}
                axes.errorbar([share.value], [place], xerr=spread([share]), **options)
                for control, mark in MARKS.items():
                    if direction in one.controls.get(control, {}):
                        value = one.controls[control][direction].value
                        axes.plot(value, place, mark, color="grey", markersize=5, markerfacecolor="none")
            for control, mark in MARKS.items():
                if any(control in one.controls for one in self.across):
                    axes.plot([], [], mark, color="grey", markersize=5, markerfacecolor="none", label=control)
            axes.plot([], [], "o", color="grey", markersize=5, markerfacecolor="white", label="within one")
            said = ", ".join(dict.fromkeys(one.variable for one in self.across))
            axes.set_title(f"{said}, exchanged between networks: a colour for each two", loc="left", fontsize=9)
            names = [direction.replace("->", " \N{RIGHTWARDS ARROW} ") for *_, direction in rows]
            axes.set_yticks(range(len(rows)), names)
            axes.set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.5, -0.5), xlabel="IIA (all tokens of the trial)")
            figure.tight_layout(rect=(0, 0, 0.84, 1))
            figure.legend(*axes.get_legend_handles_labels(), loc="center right")
        return figure


@study(
    interventions=["laf"],
    networks={
        "gru-0": {"seed": 0},
        "gru-1": {"seed": 1},
        "lstm": {"seed": 0, "model": {"cell": "lstm"}},
        "single": {"seed": 0, "tasks": "single_object"},
    },
)
def cross_model(
    sides: Sequence[Side],
    hypotheses: Hypotheses | None = None,
    *,
    search: Options[SearchSettings] = SearchSettings(
        max_steps=1000, learning_rate=0.02, check_every=100, schedule="constant"
    ),
    pairs: Options[PairCounts] = PairCounts(train=4000, validation=500, test=1000),
    controls: bool | Sequence[str] = True,
    run: NoRun = NO_RUN,
) -> CrossModel:
    """Exchange a variable between each two networks, both ways, through an alignment function of each.

    Args:
        sides: the networks, two or more, each of a name of its own.
        hypotheses: what to search for, one variable or "full" each; by default the first network's task's own.
        search: its settings; four directions at once need larger steps than one. It begins at what the states
            of both networks give and at random, side by side (`tries`): neither is always better.
        pairs: how many, for each direction.
        controls: True for all of `numsym.alignment.two_models.CONTROLS`, False for none, or their names.
        run: where each two networks' result is kept and all are shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    settings, counts = options_of(SearchSettings, search), options_of(PairCounts, pairs)
    wanted = CONTROLS if controls is True else tuple(controls or ())
    for name in wanted:
        check_name("control", name, CONTROLS)
    check_options(settings, counts, False, "auto")
    names = [side.name for side in sides]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InvalidArgumentError(f"sides={names!r} is not allowed: give two networks or more, each its own name")
    sides = [replace(side, task=rightly(side.model, side.task)) for side in sides]
    asked = named(hypotheses, sides[0].task)
    subjects = [TwoModels(both, counts) for both in combinations(sides, 2)]
    checked = [{name: subject.checked(one) for name, one in asked.items()} for subject in subjects]
    return run.show(
        CrossModel(
            tuple(one for both in zip(subjects, checked, strict=True) for one in _between(*both, settings, wanted, run))
        )
    )


def _between(
    subject: TwoModels, hypotheses: dict[str, Hypothesis], settings: SearchSettings, wanted: Sequence[str], run: NoRun
) -> list[CrossResult]:
    """The results for two networks: those that the run has, and the others, searched for together."""
    first, second = subject.sides
    hashes = (hash_of(first.model), hash_of(second.model))
    sides = [
        {"name": side.name, "task": side.task.asked(), "program": side.program, "site": str(side.place), "weights": one}
        for side, one in zip(subject.sides, hashes, strict=True)
    ]
    shared = {"search": plain(settings), "pairs": plain(subject.counts), "controls": plain(wanted), "sides": sides}
    part = f"{FOLDER}{first.name}.{second.name}"
    parts = {part if len(hypotheses) == 1 else f"{part}.{name}": name for name in hypotheses}

    def make(missing: Sequence[str]) -> dict[str, CrossResult]:
        labels = [parts[name] for name in missing]
        with run.stage(f"{first.name} {second.name}", settings.max_steps) as stage:
            found = find(subject, [hypotheses[name] for name in labels], settings, wanted, Watch(stage, labels))
            made = [CrossResult.of(one, subject, hashes) for one in found]
        for one in made:
            run.say(f"across       {first.name} and {second.name}: the worse way {one.across.value:.3f}")
        return dict(zip(missing, made, strict=True))

    asked = {part: {"hypothesis": hypotheses[name].asked(), **shared} for part, name in parts.items()}
    with frozen(*subject.models):
        kept = run.keep_all(list(parts), make, lambda path: CrossResult.load(path, subject.sides), asked=asked)
    return list(kept.values())
