"""Where in a model to read and to intervene."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Int
from torch import Tensor, nn

from numsym._pyvene import (
    HEAD,
    by_head,
    component_module,
    component_width,
    components_of,
    heads_of,
    layers_with,
    pv,
)
from numsym.errors import InvalidArgumentError, check_at_least


@dataclass(frozen=True)
class Site:
    """A component of one layer, whole or one of its heads; or several of these together.

    A text names it, too: "component", "component:layer", "component:layer.head", or several of them with "+" between.

    Attributes:
        component, layer: which.
        head: one head of what holds heads side by side, such as `attention_value_output`; all of them if not given.
        also: other places that are exchanged together with this one, by the same map.
    """

    component: str = "state"
    layer: int = 0
    head: int | None = None
    also: tuple["Site", ...] = ()

    def __post_init__(self) -> None:
        check_at_least("layer", self.layer, 0)
        if self.head is not None:
            check_at_least("head", self.head, 0)

    @classmethod
    def of(cls, site: "str | Site | Sequence[str | Site]") -> "Site":
        """A site, or the one that a text names, or several together.

        Raises:
            InvalidArgumentError: it is not written so, or a place is named twice.
        """
        if isinstance(site, Site):
            return site
        if isinstance(site, str) and "+" not in site:
            return cls._named(site)
        parts = [part for one in (site.split("+") if isinstance(site, str) else site) for part in cls.of(one).parts]
        if not parts or len(set(parts)) < len(parts):
            raise InvalidArgumentError(f"site={site!r} is not allowed: give at least one place, and each once")
        return replace(parts[0], also=tuple(parts[1:]))

    @classmethod
    def _named(cls, name: str) -> "Site":
        component, _, where = name.partition(":")
        layer, dot, head = where.partition(".")
        if (where and not layer.isdecimal()) or (dot and not head.isdecimal()):
            raise InvalidArgumentError(
                f"site={name!r} is not allowed: give 'component', 'component:layer' or 'component:layer.head'"
            )
        # pyvene's name for what is taken by head; the module paths that it also takes have no such beginning.
        component = component.removeprefix(HEAD) if dot else component
        return cls(component, int(layer or 0), int(head) if dot else None)

    def __str__(self) -> str:
        own = f"{self.component}:{self.layer}" + ("" if self.head is None else f".{self.head}")
        return "+".join([own, *map(str, self.also)])

    @property
    def parts(self) -> tuple["Site", ...]:
        """The places that are exchanged together, one by one."""
        return (replace(self, also=()), *self.also) if self.also else (self,)

    @property
    def tabled(self) -> str:
        """The component's name in pyvene's tables."""
        return self.component if self.head is None else HEAD + self.component

    def check(self, model: nn.Module) -> int:
        """The width there.

        Raises:
            UnknownNameError: the model has no such component or layer; the message lists those it has.
            ModelMismatchError: it cannot be exchanged there, such as the output of a fused recurrence.
            InvalidArgumentError: there is no such head, or the component is one by head and none is named; or places
                that are exchanged together are not equally wide.
        """
        widths = [part._checked(model) for part in self.parts]
        if len(set(widths)) > 1:
            told = ", ".join(f"{part} is {width}" for part, width in zip(self.parts, widths, strict=True))
            raise InvalidArgumentError(
                f"site={str(self)!r} is not allowed: places that are exchanged together share one map, so they must be "
                f"equally wide, and {told}"
            )
        return widths[0]

    def _checked(self, model: nn.Module) -> int:
        if self.head is None and by_head(model, self.component):
            plain = self.component.removeprefix(HEAD)
            raise InvalidArgumentError(
                f"site={str(self)!r} is not allowed: it is one vector for each head; name one, such as "
                f"{f'{plain}:{self.layer}.0'!r}, or {plain!r} for all heads side by side"
            )
        heads = 0 if self.head is None else heads_of(model, self.component)
        component_module(model, self.tabled if heads else self.component, self.layer)
        if self.head is not None and not self.head < heads:
            there = f"its heads are 0..{heads - 1}" if heads else "it does not hold heads side by side"
            raise InvalidArgumentError(f"site={str(self)!r} is not allowed: {there} in {type(model).__name__}")
        return component_width(model, self.tabled, self.layer)

    def representation(self, intervention: pv.Intervention) -> pv.RepresentationConfig:
        """This place in pyvene's terms, with an intervention there."""
        return self.representations(intervention)[0]

    def representations(self, intervention: pv.Intervention, positions: int = 1) -> list[pv.RepresentationConfig]:
        """All of its places in pyvene's terms, each at so many positions, with one intervention in all of them."""
        places = [(part, place) for part in self.parts for place in range(positions)]
        return [
            pv.RepresentationConfig(
                layer=part.layer,
                # A recurrence is resumed from one position a site: it has further ones for further positions.
                component=f"state_{place}" if part.tabled == "state" and place else part.tabled,
                unit="pos" if part.head is None else "h.pos",
                max_number_of_units=1,
                # One group, so that a source runs once for all places.
                group_key=0 if len(places) > 1 else None,
                intervention=intervention,
                subspace_partition=_as_ranges(intervention.subspace_partition),
                low_rank_dimension=getattr(intervention, "low_rank_dimension", None),
                latent_dim=getattr(intervention, "latent_dim", None),
            )
            for part, place in places
        ]

    def locations(self, source: Int[Tensor, "batch place"], base: Int[Tensor, "batch place"]) -> dict[str, tuple]:
        """Where, in pyvene's nested lists: each row's own positions, for `representations` of as many."""
        sides = ([], [])  # type: tuple[list, list]
        for part in self.parts:
            for column in zip(source.T, base.T, strict=True):
                for side, at in zip(sides, column, strict=True):
                    there = at[:, None].tolist()
                    side.append(there if part.head is None else [[[part.head]] * len(there), there])
        return {"sources->base": sides}


def _as_ranges(partition: list[list[int]] | None) -> list[list[int]] | None:
    """Blocks as [start, end): pyvene, which reads what it saved, takes a list of two coordinates for that."""
    if partition is None:
        return None
    ranges = [[block[0], block[-1] + 1] for block in partition]
    return ranges if [list(range(*pair)) for pair in ranges] == partition else partition


def sites_named(model: nn.Module, names: Sequence[str | Site | Sequence[str | Site]]) -> tuple[Site, ...]:
    """Sites by name: "component:layer", or "component" for all of its layers ("head_component": and all of its heads).

    Raises:
        UnknownNameError: the model has no such component or layer.
        InvalidArgumentError: there are none.
    """
    found: list[Site] = []
    for name in names:
        if isinstance(name, Site) or not isinstance(name, str) or ":" in name:
            found.append(Site.of(name))
        elif by_head(model, name):
            plain = name.removeprefix(HEAD)
            heads = range(heads_of(model, plain))
            found += [Site(plain, layer, head) for layer in layers_with(model, name) for head in heads]
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
