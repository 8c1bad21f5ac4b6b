"""How figures look and are written."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# The colour-blind safe palette of Okabe and Ito (2008), without black and yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

STYLE: Any = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def write(figure: Figure, path: Path) -> Path:
    """Save as PNG in one step, and close the figure."""
    temporary = path.with_name(f".{path.name}.part")
    figure.savefig(temporary, format="png", bbox_inches="tight")
    plt.close(figure)
    temporary.replace(path)
    return path
