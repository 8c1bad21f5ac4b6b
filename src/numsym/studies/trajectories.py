"""How the state moves over a trial: the mean path of each number in the plane of the largest principal components."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.errors import check_at_least, check_between
from numsym.figures import drawing
from numsym.models import Site, activations
from numsym.models.logits import check_vocabulary
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks import Batch, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Trajectories(Result):
    """Mean paths of the state, by the number that a trial is about.

    Attributes:
        mean: (hidden,) of all states.
        components: (component, hidden), rows of length one, the largest first; each sign is such that its largest
            entry is positive.
        explained: (component,) the share of the variance of single states that each explains.
        paths: number -> (pos, component), the mean state after each token in these coordinates.
        answers: number -> the position of the token after which the first answer is predicted (in trials whose length
            varies, the mean, rounded).
        trials: how many trials each number had.
    """

    mean: Float[Tensor, "hidden"]
    components: Float[Tensor, "component hidden"]
    explained: Float[Tensor, "component"]
    paths: dict[int, Float[Tensor, "pos component"]]
    answers: dict[int, int]
    trials: dict[int, int]

    name: ClassVar[str] = "trajectories"

    @property
    def title(self) -> str:
        """What the rows are."""
        return "principal components"

    def rows(self) -> list[dict[str, Any]]:
        """A row a component: how much of the variance it explains."""
        shares = self.explained.tolist()
        return [{"component": i, "% of the variance": 100 * share} for i, share in enumerate(shares, 1)]

    def figure(self) -> "Figure":
        """Left: the plane of the first two components. Right: the first over the trial. One line a number.

        The state after which the first answer is predicted is a filled point; before it a line is thin, after it thick.
        """
        from matplotlib.ticker import MaxNLocator

        with drawing() as plt:
            figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.7))
            numbers, colours = sorted(self.paths), plt.get_cmap("viridis")
            norm = plt.Normalize(numbers[0], max(numbers[-1], numbers[0] + 1))
            for number in numbers:
                path, at, colour = self.paths[number], self.answers[number], colours(norm(number))
                second = path[:, 1] if path.shape[1] > 1 else path[:, 0] * 0
                for axes, x, y in ((left, path[:, 0], second), (right, range(len(path)), path[:, 0])):
                    axes.plot(x[: at + 1], y[: at + 1], color=colour, linewidth=0.7)
                    axes.plot(x[at:], y[at:], color=colour, linewidth=1.6)
                    axes.plot(x[at : at + 1], y[at : at + 1], "o", color=colour, markersize=4)
            shares = [f"{100 * share:.0f} % of the variance" for share in self.explained.tolist()]
            left.set(xlabel=f"PC 1 ({shares[0]})", ylabel=f"PC 2 ({shares[1]})" if len(shares) > 1 else "")
            right.set(xlabel="token of the trial", ylabel="PC 1")
            figure.tight_layout()
            bar = figure.colorbar(plt.cm.ScalarMappable(norm, colours), ax=[left, right], fraction=0.03, pad=0.02)
            bar.locator = MaxNLocator(integer=True)
            bar.update_ticks()
            bar.set_label("number of the trial")
            bar.outline.set_visible(False)
        return figure


@study
def trajectories(
    model: nn.Module,
    task: Task,
    *,
    components: int = 3,
    trials: int = 2000,
    site: str | Site = "state",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Trajectories:
    """Mean paths of the state over a trial, by its number, in the principal components of all states.

    Where trials of one number vary in length (void tokens), the mean at a position is over those that are that long.

    Args:
        model: any model that pyvene knows; it comes back as it was.
        task: what it does.
        components: how many.
        trials: how many, over all numbers.
        site: where.
        seed: of the trials.
        run: where the result is shown.

    Raises:
        InvalidArgumentError: `components` is outside 1..width.
    """
    place = Site.of(site)
    check_vocabulary(model, task)
    check_between("components", components, 1, place.check(model), why="the width of the site")
    check_at_least("trials", trials, 2)
    with run.stage("states", trials) as stage:
        batch = task.sample(trials, generator=torch.Generator().manual_seed(seed))
        states = activations(model, place, batch)
        stage.to(trials)
    return run.show(paths_of(states, batch.to(states.device), components))


def paths_of(states: Float[Tensor, "batch pos hidden"], batch: Batch, components: int) -> Trajectories:
    """The mean paths of some trials' states in their own principal components."""
    flat = states[batch.mask].double()
    mean = flat.mean(0)
    _, spread, rows = torch.linalg.svd(flat - mean, full_matrices=False)
    rows = rows[:components]
    rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    projected = (states.double() - mean) @ rows.mT
    paths, answers, sizes = {}, {}, {}
    first = batch.predictable.int().argmax(1) - 1
    for number in batch.counts.unique().tolist():
        here = batch.counts == number
        paths[number] = _mean_path(projected[here], batch.mask[here]).float().cpu()
        answers[number] = int(first[here].double().mean().round())
        sizes[number] = int(here.sum())
    explained = (spread**2 / (spread**2).sum())[:components]
    return Trajectories(mean.float().cpu(), rows.float().cpu(), explained.float().cpu(), paths, answers, sizes)


def _mean_path(
    states: Float[Tensor, "batch pos component"], mask: Bool[Tensor, "batch pos"]
) -> Float[Tensor, "longest component"]:
    weights = mask.to(states)[..., None]
    size: Int[Tensor, pos] = mask.sum(0)
    return ((states * weights).sum(0) / size.clamp(min=1)[:, None])[size > 0]
