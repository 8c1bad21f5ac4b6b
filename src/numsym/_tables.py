"""pyvene's tables of models: which components a class has, where they are, and which of them hold in a model.

pyvene knows a model class by two tables: component name -> (module path, hook), and component name -> attribute of the
model's config that holds its width. Filling them is all that it takes to make a model intervenable. This file,
`_places` and `_pyvene` alone touch pyvene's internals.
"""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from numsym._places import HOOKS, TOKENS, layers_at, modules_at, observed
from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError, check_name

# pyvene prints when it is imported; a library must not.
with contextlib.redirect_stdout(io.StringIO()):
    from pyvene.models import intervenable_modelcard, modeling_utils

SPLIT_HEADS = ((modeling_utils.split_head_and_permute, "n_head"),)
"""The `split` of a component that holds heads side by side; `register(..., n_head="num_heads")` says how many."""


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
    """The names under which pyvene can intervene on this model, of those that its class has the ones that work.

    Raises:
        ModelMismatchError: its class is not registered.
    """
    broken = faults(model)
    return tuple(name for name in _table(model) if name not in broken)


def _table(model: nn.Module) -> dict[str, tuple]:
    table = intervenable_modelcard.type_to_module_mapping.get(type(model))
    if table is None:
        raise ModelMismatchError(
            f"pyvene does not know {type(model).__name__}: numsym.models.load(model) finds its places, or register it "
            "with numsym.models.register(cls, components)"
        )
    return table


FUSED = (
    "its module is a fused nn.{kind}, which computes all steps at once, so that an exchange would change the output at "
    "one position and nothing after it; numsym.models.load(model) makes its state a site that the steps after it go on "
    "from"
)
REPEATED = (
    "its module runs {calls} times for {tokens} tokens, so that what it shows at once is not a sequence; "
    "numsym.models.load(model) makes the state of a cell a site"
)
STATE_SITES = "state_sites"
"""The part of a model of transformers that numsym adds for the states that its cache holds."""

_FAULTS: "WeakKeyDictionary[nn.Module, tuple[dict[str, tuple], dict[str, str]]]" = WeakKeyDictionary()
"""By model, the table that it had, and what was found of it."""


def faults(model: nn.Module) -> dict[str, str]:
    """Of the components that a model's class has, those that cannot be exchanged in this model, and why.

    Tables are of a class, and models of it differ: in the way that attention is computed, in heads that share keys, in
    which layers have attention. So the model runs once over a few tokens (numsym's own classes need not).

    Raises:
        ModelMismatchError: its class is not registered.
    """
    table = _table(model)
    if type(model).__module__.startswith("numsym.") and not getattr(model, "foreign", False):
        return {}
    if model not in _FAULTS or _FAULTS[model][0] != table:
        seen = None
        with contextlib.suppress(ModelMismatchError):
            places = {name: (path, hook) for name, (path, hook, *_) in table.items()}
            # A model whose states are watched runs token by token, and shows no other place a sequence.
            seen = observed(model, {name: at for name, at in places.items() if not at[0].startswith(STATE_SITES)})
        reasons = {name: _fault(model, name, seen) for name in table}
        _FAULTS[model] = dict(table), {name: reason for name, reason in reasons.items() if reason}
    return _FAULTS[model][1]


def forget(model: nn.Module) -> None:
    """Look again at what holds in a model, which has new parts."""
    _FAULTS.pop(model, None)


def _fault(model: nn.Module, name: str, seen: dict[str, list[list[Any]]] | None) -> str | None:
    path, hook, *_ = _table(model)[name]
    modules = [module for _, module in modules_at(model, path)]
    if not modules:
        return f"there is no module at {path}"
    fused = [module for module in modules if isinstance(module, nn.RNNBase)]
    if fused and hook == HOOKS["output"]:
        return FUSED.format(kind=type(fused[0]).__name__)
    if seen is None or path.startswith(STATE_SITES):
        return None
    if name not in seen:
        return "its module did not run, so nothing can be exchanged there"
    said = [_fault_of(model, name, values) for values in seen[name]]
    return None if None in said else said[0]


