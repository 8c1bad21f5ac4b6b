"""What every analysis does with what it found: figures and results into the run folder, and where that is."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numsym.alignment import Hypothesis
from numsym.errors import check_name
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def hypotheses(config: Mapping[str, Any]) -> dict[str, Hypothesis]:
    """The `hypotheses` of an experiment's configuration: name -> fields of `Hypothesis`; the seed is the run's.

    Raises:
        UnknownNameError: a hypothesis has a field that there is not.
    """
    known = [item.name for item in fields(Hypothesis) if item.name != "seed"]
    found = {}
    for name, wanted in config["experiment"]["hypotheses"].items():
        for key in wanted:
            check_name("field of a hypothesis", key, known)
        found[name] = Hypothesis(**wanted, seed=config["seed"])
    return found


def finish(
    folder: RunFolder, tracker: Tracker, figures: Mapping[str, "Figure"], results: Mapping[str, Any]
) -> dict[str, Path]:
    """Write the figures as PNG and then the results, and say where they are; returns the figures' paths."""
    from numsym.plots.style import write

    paths = {name: write(figure, folder / f"{name}.png") for name, figure in figures.items()}
    for name, path in paths.items():
        tracker.image(name, path)
    folder.finish(results)
    display.console.print(f"\nrun folder   {os.path.relpath(folder.path)}", soft_wrap=True, highlight=False)
    return paths
