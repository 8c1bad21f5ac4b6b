"""What a model holds at a site: the one way to read it. The model is left as it is, with the hooks that it has."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from numsym._pyvene import component_module, frozen, part_of
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models.logits import model_inputs
from numsym.models.site import Site
from numsym.tasks import Batch


@torch.no_grad()
def activations(
    model: nn.Module, site: str | Site, batch: Batch | Mapping[str, Any] | Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch *pos hidden"]:
    """Read a site in one run of the model, without interventions: what pyvene would take there as a source.

    Args:
        model: any model; where pyvene does not know its class, by the paths of its modules.
        site: "component", "component:layer", "component:layer.head", or, as pyvene has it too, the path of a module
            with ".input" or ".output" behind it, such as "blocks[0].attention.output".
        batch: trials of a task, the arguments of the model's forward by name, or tokens alone.

    Returns:
        (batch, pos, width), on the model's device; of a component by head (batch, head, pos, width of a head).

    Raises:
        UnknownNameError: the model has no such component or layer.
        ModelMismatchError: pyvene does not know the model, or the site's module does not run, or it holds no tensor.
        InvalidArgumentError: the model's forward does not take what `batch` holds, or needs more.

    Example:
        >>> task = numsym.tasks.MultiObject()
        >>> states = activations(numsym.models.counting_gru(task.vocabulary), "state", task.sample(10))
        >>> states.ndim
        3
    """
    place = Site.of(site)
    return activations_at(model, [place], batch)[place]


@torch.no_grad()
def activations_at(
    model: nn.Module, sites: Iterable[str | Site], batch: Batch | Mapping[str, Any] | Int[Tensor, "batch pos"]
) -> dict[Site, Float[Tensor, "batch *pos hidden"]]:
    """The same of several sites, in one run of the model."""
    places = [Site.of(site) for site in sites]
    with frozen(model), reading(model, *places) as found:
        model(**_inputs(model, batch))
    for place in places:
        if place not in found:
            raise ModelMismatchError(
                f"site={str(place)!r} is not allowed for {type(model).__name__}: its module did not run, or gave no "
                "tensor"
            )
    return found


@contextmanager
def reading(model: nn.Module, *sites: str | Site) -> Iterator[dict[Site, Tensor]]:
    """Note what sites hold while the model runs inside of the block; of several runs, what they hold in the last.

    Raises:
        UnknownNameError: the model has no such component or layer.
        ModelMismatchError: pyvene does not know the model.
    """
    found: dict[Site, Tensor] = {}
    handles: list[RemovableHandle] = []
    try:
        for site in map(Site.of, sites):
            handles.append(_watch(model, site, found))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _watch(model: nn.Module, site: Site, found: dict[Site, Tensor]) -> RemovableHandle:
    """Read as pyvene reads: the first positional argument, else the first by keyword; the first of what is several."""
    if site.also:
        raise InvalidArgumentError(f"site={str(site)!r} is not allowed: one place is read at a time")
    if site.head is not None:
        site.check(model)
    module, meant = component_module(model, site.tabled, site.layer)

    def note(_: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any = None) -> None:
        value: Any = output if meant == "output" else next(iter((*args, *kwargs.values())), None)
        if isinstance(value, tuple | Mapping) and value:
            value = value[0] if isinstance(value, tuple) else next(iter(value.values()))
        if isinstance(value, Tensor):
            # A copy, as what follows may write into it.
            part = part_of(model, site.tabled, value.clone())
            found[site] = part if site.head is None else part[:, site.head]

    if meant == "output":
        return module.register_forward_hook(note, with_kwargs=True)
    return module.register_forward_pre_hook(note, with_kwargs=True)


def _inputs(model: nn.Module, batch: Batch | Mapping[str, Any] | Tensor) -> Mapping[str, Any]:
    if isinstance(batch, Batch):
        batch = batch.to(next(model.parameters()).device)
        return model_inputs(model, batch.input_ids, batch.mask)
    given = {"input_ids": batch} if isinstance(batch, Tensor) else batch
    try:
        inspect.signature(model.forward).bind(**given)
    except TypeError as error:
        held = ", ".join(given) or "nothing in it"
        raise InvalidArgumentError(f"batch with {held} is not allowed: {type(model).__name__} has {error}") from None
    return given
