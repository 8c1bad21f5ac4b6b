"""How the state moves over a trial: the mean path of each number in the plane of the largest principal components."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import component_module
from numsym.alignment.engines.pyvene import device_of
from numsym.errors import check_at_least, check_between
from numsym.models.site import Site
from numsym.tasks import Batch, Task


@dataclass(frozen=True)
class Trajectories:
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the components themselves."""
        return {
            "explained": self.explained.tolist(),
            "paths": {str(number): path.tolist() for number, path in self.paths.items()},
            "answers": {str(number): at for number, at in self.answers.items()},
            "trials": {str(number): n for number, n in self.trials.items()},
        }


@torch.no_grad()
def trajectories(
    model: nn.Module,
    task: Task,
    *,
    site: str | Site = "state",
    components: int = 3,
    trials: int = 2000,
    generator: torch.Generator | None = None,
    seed: int = 0,
) -> Trajectories:
    """The states of fresh trials over all numbers, in the principal components of all of them.

    Where trials of one number vary in length (void tokens), the mean at a position is over those that are that long.

    Args:
        model: any model that pyvene knows; it is put in evaluation mode.
        task: what it does.
        site: where.
        components: how many.
        trials: how many trials.
        generator: of the trials; made from `seed` if not given.
        seed: of the trials.

    Raises:
        InvalidArgumentError: `components` is outside 1..width.
    """
    site = Site.of(site)
    check_between("components", components, 1, site.check(model), why="the width of the site")
    check_at_least("trials", trials, 2)
    batch = task.sample(trials, generator=generator or torch.Generator().manual_seed(seed)).to(device_of(model))
    states = states_at(model, site, batch)
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


@torch.no_grad()
def states_at(model: nn.Module, site: Site, batch: Batch) -> Float[Tensor, "batch pos hidden"]:
    """What a site holds after every token, without interventions."""
    module, hook = component_module(model, site.component, site.layer)
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple, output: Any = None) -> None:
        value = inputs if hook == "input" else output
        seen.append(value[0] if isinstance(value, tuple) else value)

    handle = module.register_forward_hook(look) if hook == "output" else module.register_forward_pre_hook(look)
    model.eval()
    try:
        model(input_ids=batch.input_ids, attention_mask=batch.mask)
    finally:
        handle.remove()
    return seen[0].reshape(*batch.input_ids.shape, -1)
