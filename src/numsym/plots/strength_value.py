"""What each token adds to the end's logit, against the attention it gets."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from numsym.circuits.strength_value import KINDS, StrengthValue
from numsym.figures import COLOURS, STYLE

POINTS = 400
"""Points shown of each kind in each panel."""


def strength_value(found: StrengthValue, *, title: str = "", ylabel: str = "adds to the end's logit") -> Figure:
    """Draw one panel a head: contribution against attention weight by kind of token, with the slopes as lines."""
    layers, heads, _ = found.weight.shape
    slopes, generator = found.strength(), torch.Generator().manual_seed(0)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            layers, heads, figsize=(2.4 * heads + 0.6, 2.2 * layers + 0.8), squeeze=False, layout="constrained"
        )
        for index, name in enumerate(KINDS):
            rows = (found.kind == index).nonzero()[:, 0].cpu()
            shown = rows[torch.randperm(len(rows), generator=generator)[:POINTS]]
            for layer in range(layers):
                for head in range(heads if len(rows) else 0):
                    axes = panels[layer][head]
                    a, c = (t[layer, head, shown].cpu() for t in (found.weight, found.contribution))
                    axes.scatter(a, c, s=5, color=COLOURS[index], alpha=0.4, linewidth=0, rasterized=True)
                    end = float(a.max())
                    line = [0.0, end * float(slopes[name][layer, head])]
                    axes.plot([0.0, end], line, color=COLOURS[index], linewidth=1.2)
        for layer in range(layers):
            for head in range(heads):
                panels[layer][head].set_title(f"layer {layer}, head {head}", fontsize=8)
                panels[layer][head].axhline(0.0, color="grey", linewidth=0.6)
            panels[layer][0].set_ylabel(ylabel)
        for axes in panels[-1]:
            axes.set_xlabel("attention weight")
        handles = [
            plt.Line2D([], [], marker="o", linewidth=1.2, color=COLOURS[KINDS.index(n)], label=n) for n in slopes
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        figure.suptitle(title, fontsize=10)
    return figure
