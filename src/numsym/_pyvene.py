"""Everything that touches pyvene's internals, in one file (written against pyvene 0.1.8, unpatched).

pyvene knows a model class by two tables: component name -> (module path, hook), and component name -> attribute of the
model's config that holds its width. Filling them is all that it takes to make a model intervenable.
"""

import contextlib
import importlib
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError, check_name

# pyvene prints when it is imported, saves and loads; a library must not.
with contextlib.redirect_stdout(io.StringIO()):
    import pyvene as pv
    from pyvene.models import constants, intervenable_modelcard, modeling_utils

__all__ = [
    "SPLIT_HEADS",
    "Component",
    "Intervenable",
    "component_features",
    "component_module",
    "component_width",
    "components_of",
    "frozen",
    "intervenable",
    "layer_count",
    "load",
    "locations",
    "part_of",
    "pv",
    "register",
    "resolve_type",
    "save",
    "tabled",
]

SPLIT_HEADS = ((modeling_utils.split_head_and_permute, "n_head"),)
"""The `split` of a component that holds heads side by side; `register(..., n_head="num_heads")` says how many."""

HOOKS = {"output": constants.CONST_OUTPUT_HOOK, "input": constants.CONST_INPUT_HOOK}


@dataclass(frozen=True)
class Component:
    """A place in a model at which pyvene can intervene.

    Attributes:
        path: the module, as attribute access from the model; `%s` stands for the layer (`"layers[%s].attention"`).
        width: the attribute of `model.config` that holds the size of the last dimension (pyvene also reads `"a/b"`
            and `"a*4"`).
        hook: whether the module's output or its input is meant.
        split: further entries as pyvene writes them, each a function and its argument; see `SPLIT_HEADS`.
    """

    path: str
    width: str
    hook: Literal["output", "input"] = "output"
    split: tuple = ()


def register(model_class: type[nn.Module], components: Mapping[str, Component], **widths: str) -> None:
    """Make a model class known to pyvene. Registering the same again changes nothing.

    Instances need `model.config` (with the attributes that the widths name) and `model.device`, and a forward that
    takes its inputs by keyword.

    Args:
        model_class: the class itself; pyvene looks up `type(model)`, so a subclass is registered on its own.
        components: name -> where it is.
        widths: further config attributes that `split` entries refer to, such as `n_head="num_heads"`.

    Raises:
        InvalidArgumentError: the class is registered already with another place under one of these names.
    """
    paths = {name: (c.path, HOOKS[c.hook], *c.split) for name, c in components.items()}
    sizes = {name: (c.width,) for name, c in components.items()} | {name: (w,) for name, w in widths.items()}
    known_paths = intervenable_modelcard.type_to_module_mapping.setdefault(model_class, {})
    known_sizes = intervenable_modelcard.type_to_dimension_mapping.setdefault(model_class, {})
    for name, place in paths.items():
        if known_paths.get(name, place) != place:
            raise InvalidArgumentError(
                f"components[{name!r}]={place!r} is not allowed: {model_class.__name__} is registered with "
                f"{known_paths[name]!r} under that name"
            )
    known_paths.update(paths)
    known_sizes.update(sizes)


def tabled(model: nn.Module) -> bool:
    """Whether pyvene knows the model's class, by its own tables or by `register`."""
    return type(model) in intervenable_modelcard.type_to_module_mapping


def components_of(model: nn.Module) -> tuple[str, ...]:
    """The names under which pyvene can intervene on this model.

    Raises:
        ModelMismatchError: its class is not registered.
    """
    table = intervenable_modelcard.type_to_module_mapping.get(type(model))
    if table is None:
        raise ModelMismatchError(
            f"pyvene does not know {type(model).__name__}: register it with numsym.models.register(cls, components)"
        )
    return tuple(table)


