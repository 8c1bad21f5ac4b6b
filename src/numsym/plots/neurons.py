"""Single neurons: IIA of each, and of sets of them, beside the learned map."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numsym.alignment import Share
from numsym.analyses.neurons import Neurons
from numsym.figures import COLOURS, STYLE, points

CHOSEN = {"probe": "chosen by a probe", "greedy": "chosen greedily"}


def single_neurons(found: Neurons, learned: Share | None = None, name: str = "learned map") -> Figure:
    """Left: each neuron alone, sorted. Right: sets, by size. The floor dotted, a learned map's IIA dashed."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
        order = sorted(range(len(found.each)), key=lambda i: -found.each[i].value)
        points(left, {rank: found.each[i] for rank, i in enumerate(order, 1)}, 0.0, COLOURS[0])
        left.set(
            xlabel="neuron, from the best to the worst", ylabel="IIA (all tokens of the trial)", ylim=(-0.03, 1.03)
        )
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        for i, (how, sets) in enumerate(found.sets.items()):
            even = {place: share for place, share in enumerate(sets.values())}
            points(right, even, 0.15 * i, COLOURS[(i + 1) % len(COLOURS)], label=CHOSEN.get(how, how))
        sizes = list(next(iter(found.sets.values())))
        right.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        right.set(xlabel="neurons exchanged together")
        for axes in (left, right):
            axes.axhline(found.floor.value, color="grey", linewidth=0.9, linestyle=":", label="no intervention")
            if learned is not None:
                axes.axhline(learned.value, color=COLOURS[3], linewidth=1.1, linestyle="--", label=name)
        figure.tight_layout(rect=(0, 0.1, 1, 1))
        figure.legend(*right.get_legend_handles_labels(), loc="lower center", ncol=4)
    return figure
