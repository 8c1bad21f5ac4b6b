"""Sites that show a model's states to pyvene, and what an intervention there makes of what follows.

A site is an identity module over all states of a layer, (batch, pos, hidden), called once in a forward, which pyvene
hooks. What the site gives back says at which position of each row the state was changed; the model goes on from there.

A site takes one position per example, since pyvene computes the values of all positions of a call from the same,
untouched states. Further sites, passed through one after the other, take the following positions in order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import Component
from numsym.errors import InvalidArgumentError

SITES = 8
"""Sites of a layer: `state`, `state_1`, ..., free of cost where nothing hooks them."""


def state_components(layers: str, width: str = "hidden_size") -> dict[str, Component]:
    """`state`, `state_1`, ... of the layers at a path, whose modules have `sites`; the config has their width."""
    return {
        f"state_{i}" if i else "state": Component(path=f"{layers}[%s].sites[{i}]", width=width) for i in range(SITES)
    }


class StateSites(nn.Module):
    """The sites of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = nn.ModuleList(nn.Identity() for _ in range(SITES))

    @property
    def hooked(self) -> list[nn.Module]:
        """Those that something hooks."""
        return [site for site in self.sites if site._forward_hooks or site._forward_pre_hooks]


@dataclass(frozen=True)
class Edit:
    """What one site did to the states of a layer.

    Attributes:
        before: the states that it was shown.
        after: what it made of them.
        changed: where it made a difference.
        at: the position changed in each row; where none was, the row's end, from which nothing follows.
        last: the position changed last by this site or one before it; -1 where none was.
    """

    before: Float[Tensor, "batch pos hidden"]
    after: Float[Tensor, "batch pos hidden"]
    changed: Bool[Tensor, "batch pos"]
    at: Int[Tensor, "batch"]
    last: Int[Tensor, "batch"]

    def step(self, n: int, state: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        """The state after token n: the changed one where it was changed, with the gradient of what was not."""
        after = self.after[:, n]
        kept = state + (after - self.before[:, n]) if self.after.requires_grad else state
        return torch.where(self.changed[:, n, None], after, kept)


def edit_of(
    site: Callable[[Tensor], Tensor], before: Float[Tensor, "batch pos hidden"], earlier: Edit | None
) -> Edit | None:
    """Show states to a site; `None` if it left them as they are.

    Args:
        site: what takes the states and gives them back.
        before: the states.
        earlier: the edit of the site before it in the same layer.

    Raises:
        InvalidArgumentError: it changed several positions of a row, or one before that of the earlier site.
    """
    # pyvene writes into the tensor that it hooks.
    after = site(before.clone())
    with torch.no_grad():
        changed = ~((after == before) | (after.isnan() & before.isnan())).all(-1)
    any_change = changed.any(1)
    if not any_change.any() and not after.requires_grad:
        return None
    last = None if earlier is None else earlier.last
    at = _position(changed, last)
    rows_last = torch.full_like(at, -1) if last is None else last
    return Edit(before, after, changed, at, torch.where(any_change, at, rows_last))


def _position(changed: Bool[Tensor, "batch pos"], last: Tensor | None) -> Int[Tensor, "batch"]:
    if (changed.sum(1) > 1).any():
        raise InvalidArgumentError(
            "unit_locations is not allowed: one `state` site changed several positions of an example, so that "
            "the later ones were computed from states that the earlier ones should have changed; give each "
            "further position its own component, in order: state, state_1, state_2, ..."
        )
    at = torch.where(changed.any(1), changed.int().argmax(1), changed.shape[1] - 1)
    if last is not None and (changed.any(1) & (at < last)).any():
        raise InvalidArgumentError(
            "unit_locations is not allowed: a later site changes an earlier position than the site before it; "
            "the positions of state, state_1, ... must not fall"
        )
    return at


Edits = dict[int, list[Edit]]
"""By layer, what its sites did, in their order."""

Run = Callable[[Edits, int | None], tuple[Any, Float[Tensor, "batch pos hidden"] | None]]
"""Runs a model with some edits: its output, and the states of the layer that is asked for."""


def through_sites(
    layers: Iterable[Any],
    run: Run,
    around: Callable[[nn.Module], Callable[[Tensor], Tensor]] | None = None,
) -> Any:
    """The output of a model after whatever hooks its sites.

    The model runs once for the states that a hooked site is shown, with what the sites before it did, and, if any did
    something, once more with all of it. So each site is called once, as pyvene wants it.

    Args:
        layers: their `StateSites`, from below; something else where a layer has no state.
        run: see `Run`.
        around: what is to be called in a site's stead.
    """
    edits: Edits = {}
    output, shown, states = None, None, None
    for layer, sites in enumerate(layers):
        for site in sites.hooked if isinstance(sites, StateSites) else ():
            if shown != layer:
                (output, states), shown = run(edits, layer), layer
            assert states is not None
            earlier = edits.get(layer, [])
            edit = edit_of(around(site) if around else site, states, earlier[-1] if earlier else None)
            if edit is not None:
                edits[layer] = [*earlier, edit]
                shown, output = None, None
    return run(edits, None)[0] if output is None else output