def component_module(model: nn.Module, component: str, layer: int = 0) -> tuple[nn.Module, str]:
    """The module behind a component and whether its "input" or "output" is meant.

    As pyvene does, it also takes the path of a module with what is meant of it, such as "blocks[0].attention.output".

    Raises:
        UnknownNameError: no such component, or no such layer.
    """
    path, _, meant = component.rpartition(".")
    if path and meant in HOOKS:
        try:
            return modeling_utils.getattr_for_torch_module(model, path), meant
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise UnknownNameError(
                f"component={component!r} is not allowed: {type(model).__name__} has no module there ({error})"
            ) from error
    table = intervenable_modelcard.type_to_module_mapping
    try:
        check_name(f"component of {type(model).__name__}", component, components_of(model))
    except UnknownNameError as error:
        layered = next((path for path, *_ in table[type(model)].values() if "%s" in path), "")
        raise UnknownNameError(f"{error}{_layers(model, layered)}") from None
    path, hook, *_ = table[type(model)][component]
    try:
        module = modeling_utils.getattr_for_torch_module(model, path % layer if "%s" in path else path)
    except (AttributeError, IndexError, KeyError) as error:
        raise UnknownNameError(
            f"layer={layer} is not allowed: {type(model).__name__} has no {component!r} there ({path}: {error})"
            f"{_layers(model, path)}"
        ) from error
    return module, {hook_name: name for name, hook_name in HOOKS.items()}[hook]


def part_of(model: nn.Module, component: str, value: Tensor) -> Tensor:
    """What a component is of the value that its module takes or gives: one of its parts, or its heads apart."""
    return modeling_utils.output_to_subcomponent(value, component, type(model), getattr(model, "config", None))


def layer_count(model: nn.Module, component: str) -> int:
    """How many layers a component has; 1 for one that is there once.

    Raises:
        UnknownNameError: no such component.
    """
    check_name(f"component of {type(model).__name__}", component, components_of(model))
    path = intervenable_modelcard.type_to_module_mapping[type(model)][component][0]
    return _count(model, path) or 1


def _count(model: nn.Module, path: str) -> int | None:
    """How many layers a path may name, where that can be told."""
    if "[%s]" not in path:
        return None
    try:
        layers = modeling_utils.getattr_for_torch_module(model, path.partition("[%s]")[0])
    except AttributeError:
        return None
    return len(layers) if isinstance(layers, nn.ModuleList | nn.Sequential) else None


def _layers(model: nn.Module, path: str) -> str:
    """The layers that a path may name, as the end of a message."""
    count = _count(model, path)
    return "" if count is None else f"; its layers are 0..{count - 1}"


def component_width(model: Any, component: str) -> int:
    """The size of the last dimension of a component.

    Raises:
        UnknownNameError: no such component.
        ModelMismatchError: the model's config lacks what pyvene's table takes the width from.
    """
    check_name(f"component of {type(model).__name__}", component, components_of(model))
    try:
        return modeling_utils.get_dimension_by_component(type(model), model.config, component)
    except AttributeError as error:
        raise ModelMismatchError(
            f"component {component!r} is not allowed for {type(model).__name__}: pyvene's table takes its width from "
            f"an attribute that the config lacks ({error})"
        ) from error


def component_features(model: Any, component: str, width: int) -> slice:
    """Which coordinates a component is of what its module holds, `width` of them: all, or a part as pyvene splits it.

    Raises:
        ModelMismatchError: they do not lie side by side.
    """
    coordinates = torch.arange(width)[None, None]
    part = modeling_utils.output_to_subcomponent(coordinates, component, type(model), model.config).flatten()
    start, stop = int(part[0]), int(part[-1]) + 1
    if part.tolist() != list(range(start, stop)):
        raise ModelMismatchError(f"component {component!r} of {type(model).__name__} is not a range of coordinates")
    return slice(start, stop)


class Intervenable(pv.IntervenableModel):
    """pyvene's intervenable model that leaves the model's own hooks in place and says when a component never ran.

    pyvene removes every hook of a model before and after each run: a user's, and those by which transformers records
    `output_hidden_states`. This one removes those that it has set. And where a component's module does not run, pyvene
    silently changes nothing; here that is an error.
    """

    def _intervention_getter(self, *args: Any, **kwargs: Any) -> Any:
        return self._noted(super()._intervention_getter(*args, **kwargs))

    def _intervention_setter(self, *args: Any, **kwargs: Any) -> Any:
        return self._noted(super()._intervention_setter(*args, **kwargs))

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
