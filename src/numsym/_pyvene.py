"""All that touches pyvene's internals, with its tables in `_tables` (written against pyvene 0.1.8, unpatched)."""

import contextlib
import importlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor, nn

from numsym._tables import (
    HEAD,
    SPLIT_HEADS,
    Component,
    by_head,
    component_features,
    component_module,
    component_width,
    components_of,
    faults,
    heads_of,
    layers_with,
    part_of,
    register,
    tabled,
)
from numsym.errors import ModelMismatchError, UnknownNameError

# pyvene prints when it is imported, saves and loads; a library must not.
with contextlib.redirect_stdout(io.StringIO()):
    import pyvene as pv

__all__ = [
    "HEAD",
    "SPLIT_HEADS",
    "Component",
    "Intervenable",
    "by_head",
    "component_features",
    "component_module",
    "component_width",
    "components_of",
    "faults",
    "frozen",
    "heads_of",
    "intervenable",
    "layers_with",
    "load",
    "locations",
    "part_of",
    "pv",
    "register",
    "resolve_type",
    "save",
    "tabled",
]


class Intervenable(pv.IntervenableModel):
    """pyvene's intervenable model that leaves the model's own hooks in place and says when a component never ran.

    pyvene removes every hook of a model before and after each run: a user's, and those by which transformers records
    `output_hidden_states`. This one removes those that it has set. And where a component's module does not run, pyvene
    silently changes nothing; here that is an error.
    """

    def _intervention_getter(self, *args: Any, **kwargs: Any) -> Any:
        return self._noted(super()._intervention_getter(*args, **kwargs))

    def _intervention_setter(self, keys: Any, *args: Any, **kwargs: Any) -> Any:
        several = len(self.interventions) > 1
        # pyvene writes into what a module gave; with an exchange below it, that may be kept for the gradient.
        copies = [self.intervention_hooks[key](_copied, with_kwargs=True) for key in keys if several]
        handlers = super()._intervention_setter(keys, *args, **kwargs)
        handlers.handlers += copies
        return self._noted(handlers)

    def _noted(self, handlers: Any) -> Any:
        self.__dict__.setdefault("_own_hooks", []).append(handlers)
        return handlers

    def _remove_forward_hooks(self) -> None:
        for handlers in self.__dict__.pop("_own_hooks", ()):
            handlers.remove()

    def _wait_for_forward_with_parallel_intervention(self, sources: Any, *args: Any, **kwargs: Any) -> Any:
        handlers = super()._wait_for_forward_with_parallel_intervention(sources, *args, **kwargs)
        for keys, source in zip(self._intervention_group.values(), sources, strict=True):
            for key in keys if source is not None else ():
                self._check_ran(key)
        return handlers

    def _gather_intervention_output(self, output: Any, key: str, locations: Any) -> Any:
        found = super()._gather_intervention_output(output, key, locations)
        # One head at one position is one vector, not a sequence of one, whose subspaces pyvene would mix up by row.
        return found[:, 0] if self.representations[key].unit == "h.pos" and found.shape[1:3] == (1, 1) else found

    def _scatter_intervention_output(self, output: Any, value: Tensor, key: str, locations: Any) -> Any:
        value = value[:, None] if self.representations[key].unit == "h.pos" and value.ndim == 3 else value
        return super()._scatter_intervention_output(output, value, key, locations)

    def _check_ran(self, key: str) -> None:
        component, width = self.representations[key].component, self.interventions[key].embed_dim
        if key not in self.activations:
            raise ModelMismatchError(
                f"component {component!r} of {type(self.model).__name__} is not allowed: its module did not run, so "
                "nothing can be exchanged there"
            )
        found = self.activations[key].shape[-1]
        if width is not None and found != int(width):
            raise ModelMismatchError(
                f"component {component!r} of {type(self.model).__name__} is not allowed: it is {found} wide, and "
                f"the intervention {int(width)} (pyvene's table of widths may be wrong for this model)"
            )


def _copied(_module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any = None) -> Any:
    """What a hook on a module's output or input gives on: the same, with a copy of what pyvene takes of it."""
    if isinstance(output, Tensor):
        return output.clone()
    if isinstance(output, tuple):
        return output[0].clone(), *output[1:]
    if output is not None:
        return None
    if args:
        return (args[0].clone(), *args[1:]), kwargs
    name = next(iter(kwargs))
    return args, kwargs | {name: kwargs[name].clone()}


def intervenable(model: nn.Module, places: list[pv.RepresentationConfig]) -> Intervenable:
    """A model with interventions on its device, ready to be called with base and sources."""
    with quiet():
        made = Intervenable(pv.IntervenableConfig(places), model)
    made.set_device(next(model.parameters()).device, set_model=False)
    return made


@contextlib.contextmanager
def frozen(*models: nn.Module) -> Iterator[None]:
    """Models in evaluation mode without gradients; afterwards each part is as it was (pyvene freezes for good)."""
    learned = [p for model in models for p in model.parameters() if p.requires_grad]
    modes = [(part, part.training) for model in models for part in model.modules()]
    for model in models:
        model.requires_grad_(False).eval()
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        for part, training in modes:
            part.training = training


def locations(source: Int[Tensor, "batch"], base: Int[Tensor, "batch"], n: int = 1) -> dict[str, tuple[list, list]]:
    """One position per example in source and base, in pyvene's nested lists; the same for `n` interventions."""
    return {"sources->base": ([source[:, None].tolist()] * n, [base[:, None].tolist()] * n)}


def resolve_type(name: str) -> type[pv.Intervention]:
    """An intervention type by its dotted name; only pyvene's and numsym's own are looked up.

    Raises:
        UnknownNameError: no such intervention type there.
    """
    package, _, attribute = name.rpartition(".")
    allowed = {"pyvene": "pyvene", "pv": "pyvene", "numsym.interventions": "numsym.interventions"}
    found = getattr(importlib.import_module(allowed[package]), attribute, None) if package in allowed else None
    if not (isinstance(found, type) and issubclass(found, pv.Intervention)):
        raise UnknownNameError(
            f"unknown intervention_type {name!r}: give pyvene.NAME or numsym.interventions.NAME, "
            "such as pyvene.RotatedSpaceIntervention or numsym.interventions.LinearAlignmentIntervention"
        )
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pyvene's prints and root-logger warnings to itself."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)


def save(intervenable: pv.IntervenableModel, folder: Path) -> None:
    """Save in pyvene's own format, which `pv.IntervenableModel.load` loads. `folder` may exist."""
    with quiet():
        intervenable.save(str(folder))


def load(folder: Path, model: nn.Module) -> pv.IntervenableModel:
    """`pv.IntervenableModel.load`, quietly, with the interventions on the model's device."""
    with quiet():
        intervenable = pv.IntervenableModel.load(str(folder), model)
    intervenable.set_device(next(model.parameters()).device, set_model=False)
    return intervenable
