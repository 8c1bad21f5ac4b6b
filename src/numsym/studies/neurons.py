"""Is the variable in single neurons? [N] finds that exchanging them does badly where a learned map does well."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from numsym._pyvene import frozen
from numsym.alignment import Hypotheses, PairCounts, Pairs, SearchSettings, align_many, measured_pairs, named
from numsym.alignment.controls import exchanged_neurons, probe_weights
from numsym.alignment.engines.pyvene import unintervened
from numsym.alignment.pairs import Positions
from numsym.errors import InvalidArgumentError, Options, check_between, options_of
from numsym.figures import COLOURS, drawing, points
from numsym.models import Site
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.shares import Share
from numsym.studies.catalog import study
from numsym.tasks import Task
from numsym.training import rightly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEDY_PAIRS = 300
"""Training pairs by which the greedy choice is made."""

CHOSEN = {"probe": "chosen by a probe", "greedy": "chosen greedily"}


@dataclass(frozen=True, repr=False)
class Exchanged(Result):
    """IIA when neurons are exchanged as they are.

    Attributes:
        floor: with no exchange at all.
        each: of each neuron alone, in their order.
        sets: how the neurons were chosen -> how many -> IIA: "probe" takes those that a least-squares probe for the
            variable weighs most, "greedy" adds the one that lowers the loss on training pairs most.
        chosen: how -> the neurons, in the order chosen.
        n: the number of test pairs.
    """

    floor: Share
    each: tuple[Share, ...]
    sets: dict[str, dict[int, Share]]
    chosen: dict[str, list[int]]
    n: int

    @property
    def best(self) -> int:
        """The neuron whose exchange alone does best on the test pairs."""
        return max(range(len(self.each)), key=lambda i: self.each[i].value)

    def rows(self) -> list[dict[str, Any]]:
        """A row for the best neuron, and one for each set."""
        rows = [{"exchanged": "the best neuron", "neurons": 1, "iia": self.each[self.best]}]
        for how, sets in self.sets.items():
            rows += [{"exchanged": CHOSEN[how], "neurons": n, "iia": share} for n, share in sets.items()]
        return rows


@dataclass(frozen=True, repr=False)
class Neurons(Result):
    """Neurons exchanged, by hypothesis, beside the learned map.

    Attributes:
        neurons: by hypothesis.
        learned: the IIA of its learned map.
        coordinates: how many coordinates that has.
    """

    neurons: dict[str, Exchanged]
    learned: dict[str, Share]
    coordinates: dict[str, int]

    name: ClassVar[str] = "neurons"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "IIA in percent, neurons exchanged as they are"

    def _map(self, name: str) -> str:
        return f"learned map (k = {self.coordinates[name]})"

    def rows(self) -> list[dict[str, Any]]:
        """A row for each set of neurons, and one for the learned map."""
        made: list[dict[str, Any]] = []
        for name, found in self.neurons.items():
            made += [{"hypothesis": name, **row} for row in found.rows()]
            last = {"exchanged": self._map(name), "neurons": None, "iia": self.learned[name]}
            made.append({"hypothesis": name, **last})
        return made

    def figures(self) -> "dict[str, Figure]":
        """One for each hypothesis."""
        return {
            f"{self.name}_{name}": draw(found, self.learned[name], self._map(name))
            for name, found in self.neurons.items()
        }


def draw(found: Exchanged, learned: Share, name: str) -> "Figure":
    """Left: each neuron alone, sorted. Right: sets, by size. The floor dotted, the learned map's IIA dashed."""
    from matplotlib.ticker import MaxNLocator

    with drawing() as plt:
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
        order = sorted(range(len(found.each)), key=lambda i: -found.each[i].value)
        points(left, {rank: found.each[i] for rank, i in enumerate(order, 1)}, 0.0, COLOURS[0])
        left.set(xlabel="neuron, from the best to the worst", ylabel="IIA (all tokens of the trial)")
        left.set_ylim(-0.03, 1.03)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        for i, (how, sets) in enumerate(found.sets.items()):
            even = dict(enumerate(sets.values()))
            points(right, even, 0.15 * i, COLOURS[(i + 1) % len(COLOURS)], label=CHOSEN[how])
        sizes = list(next(iter(found.sets.values())))
        right.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        right.set(xlabel="neurons exchanged together")
        for axes in (left, right):
            axes.axhline(found.floor.value, color="grey", linewidth=0.9, linestyle=":", label="no intervention")
            axes.axhline(learned.value, color=COLOURS[3], linewidth=1.1, linestyle="--", label=name)
        figure.tight_layout(rect=(0, 0.1, 1, 1))
        figure.legend(*right.get_legend_handles_labels(), loc="lower center", ncol=4)
    return figure


