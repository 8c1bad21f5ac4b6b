"""The hidden states of one model, layer by layer: what is read after each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numsym.figures import COLOURS, drawing
from numsym.studies.fourier.system import SHUFFLED, System
from numsym.studies.fourier.verdicts import BELIEVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def by_layer(systems: Mapping[str, System]) -> list[dict[str, Any]]:
    """A row a layer: kappa in whole numbers, and which periods can be believed."""
    return [
        {
            "after layer": system.layer,
            **{f"T={T}": str(round(value)) for T, value in system.probes[system.system].kappa.items()},
            "believe": ", ".join(str(T) for T, (word, _) in system.verdicts().items() if word == BELIEVE) or "none",
        }
        for system in systems.values()
    ]


def draw(systems: Mapping[str, System], title: str) -> "Figure":
    """Kappa by layer, a line a period, over the highest that shuffled numbers reach."""
    some = list(systems.values())
    kappas = {T: [one.probes[one.system].kappa[T] for one in some] for T in some[0].probes[some[0].system].kappa}
    layers = [one.layer for one in some]
    top = [max(row[SHUFFLED].high for row in one.rows()) for one in some]
    with drawing() as plt:
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        axes.fill_between(layers, min(0.0, *map(min, kappas.values())), top, color="0.9", label="shuffled numbers")
        shown = [T for T in (2, 5, 10, 3) if T in kappas]
        for T, values in kappas.items():
            colour = COLOURS[shown.index(T)] if T in shown else "0.6"
            label = f"T = {T}" if T in shown else "other T"
            axes.plot(layers, values, "o-", markersize=3, linewidth=1.2, color=colour, label=label)
        axes.set(xlabel="after layer", ylabel="kappa x 100", title=title)
        named = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))  # each once
        figure.legend(named.values(), named.keys(), loc="outside right center", fontsize=8)
    return figure
