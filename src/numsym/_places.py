"""Places in a model, by pyvene's names for them: the modules of a path, and what they show in a run."""

import contextlib
import inspect
import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from numsym.errors import ModelMismatchError

# pyvene prints when it is imported; a library must not.
with contextlib.redirect_stdout(io.StringIO()):
    from pyvene.models import constants, modeling_utils

HOOKS = {"output": constants.CONST_OUTPUT_HOOK, "input": constants.CONST_INPUT_HOOK}

TOKENS = 3
"""Of the run that shows what holds."""


@torch.no_grad()
def observed(model: nn.Module, places: Mapping[str, tuple[str, str]]) -> dict[str, list[list[Any]]]:
    """What places show in a run of a few tokens: for each layer in which one runs, a value for each of its calls.

    Args:
        model: with a forward that takes `input_ids`.
        places: name -> module path, and pyvene's hook.

    Returns:
        Nothing of places that do not run.

    Raises:
        ModelMismatchError: the model does not run on tokens alone.
    """
    found: dict[tuple[str, int], list[Any]] = {}
    handles = []

    def watch(name: str, layer: int, module: nn.Module, hook: str) -> None:
        def look(_module: nn.Module, args: tuple, kwargs: dict, output: Any = None) -> None:
            # As pyvene reads it: the first positional argument, else the first by keyword; the first of a tuple.
            value = output if hook == HOOKS["output"] else (args[0] if args else next(iter(kwargs.values()), None))
            found.setdefault((name, layer), []).append(value[0] if isinstance(value, tuple) and value else value)

        handles.append(getattr(module, hook)(look, with_kwargs=True))

    modes = [(part, part.training) for part in model.modules()]
    try:
        for name, (path, hook) in places.items():
            for layer, module in modules_at(model, path):
                watch(name, layer, module, hook)
        model.eval()
        given = {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}
        model(input_ids=torch.zeros(1, TOKENS, dtype=torch.long, device=next(model.parameters()).device), **given)
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), "")
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed: its forward does not run on `input_ids` alone "
            f"({type(error).__name__}: {line})"
        ) from error
    finally:
        for part, training in modes:
            part.training = training
        for handle in handles:
            handle.remove()
    layers: dict[str, list[list[Any]]] = {}
    for (name, _), values in found.items():
        layers.setdefault(name, []).append(values)
    return layers


def modules_at(model: nn.Module, path: str) -> list[tuple[int, nn.Module]]:
    """The modules that a path names, by layer, where they are there."""
    found = []
    for layer in range((layers_at(model, path) or 1) if "%s" in path else 1):
        with contextlib.suppress(AttributeError, IndexError, KeyError):
            module = modeling_utils.getattr_for_torch_module(model, path % layer if "%s" in path else path)
            if isinstance(module, nn.Module):
                found.append((layer, module))
    return found


def layers_at(model: nn.Module, path: str) -> int | None:
    """How many layers a path may name, where that can be told."""
    if "[%s]" not in path:
        return None
    try:
        layers = modeling_utils.getattr_for_torch_module(model, path.partition("[%s]")[0])
    except AttributeError:
        return None
    return len(layers) if isinstance(layers, nn.ModuleList | nn.Sequential) else None