@study
def neurons(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    sizes: Sequence[int] = (1, 2, 4, 8),
    greedy: bool = True,
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = ("floor",),
    engine: str = "auto",
    run: NoRun = NO_RUN,
) -> Neurons:
    """Single neurons and sets of them, exchanged as they are, beside a learned map.

    Args:
        model: any model that pyvene knows; it comes back as it was.
        task: what it does.
        hypotheses: what the learned maps are searched for, and the neurons exchanged for.
        sizes: of the sets.
        greedy: whether sets are also chosen greedily: as many passes as neurons, for each neuron chosen.
        site: where; see `numsym.align_many` for this and the next five.
        positions: where in the trials.
        search: its settings.
        pairs: how many.
        controls: which.
        engine: the route of the search.
        run: where what is found is kept and shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    task = rightly(model, task)
    asked, counts = named(hypotheses, task), options_of(PairCounts, pairs)
    places = {name: Site.of(one.site or site) for name, one in asked.items()}
    for place in places.values():
        _check(sizes, place.check(model))
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": counts, "controls": controls}
    results = align_many(model, task, asked, site=site, engine=engine, run=run, **options)

    def measure(name: str) -> Exchanged:
        train, test = (measured_pairs(task, asked[name], counts, positions, part=part) for part in ("train", "test"))
        return exchange(model, train, test, site=places[name], sizes=sizes, greedy=greedy)

    chosen = {"sizes": list(sizes), "greedy": greedy}
    found = {name: run.keep(f"neurons/{name}", partial(measure, name), Exchanged.load, asked=chosen) for name in asked}
    learned = {name: result.test.iia for name, result in zip(asked, results, strict=True)}
    coordinates = {name: result.subspace_dim for name, result in zip(asked, results, strict=True)}
    return run.show(Neurons(found, learned, coordinates))


@torch.no_grad()
def exchange(
    model: nn.Module,
    training: Pairs,
    test: Pairs,
    *,
    site: str | Site = "state",
    sizes: Sequence[int] = (1, 2, 4, 8),
    greedy: bool = True,
) -> Exchanged:
    """Exchange each single neuron, and sets of them.

    Args:
        model: a network; it comes back as it was.
        training: pairs by which sets are chosen.
        test: pairs on which IIA is measured.
        site: where.
        sizes: of the sets.
        greedy: whether sets are also chosen greedily.

    Raises:
        InvalidArgumentError: a size is outside 1..width, or there is none.
    """
    place = Site.of(site)
    width = place.check(model)
    _check(sizes, width)
    with frozen(model):
        _, right = exchanged_neurons(model, place, test, [[neuron] for neuron in range(width)])
        chosen = {"probe": probe_weights(model, place, training).topk(max(sizes)).indices.tolist()}
        if greedy:
            chosen["greedy"] = _greedily(model, place, training.rows(slice(0, GREEDY_PAIRS)), max(sizes))
        sets = {}
        for how, order in chosen.items():
            _, found = exchanged_neurons(model, place, test, [order[:size] for size in sizes])
            sets[how] = {size: Share.of(row) for size, row in zip(sizes, found, strict=True)}
        floor = Share.of(unintervened(model, test))
    return Exchanged(floor, tuple(Share.of(row) for row in right), sets, chosen, len(test))


def _check(sizes: Sequence[int], width: int) -> None:
    if not sizes:
        raise InvalidArgumentError(f"sizes={sizes!r} is not allowed: give at least one")
    for size in sizes:
        check_between("sizes", size, 1, width, why="the width of the site")


def _greedily(model: nn.Module, site: Site, pairs: Pairs, n: int) -> list[int]:
    """By the loss, which tells more than the share of right pairs as long as few are right."""
    chosen: list[int] = []
    while len(chosen) < n:
        rest = [i for i in range(site.check(model)) if i not in chosen]
        losses, _ = exchanged_neurons(model, site, pairs, [[*chosen, i] for i in rest])
        chosen.append(rest[int(losses.argmin())])
    return chosen
