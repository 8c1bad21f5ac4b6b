"""Mean paths of the state over a trial, in principal components."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numsym.analyses.trajectories import Trajectories
from numsym.figures import STYLE


def paths(found: Trajectories) -> Figure:
    """Left: the plane of the first two components. Right: the first over the trial. One line a number.

    The state after which the first answer is predicted is a filled point; before it a line is thin, after it thick.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.7))
        numbers = sorted(found.paths)
        colours = plt.get_cmap("viridis")
        norm = plt.Normalize(numbers[0], max(numbers[-1], numbers[0] + 1))
        for number in numbers:
            path, at = found.paths[number], found.answers[number]
            colour = colours(norm(number))
            second = path[:, 1] if path.shape[1] > 1 else path[:, 0] * 0
            for axes, x, y in ((left, path[:, 0], second), (right, range(len(path)), path[:, 0])):
                axes.plot(x[: at + 1], y[: at + 1], color=colour, linewidth=0.7)
                axes.plot(x[at:], y[at:], color=colour, linewidth=1.6)
                axes.plot(x[at : at + 1], y[at : at + 1], "o", color=colour, markersize=4)
        shares = [f"{100 * share:.0f} % of the variance" for share in found.explained.tolist()]
        left.set(xlabel=f"PC 1 ({shares[0]})", ylabel=f"PC 2 ({shares[1]})" if len(shares) > 1 else "")
        right.set(xlabel="token of the trial", ylabel="PC 1")
        figure.tight_layout()
        bar = figure.colorbar(plt.cm.ScalarMappable(norm, colours), ax=[left, right], fraction=0.03, pad=0.02)
        bar.locator = MaxNLocator(integer=True)
        bar.update_ticks()
        bar.set_label("number of the trial")
        bar.outline.set_visible(False)
    return figure
