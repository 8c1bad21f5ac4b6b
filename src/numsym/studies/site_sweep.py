"""Where in a network is a variable? The same hypotheses at many sites, as a map by layer and by position in trials.

Positions are those at which an exchange happens to be; or each of some tokens of a prompt in turn, with an alignment of
its own at each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from numsym.alignment import AlignmentResult, Hypotheses, PairCounts, SearchSettings, align_many, named
from numsym.alignment.drawing import tokens_at
from numsym.alignment.pairs import Positions
from numsym.errors import InvalidArgumentError, Options, check_at_least
from numsym.figures import charts, drawing
from numsym.models import Site, sites_named, state_sites
from numsym.models.weights import unchanging
from numsym.results import Result, brief
from numsym.run import NO_RUN, NoRun, rehearse
from numsym.shares import Share
from numsym.studies.catalog import study
from numsym.tasks import Task
from numsym.training import rightly

if TYPE_CHECKING:
    from altair import TopLevelMixin
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

FEW = 5
"""Cells of the figure with fewer pairs than this are left empty."""


@dataclass(frozen=True, repr=False)
class SiteSweep(Result):
    """The alignments of some hypotheses at several sites, or at each of several tokens there.

    Attributes:
        results: hypothesis -> its alignments, at the same sites in the same order; of a site, token after token.
        position_bin: how many token positions make one column of the map.
        written: by token, what is written there: its text, or the task's name for it where trials differ in it; empty
            where no tokens are named.
    """

    results: dict[str, tuple[AlignmentResult, ...]]
    position_bin: int = 4
    written: tuple[str, ...] = ()

    name: ClassVar[str] = "site_sweep"

    def __post_init__(self) -> None:
        check_at_least("position_bin", self.position_bin, 1)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites, in their order."""
        return tuple(dict.fromkeys(result.site for result in next(iter(self.results.values()))))

    @property
    def tokens(self) -> tuple[int | str, ...]:
        """The tokens, in their order; none where no tokens are named."""
        found = next(iter(self.results.values()))
        return tuple(dict.fromkeys(token for result in found for token in result.tokens))

    def at(self, hypothesis: str, token: int | str | None = None) -> dict[Site, AlignmentResult]:
        """The results of one hypothesis by site; at one of the tokens, by default the last of them."""
        wanted = () if not self.tokens else (self.tokens[-1] if token is None else token,)
        return {result.site: result for result in self.results[hypothesis] if result.tokens == wanted}

    def map(self, hypothesis: str) -> dict[Site, dict[int | str, Share]]:
        """IIA by site, and by token; or by the position of the exchange in the base, as the first one of its bin."""
        if not self.tokens:
            return {site: self._binned(result.test.by_position) for site, result in self.at(hypothesis).items()}
        cells = {(result.site, result.tokens[0]): result.test.iia for result in self.results[hypothesis]}
        return {site: {token: cells[site, token] for token in self.tokens} for site in self.sites}

    def _binned(self, shares: dict[int, Share]) -> dict[int | str, Share]:
        bins: dict[int, list[Share]] = {}
        for position in sorted(shares):
            bins.setdefault(position - position % self.position_bin, []).append(shares[position])
        return {start: Share.joined(inside) for start, inside in bins.items()}

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"IIA by site{' and token' if self.tokens else ''}, in percent"

    def rows(self) -> list[dict[str, Any]]:
        """A row for each site and hypothesis."""
        return [
            {
                "hypothesis": name,
                **one.rows()[0],
                "changed": one.test.changed,
                "engine": one.engine,
            }
            for alignments in zip(*self.results.values(), strict=True)
            for name, one in zip(self.results, alignments, strict=True)
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """A row for each site, a column for each hypothesis; or for each token, and a table for each hypothesis."""
        if self.tokens:
            return {
                f"{name}: {self.title}": [
                    {"site": str(site), **dict(zip(self._headings.values(), map(brief, found.values()), strict=True))}
                    for site, found in self.map(name).items()
                ]
                for name in self.results
            }
        return {
            self.title: [
                {"site": str(site), **{name: brief(self.at(name)[site].test.iia) for name in self.results}}
                for site in self.sites
            ]
        }

    @property
    def question(self) -> str:
        """What was asked, in a sentence."""
        task = next(iter(self.results.values()))[0].task
        return f"At which places of this network, which does the task {task}, is there {', '.join(self.results)}?"

    def charts(self) -> "dict[str, TopLevelMixin]":
        """A map by site and position for each hypothesis; with tokens, what is written there stands under it."""
        made: dict[str, TopLevelMixin] = {}
        x = "token of the exchange" if self.tokens else "position in the base"
        for name in self.results:
            cells = [
                {"site": str(site), x: self._headings.get(start, start), **charts.percent(share)}
                for site, found in reversed(self.map(name).items())
                for start, share in found.items()
                if share.n
            ]
            caption = f"{name}: IIA by site and by {'token' if self.tokens else 'the position of the exchange'}"
            made[caption] = charts.heatmap(cells, x=x, y="site")
        return made

    @property
    def _headings(self) -> dict[int | str, str]:
        """Each token with what is written there; tokens that are named by it once."""
        both = zip(self.tokens, self.written, strict=True)
        return {token: text if text == token else f"{token} {text!r}" for token, text in both}

    def figure(self) -> "Figure":
        """A panel for each hypothesis: sites upwards, positions to the right, and all together at the right edge.

        Cells with fewer than `FEW` pairs are empty; the number at the edge is the IIA of the site in percent. With
        tokens there is no such edge: each cell is a search of its own, and what is written there stands below.
        """
        names, rows = list(self.results), len(self.sites)
        with drawing(**{"axes.grid": False}) as plt:
            size = (1.2 + max(3.2, 0.42 * len(self.tokens)) * len(names), 1.3 + 0.34 * rows)
            figure, panels = plt.subplots(1, len(names), figsize=size, squeeze=False, layout="constrained")
            for axes, name in zip(panels[0], names, strict=True):
                image = self._panel(axes, name)
                axes.set_title(name, fontsize=9)
                labels = [str(site) for site in self.sites] if axes is panels[0, 0] else [""] * rows
                axes.set_yticks(range(rows), labels)
            figure.colorbar(image, ax=list(panels[0]), label="IIA (all tokens of the trial)", shrink=0.9)
            where = "position of the exchange in the base (tokens from its start)"
            figure.supxlabel("token at which the network is exchanged" if self.tokens else where, fontsize=9)
        return figure

    def _panel(self, axes: "Axes", name: str) -> "AxesImage":
        shares = self.map(name)
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
        if self.tokens:
            return self._cells(axes, [[share.value for share in found.values()] for found in shares.values()], look)
        bins = sorted({start for found in shares.values() for start in found})
        values = []
        for row, (site, found) in enumerate(shares.items()):
            cells = [found.get(start) for start in bins]
            whole = self.at(name)[site].iia
            values.append([*(math.nan if one is None or one.n < FEW else one.value for one in cells), whole])
            axes.text(len(bins), row, f"{100 * whole:.0f}", color="white" if whole < 0.6 else "black", **look)
        image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
        axes.axvline(len(bins) - 0.5, color="white", linewidth=2)
        ticks = range(0, len(bins), max(1, len(bins) // 6))
        axes.set_xticks([*ticks, len(bins)], [*(str(bins[i]) for i in ticks), "all"])
        return image

    def _cells(self, axes: "Axes", values: list[list[float]], look: dict[str, Any]) -> "AxesImage":
        """A cell for each site and token, with its IIA in percent."""
        image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
        for row, cells in enumerate(values):
            for column, value in enumerate(cells):
                axes.text(column, row, f"{100 * value:.0f}", color="white" if value < 0.6 else "black", **look)
        both = zip(self.tokens, self.written, strict=True)
        labels = [text if text == token else f"{text}\n{token}" for token, text in both]
        axes.set_xticks(range(len(labels)), labels, fontsize=7, family="monospace")
        return image


@study(tasks="multi_object_transformer", variable=["count", "phase", "full"], interventions=["laf"])
def site_sweep(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    sites: Sequence[str | Site] | None = None,
    tokens: Sequence[int | str] | str | None = None,
    position_bin: int = 4,
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(max_steps=1000, check_every=100, patience=5),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = ("floor", "ceiling"),
    engine: str = "auto",
    run: NoRun = NO_RUN,
) -> SiteSweep:
    """Where does the network hold its variables? IIA at every site, as a map by layer and by position in the trial.

    Args:
        model: any model that pyvene knows; it comes back as it was.
        task: what it does.
        hypotheses: what to search for at each site, in place of their own sites.
        sites: "component:layer", or "component" for all of its layers; by default those of `state_sites`: the residual
            stream, or a recurrent model's states.
        tokens: search at each of these tokens in turn: by index or by the task's names; "all" is those from the first
            that differs between trials to the last at which the task allows an exchange.
        position_bin: how many token positions make one column of the map, where there are no `tokens`.
        positions: where in the trials, where there are no `tokens`; see `numsym.align_many` for this and the next four.
        search: its settings.
        pairs: how many.
        controls: which.
        engine: the route.
        run: where the alignments are kept, site by site, and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.

    Example:
        >>> sweep = numsym.site_sweep(model, task, {"phase": Hypothesis(variable="phase")})  # doctest: +SKIP
        >>> sweep.map("phase")[Site("block_output", 0)]  # doctest: +SKIP
    """
    check_at_least("position_bin", position_bin, 1)
    task = rightly(model, task)
    asked = {name: replace(one, site=None) for name, one in named(hypotheses, task).items()}
    places = state_sites(model) if sites is None else sites_named(model, sites)
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": pairs, "controls": controls}
    options["engine"] = engine
    if tokens is not None and positions is not None:
        raise InvalidArgumentError(f"positions={positions!r} is not allowed together with tokens={tokens!r}")
    each, written = (None, ()) if tokens is None else written_at(task, tokens)
    found: dict[str, list[AlignmentResult]] = {name: [] for name in asked}
    with unchanging(model):
        for place in places:  # what is wrong at the last site should be said before the first search
            rehearse(
                align_many, model, task, asked, site=place, **options | ({} if each is None else {"positions": each})
            )
        for place in places:
            for token in [None] if each is None else each:
                label = str(place).replace(":", "-") + ("" if token is None else f"-{token}")
                here = {f"{name}-{label}": one for name, one in asked.items()}
                where = {} if token is None else {"positions": [token]}
                results = align_many(model, task, here, site=place, run=run, **options | where)
                for name, result in zip(asked, results, strict=True):
                    found[name].append(result)
    return run.show(SiteSweep({name: tuple(results) for name, results in found.items()}, position_bin, written))


def written_at(task: Task, tokens: Sequence[int | str] | str, n: int = 256) -> tuple[list[int | str], tuple[str, ...]]:
    """Some tokens of a task's trials, and what is written there.

    Args:
        task: whose trials are alike but for what they are about.
        tokens: by index or by the task's names, or "all": from the first that differs between trials to the last at
            which the task allows an exchange.
        n: trials that are looked at.

    Raises:
        UnknownNameError: the task has no such name.
        InvalidArgumentError: a token is outside of the shortest trial.
    """
    ids = task.sample(n, generator=torch.Generator().manual_seed(0)).input_ids
    if tokens == "all":
        differing = (ids != ids[0]).any(0).nonzero()[0].item()
        last = task.intervenable(ids).long().cumsum(1).argmax(1).min().item()
        tokens = list(range(int(differing), int(last) + 1))
    shown = []
    for column, token in zip(tokens_at(task, ids, tokens).T, tokens, strict=True):
        here = ids.gather(1, column[:, None])
        names = [name for name, places in task.landmarks(ids).items() if torch.equal(places, column)]
        text = task.text(here[0])
        shown.append((text.strip() or repr(text)) if bool((here == here[0]).all()) else str([*names, token][0]))
    return list(tokens), tuple(shown)
