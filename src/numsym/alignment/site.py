"""Where in a model to intervene."""

from dataclasses import dataclass

from torch import nn

from numsym._pyvene import component_module, component_width, pv
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
        """
        component_module(model, self.component, self.layer)
        return component_width(model, self.component, self.layer)

    def representation(self, intervention: pv.Intervention) -> pv.RepresentationConfig:
        """This place in pyvene's terms, with an intervention there."""
        return pv.RepresentationConfig(
            layer=self.layer,
            component=self.component,
            unit="pos",
            max_number_of_units=1,
            intervention=intervention,
            subspace_partition=intervention.subspace_partition,
            low_rank_dimension=getattr(intervention, "low_rank_dimension", None),
        )
