"""The alignments of a run folder: those that are there, and the missing ones, searched for together."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from transformers import PreTrainedModel

from numsym.alignment import AlignmentResult, Hypothesis, PairCounts, SearchSettings, Site, align_many
from numsym.alignment.align import check_options
from numsym.errors import check_name
from numsym.experiments.trained import device_of
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import Task

ALIGNMENTS_FOLDER = "alignments"

FEW = 3
"""So many IIAs are shown by name while they are searched for; of more, the mean."""


def aligned(
    folder: RunFolder,
    model: PreTrainedModel,
    task: Task,
    searches: Mapping[str, tuple[Hypothesis, Site]],
    config: Mapping[str, Any],
    tracker: Tracker,
    *,
    prefix: str = "",
) -> dict[str, AlignmentResult]:
    """The alignments by name: those in the folder, and the missing ones, which are searched for site by site.

    Args:
        folder: of the run.
        model: trained.
        task: what it does.
        searches: name -> what to search for, and where.
        config: its `pairs`, `search` and `controls` are used.
        tracker: of the run.
        prefix: of the names in the folder, where several models are aligned.
    """
    done = {name for name in searches if folder.done(f"{ALIGNMENTS_FOLDER}/{prefix}{name}")}
    results = {name: AlignmentResult.load(folder / ALIGNMENTS_FOLDER / f"{prefix}{name}", model) for name in done}
    missing: dict[Site, list[str]] = {}
    for name, (_, site) in searches.items():
        if name not in done:
            missing.setdefault(site, []).append(name)
    for site, names in missing.items():
        found = _search(model, task, {prefix + name: searches[name][0] for name in names}, site, config, tracker)
        for name, result in zip(names, found, strict=True):
            path = folder / ALIGNMENTS_FOLDER / f"{prefix}{name}"
            folder.add_metrics([{"stage": prefix + name, **record} for record in result.records])
            result.save(path)
            tracker.artifact(path, name=prefix + name, kind="alignment")
            results[name] = result
    return {name: results[name] for name in searches}


def _search(
    model: PreTrainedModel,
    task: Task,
    wanted: Mapping[str, Hypothesis],
    site: Site,
    config: Mapping[str, Any],
    tracker: Tracker,
) -> list[AlignmentResult]:
    names, shown = list(wanted), dict[str, float]()
    options = options_of(config)
    with display.stage("alignment", options["settings"].max_steps) as stage:

        def show(i: int, record: dict[str, float | int]) -> None:
            shown[names[i]] = record["iia"]
            mean = {f"mean IIA of {len(names)}": sum(shown.values()) / len(shown)}
            stage.to(int(record["step"]), **(shown if len(names) <= FEW else mean))
            tracker.log(names[i], record)

        return align_many(model, task, list(wanted.values()), site=site, on_check=show, **options)


def options_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration's `search`, `pairs` and `controls` are as arguments of `align_many`.

    Raises:
        InvalidArgumentError: one of their values is not allowed, or they have a key that they may not have.
    """
    search = dict(config["search"])
    options = {"engine": search.pop("engine"), "controls": config["controls"]}
    for name, given, kind in (("search", search, SearchSettings), ("pairs", config["pairs"], PairCounts)):
        for key in given:
            check_name(f"key of {name}", key, (entry.name for entry in fields(kind)))
    options |= {"settings": SearchSettings(**search), "pairs": PairCounts(**config["pairs"])}
    check_options(**options)
    return options


def check(config: Mapping[str, Any]) -> None:
    """Refuse, before any work, what is not allowed in the part of a configuration that every experiment has.

    Raises:
        InvalidArgumentError: of `device`, `search`, `pairs` or `controls`.
    """
    device_of(config)
    options_of(config)
