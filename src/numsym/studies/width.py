"""IIA against the width of the network, and, in one network, against the number of coordinates exchanged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym.alignment import Hypotheses, PairCounts, SearchSettings, align_many, named
from numsym.alignment.pairs import Positions
from numsym.errors import InvalidArgumentError, Options, check_at_least
from numsym.models import Site
from numsym.results import Result
from numsym.run import NO_RUN, NoRun, rehearse
from numsym.studies.catalog import study
from numsym.studies.curve import Curve, draw
from numsym.tasks import Task
from numsym.training import evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Widths(Result):
    """IIA by width and by coordinates.

    Attributes:
        by_width: of networks of several widths.
        by_k: of one network, with several numbers of coordinates.
    """

    by_width: Curve
    by_k: Curve

    name: ClassVar[str] = "width"

    def rows(self) -> list[dict[str, Any]]:
        """The rows of both."""
        return [*self.by_width.rows(), *self.by_k.rows()]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The tables of both."""
        return {**self.by_width.tables(), **self.by_k.tables()}

    def figure(self) -> "Figure":
        """A panel each."""
        return draw(self.by_width, self.by_k)


@study
def width(
    make: Callable[..., nn.Module],
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    widths: Sequence[int] = (8, 16, 32, 64, 128),
    dimensions: Sequence[int] = (1, 2, 4, 8, 16),
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(max_steps=1000),
    pairs: Options[PairCounts] = PairCounts(train=4000, validation=500, test=1000),
    controls: bool | Sequence[str] = ("floor",),
    engine: str = "auto",
    run: NoRun = NO_RUN,
) -> Widths:
    """IIA against the width of the network, and against the number of coordinates in one.

    Args:
        make: gives a trained model: `make()` the one in which k is varied, `make(hidden_size=w)` one of width w. It is
            asked for all, and what is searched for is checked in each, before the first search.
        task: what they do.
        hypotheses: what to search for in each.
        widths: of the networks.
        dimensions: the numbers of coordinates, in place of the hypotheses' `subspace_dim`.
        site: where; see `numsym.align_many` for this and the next five.
        positions: where in the trials.
        search: its settings.
        pairs: how many.
        controls: which.
        engine: the route.
        run: where the alignments are kept and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    for name, values in (("widths", widths), ("dimensions", dimensions)):
        if not values:
            raise InvalidArgumentError(f"{name}={values!r} is not allowed: give at least one")
        for value in values:
            check_at_least(name, value, 1)
    asked = named(hypotheses, task)
    by_k = {(k, name): replace(one, subspace_dim=k) for k in dimensions for name, one in asked.items()}
    exchanged = {f"k{k:03d}.{name}": one for (k, name), one in by_k.items()}
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": pairs, "controls": controls}
    options |= {"site": site, "engine": engine}
    own = make()
    size = getattr(getattr(own, "config", None), "hidden_size", None)
    models = {w: own if w == size else make(hidden_size=w) for w in widths}
    for model, wanted in (*((model, asked) for model in models.values()), (own, exchanged)):
        rehearse(align_many, model, task, wanted, **options)
    rows = {}
    for w, model in models.items():
        found = align_many(model, task, asked, run=run.within(f"width{w:03d}"), **options)
        rows[w] = evaluate(model, task).accuracy, dict(zip(asked, found, strict=True))
    found, accuracy = align_many(own, task, exchanged, run=run, **options), evaluate(own, task).accuracy
    results = dict(zip(by_k, found, strict=True))
    columns = {k: (accuracy, {name: results[k, name] for name in asked}) for k in dimensions}
    axis = "coordinates exchanged (k)" + ("" if size is None else f", width {size}")
    return run.show(Widths(Curve.of("width", rows), Curve.of(axis, columns)))