def _fault_of(model: nn.Module, name: str, values: list[Any]) -> str | None:
    """What is wrong with what a component shows in one layer, call by call."""
    if len(values) > 1:
        return REPEATED.format(calls=len(values), tokens=TOKENS)
    value = values[0]
    if not (isinstance(value, Tensor) and value.is_floating_point() and value.ndim >= 3 and len(value) == 1):
        shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        return f"its module shows {shown} for (1, {TOKENS}) tokens, and not one vector a token"
    try:
        width = modeling_utils.get_dimension_by_component(type(model), model.config, name)
        part = modeling_utils.output_to_subcomponent(value, name, type(model), model.config)
    except (AttributeError, RuntimeError, ValueError, TypeError) as error:
        return f"pyvene's table does not fit what it shows ({error})"
    if part.shape[-2:] != (TOKENS, width):
        return f"it is {part.shape[-1]} wide for each of {part.shape[-2]}, and pyvene's table says {width}"
    return None


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
    table = _table(model)
    try:
        _check_component(model, component)
    except UnknownNameError as error:
        layered = next((path for path, *_ in table.values() if "%s" in path), "")
        raise UnknownNameError(f"{error}{_layers(model, layered)}") from None
    path, hook, *_ = table[component]
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


def layers_with(model: nn.Module, component: str) -> list[int]:
    """The layers that have a component; 0 for one that is there once.

    Raises:
        UnknownNameError: no such component.
    """
    _check_component(model, component)
    return [layer for layer, _ in modules_at(model, _table(model)[component][0])]


def _layers(model: nn.Module, path: str) -> str:
    """The layers that a path may name, as the end of a message."""
    count = layers_at(model, path)
    return "" if count is None else f"; its layers are 0..{count - 1}"


def component_width(model: Any, component: str, layer: int = 0) -> int:
    """The size of the last dimension of a component that can be exchanged.

    Raises:
        UnknownNameError: no such component.
        ModelMismatchError: it cannot be exchanged in this model; or the model's config lacks what pyvene's table takes
            the width from.
    """
    _check_component(model, component)
    try:
        width = modeling_utils.get_dimension_by_component(type(model), model.config, component)
    except AttributeError as error:
        raise ModelMismatchError(
            f"component {component!r} is not allowed for {type(model).__name__}: pyvene's table takes its width from "
            f"an attribute that the config lacks ({error})"
        ) from error
    if component in (broken := faults(model)):
        raise ModelMismatchError(
            f"component {component!r} is not allowed for {type(model).__name__}: {broken[component]}"
        )
    return getattr(model, "state_widths", {}).get(layer, width) if component.startswith("state") else width


def _check_component(model: nn.Module, component: str) -> None:
    if component not in _table(model):
        check_name(f"component of {type(model).__name__}", component, components_of(model))


def by_head(model: nn.Module, component: str) -> bool:
    """Whether pyvene takes a component by head and position (unit "h.pos"), and not by position alone."""
    splits = _table(model)[component][2:] if component in _table(model) else ()
    return any(split is modeling_utils.split_head_and_permute for split, _ in splits)


HEAD = "head_"
"""Before the name of a component in pyvene's tables: the same, by head."""


def heads_of(model: nn.Module, component: str) -> int:
    """How many heads a component has side by side, where pyvene takes it by head; else 0."""
    if HEAD + component not in _table(model) or HEAD + component in faults(model):
        return 0
    split = next(number for kind, number in _table(model)[HEAD + component][2:] if kind is SPLIT_HEADS[0][0])
    if isinstance(split, str):
        split = modeling_utils.get_dimension_by_component(type(model), model.config, split)
    return int(split)


def component_features(model: Any, component: str, width: int, head: int | None = None) -> slice:
    """Which coordinates a component is of what its module holds, `width` of them: all, or a part as pyvene splits it.

    Args:
        model: registered.
        component: one of its own.
        width: of what its module holds.
        head: one of the component's heads alone.

    Raises:
        ModelMismatchError: they do not lie side by side.
    """
    coordinates = torch.arange(width)[None, None]
    name = component if head is None else HEAD + component
    part = modeling_utils.output_to_subcomponent(coordinates, name, type(model), model.config)
    part = (part if head is None else part[:, head]).flatten()
    start, stop = int(part[0]), int(part[-1]) + 1
    if part.tolist() != list(range(start, stop)):
        raise ModelMismatchError(f"component {component!r} of {type(model).__name__} is not a range of coordinates")
    return slice(start, stop)
