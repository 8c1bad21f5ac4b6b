"""`numsym report runs/a runs/b multirun/c`: the page of a run anew, or one that compares several."""

import os
from collections.abc import Sequence

from numsym.lab import display
from numsym.lab.command import refusals
from numsym.lab.report.several import write


def run(folders: Sequence[str], out: str | None) -> None:
    """Write the page and say where it is; what is not allowed is one sentence, and ends with code 2."""
    with refusals():
        path = write(folders, out)
        display.console.print(f"report   {os.path.relpath(path)}", soft_wrap=True, highlight=False)
