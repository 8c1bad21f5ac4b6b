"""Where in a model is a variable? The same hypotheses at many sites, as a map by layer and by position in the trial."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from numsym.alignment.align import align_many
from numsym.alignment.hypotheses import Hypothesis
from numsym.alignment.result import AlignmentResult
from numsym.errors import check_at_least
from numsym.models.site import Site, sites_named, state_sites
from numsym.results import plain
from numsym.shares import Share
from numsym.storage import write_json
from numsym.tasks import Task


@dataclass(frozen=True)
class SiteSweep:
    """The alignments of some hypotheses at several sites.

    Attributes:
        results: site by site, the hypotheses in the same order at each.
        position_bin: how many token positions make one column of the map.
    """

    results: tuple[AlignmentResult, ...]
    position_bin: int = 4

    def __post_init__(self) -> None:
        check_at_least("position_bin", self.position_bin, 1)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites, in their order."""
        return tuple(dict.fromkeys(result.site for result in self.results))

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """What was searched for, as `label` names it."""
        return tuple(dict.fromkeys(label(result) for result in self.results))

    def at(self, hypothesis: str) -> dict[Site, AlignmentResult]:
        """The results of one hypothesis by site."""
        return {result.site: result for result in self.results if label(result) == hypothesis}

    def map(self, hypothesis: str) -> dict[Site, dict[int, Share]]:
        """IIA by site and by the position of the exchange in the base: first position of each bin -> share."""
        return {site: self._binned(result.test.by_position) for site, result in self.at(hypothesis).items()}

    def _binned(self, shares: dict[int, Share]) -> dict[int, Share]:
        bins = sorted({position // self.position_bin for position in shares})
        return {
            b * self.position_bin: Share.joined(
                s for position, s in shares.items() if position // self.position_bin == b
            )
            for b in bins
        }

    def rows(self) -> list[dict[str, Any]]:
        """One line for each alignment: its site, what it is, and its shares, as plain values."""
        return [
            {
                "site": str(result.site),
                "hypothesis": label(result),
                "iia": result.iia,
                "low": result.test.iia.low,
                "high": result.test.iia.high,
                "heldout_iia": result.heldout_iia,
                "changed": None if result.test.changed is None else result.test.changed.value,
                **{name: share.value for name, share in result.controls.items()},
                "engine": result.engine,
                "steps": result.steps,
            }
            for result in self.results
        ]

    def to_dict(self) -> dict[str, Any]:
        """The rows and the maps, as plain values for JSON."""
        maps = {name: {str(site): plain(bins) for site, bins in self.map(name).items()} for name in self.hypotheses}
        return {"position_bin": self.position_bin, "rows": self.rows(), "maps": maps}

    def save(self, path: str | os.PathLike) -> None:
        """Write `to_dict` as JSON; the alignments themselves have a `save` of their own."""
        write_json(path, self.to_dict())


def label(result: AlignmentResult) -> str:
    """What an alignment was searched for, without where."""
    return f"{result.program}: {', '.join(result.variables)} ({result.alignment})"


def sweep_sites(
    model: nn.Module,
    task: Task,
    hypotheses: Sequence[Hypothesis] = (Hypothesis(),),
    *,
    sites: Sequence[str | Site] | None = None,
    position_bin: int = 4,
    **options: Any,
) -> SiteSweep:
    """Search for the same alignments at every site: `align_many` at each, on the same pairs.

    Args:
        model: as for `align_many`.
        task: what the model does.
        hypotheses: what to search for.
        sites: "component:layer", or "component" for all of its layers; those of
            `state_sites` (the residual stream, or a recurrent model's states) if not given.
        position_bin: how many token positions make one column of the map.
        options: the other arguments of `align_many`.

    Example:
        >>> sweep = sweep_sites(model, task, [Hypothesis(variable="phase")], controls=("floor",))  # doctest: +SKIP
        >>> sweep.map("up_down: phase (linear)")[Site("block_output", 0)]  # doctest: +SKIP
    """
    check_at_least("position_bin", position_bin, 1)
    places = state_sites(model) if sites is None else sites_named(model, sites)
    for site in places:  # what is wrong at the last site should be said before the first search
        for hypothesis in hypotheses:
            hypothesis.checked(task, site.check(model))
    found = [result for site in places for result in align_many(model, task, hypotheses, site=site, **options)]
    return SiteSweep(tuple(found), position_bin)
