"""Where in a model to read and to intervene."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from numsym._pyvene import by_head, component_module, component_width, components_of, layers_with, pv
from numsym.errors import InvalidArgumentError


@dataclass(frozen=True)
class Site:
    """A component of one layer, at one position per example (pyvene's unit "pos")."""

    component: str = "state"
    layer: int = 0

    @classmethod
    def of(cls, site: "str | Site") -> "Site":
        """A site, or the one named "component" or "component:layer".

        Raises:
            InvalidArgumentError: the layer is not a number.
        """
        if isinstance(site, Site):
            return site
        component, _, layer = site.partition(":")
        if layer and not layer.isdecimal():
            raise InvalidArgumentError(f"site={site!r} is not allowed: give 'component' or 'component:layer'")
        return cls(component, int(layer or 0))

    def __str__(self) -> str:
        return f"{self.component}:{self.layer}"

    def check(self, model: nn.Module) -> int:
        """The width there.

        Raises:
            UnknownNameError: the model has no such component or layer; the message lists those it has.
            ModelMismatchError: it cannot be exchanged there, such as the output of a fused recurrence.
            InvalidArgumentError: the component is one by head.
        """
        component_module(model, self.component, self.layer)
        if by_head(model, self.component):
            raise InvalidArgumentError(
                f"site={str(self)!r} is not allowed: in pyvene it has a head beside a position (unit 'h.pos'); give "
                f"{self.component.removeprefix('head_')!r} for all heads side by side"
            )
        return component_width(model, self.component, self.layer)

    def representation(self, intervention: pv.Intervention) -> pv.RepresentationConfig:
        """This place in pyvene's terms, with an intervention there."""
        return pv.RepresentationConfig(
            layer=self.layer,
            component=self.component,
            unit="pos",
            max_number_of_units=1,
            intervention=intervention,
            subspace_partition=_as_ranges(intervention.subspace_partition),
            low_rank_dimension=getattr(intervention, "low_rank_dimension", None),
        )


def _as_ranges(partition: list[list[int]] | None) -> list[list[int]] | None:
    """Blocks as [start, end): pyvene, which reads what it saved, takes a list of two coordinates for that."""
    if partition is None:
        return None
    ranges = [[block[0], block[-1] + 1] for block in partition]
    return ranges if [list(range(*pair)) for pair in ranges] == partition else partition


def sites_named(model: nn.Module, names: Sequence[str | Site]) -> tuple[Site, ...]:
    """Sites by name: "component:layer", or "component" for all of its layers.

    Raises:
        UnknownNameError: the model has no such component or layer.
        InvalidArgumentError: there are none.
    """
    found: list[Site] = []
    for name in names:
        if isinstance(name, Site) or ":" in name:
            found.append(Site.of(name))
        else:
            found += [Site(name, layer) for layer in layers_with(model, name)]
    if not found:
        raise InvalidArgumentError("sites=[] is not allowed: name at least one, or none at all for the residual stream")
    for site in found:
        site.check(model)
    return tuple(dict.fromkeys(found))


def state_sites(model: nn.Module) -> list[Site]:
    """Every site that one position of a model hands on: a recurrent model's states, a transformer's residual stream.

    These are `state` of every layer that has one; or the first block's input and every block's output, from which all
    keys and values of the position follow. (A hybrid's layers with attention hand on keys and values besides.)

    Raises:
        InvalidArgumentError: the model has no components of these names.
    """
    names = components_of(model)
    wanted = next((name for name in ("state", "block_output") if name in names), None)
    if wanted is None:
        raise InvalidArgumentError(
            f"{type(model).__name__} is not allowed: it has neither 'state' nor 'block_output' among its components "
            f"({', '.join(names)}); name the sites yourself"
        )
    first = [Site("block_input")] if wanted == "block_output" and "block_input" in names else []
    return [*first, *(Site(wanted, layer) for layer in layers_with(model, wanted))]
