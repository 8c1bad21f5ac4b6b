"""A linear RNN or hybrid of transformers run token by token through its own cache, whose states can be changed.

What the cache holds of a layer after a token is its state: tensors with a row for each of the batch.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from numsym.models.discover import layers_of
from numsym.models.edits import Edits

States = dict[int, list[Tensor]]
"""By layer, the tensors of its state, each with a row for each of the batch."""


class Slots:
    """What a cache holds of each layer that carries a state."""

    def __init__(self, cache: Any):
        self.cache = cache

    def read(self) -> States:
        """By layer, its tensors, each with a row for each of the batch."""
        if isinstance(self.cache, list | tuple):  # RWKV: the layers are the last dimension
            return {layer: [part[..., layer] for part in self.cache] for layer in range(self.cache[0].shape[-1])}
        if hasattr(self.cache, "rnn_state"):  # xLSTM
            return {layer: list(parts) for layer, parts in self.cache.rnn_state.items()}
        found = {}
        for layer, one in enumerate(self.cache.layers):
            parts = [part for store in stores(one) for part in store.values() if part is not None]
            if parts:
                found[layer] = parts
        return found

    def write(self, layer: int, parts: list[Tensor]) -> None:
        """Other tensors for a layer, which the next step may write into."""
        if isinstance(self.cache, list | tuple):
            self.cache = [
                torch.cat([whole[..., :layer], part[..., None], whole[..., layer + 1 :]], -1)
                for whole, part in zip(self.cache, parts, strict=True)
            ]
        elif hasattr(self.cache, "rnn_state"):
            self.cache.rnn_state[layer] = tuple(parts)
        else:
            new = iter(parts)
            for store in stores(self.cache.layers[layer]):
                store.update({i: next(new) for i in store if store[i] is not None})


def stores(layer: Any) -> list[dict[int, Tensor | None]]:
    """Where a layer of a cache holds its state."""
    return [getattr(layer, name) for name in ("conv_states", "recurrent_states") if hasattr(layer, name)]


class Steps:
    """A model run token by token.

    Args:
        model: of transformers, with a cache that holds a state.
        name: what its forward calls the cache.
        reads_mask: whether its own forward minds an `attention_mask`.
    """

    def __init__(self, model: PreTrainedModel, name: str, reads_mask: bool = True):
        self.model, self.name, self.reads_mask = model, name, reads_mask
        self.places = "position_ids" in inspect.signature(type(model).forward).parameters

    def needed(self, ids: Tensor | None, mask: Tensor | None) -> bool:
        """Whether the model's own forward would take padding before real tokens for tokens."""
        if self.reads_mask or ids is None or mask is None or mask.shape != ids.shape:
            return False
        return bool((mask[:, 1:].bool() & ~mask[:, :-1].bool()).any())

    def run(
        self,
        ids: Int[Tensor, "batch pos"],
        mask: Bool[Tensor, "batch pos"] | None,
        edits: Edits,
        record: int | None,
    ) -> tuple[Float[Tensor, "batch pos vocab"], Float[Tensor, "batch pos hidden"] | None]:
        """Logits, and the states of the layer that is asked for, with some states changed."""
        slots, watched = Slots(self._start(len(ids))), _Watched()
        logits, found = [], []
        with watched.kept():
            for t in range(ids.shape[1]):
                before = _copied(slots) if mask is not None else {}
                logits.append(self._step(ids, mask, t, slots))
                parts = _carried(slots, before, None if mask is None else mask[:, t])
                for layer in {*edits, *([] if record is None else [record])}:
                    state = joined(parts[layer])
                    for edit in edits.get(layer, ()):
                        state = edit.step(t, state)
                    if layer == record:
                        found.append(state)
                    if layer in edits:
                        slots.write(layer, cut(state, parts[layer]))
                watched.see(slots)
        return torch.cat(logits, 1), torch.stack(found, 1) if found else None

    @property
    def whole(self) -> bool:
        """Whether the states are all that the model carries: there is no layer of attention."""
        return self.name != "past_key_values" or not _attends(DynamicCache(config=self.model.config))

    @torch.no_grad()
    def until(
        self, ids: Int[Tensor, "batch pos"], at: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch vocab"], States]:
        """What is said at a position of each row, and the states after it; `ids` and `at` are on the CPU."""
        ids, slots = ids.to(self.model.device), Slots(self._start(len(ids)))
        said: Any = None
        held: States = {}
        for t in range(int(at.max()) + 1):
            logits = self._step(ids, None, t, slots)[:, 0]
            parts = slots.read()
            if said is None:
                said, held = torch.empty_like(logits), {k: [torch.empty_like(p) for p in v] for k, v in parts.items()}
            rows = (at == t).nonzero()[:, 0].to(ids.device, non_blocking=True)
            said.index_copy_(0, rows, logits.index_select(0, rows))
            for layer, own in parts.items():
                for there, part in zip(held[layer], own, strict=True):
                    there.index_copy_(0, rows, part.index_select(0, rows))
        return said, held

    def onwards(
        self, ids: Int[Tensor, "batch pos"], states: States, see: Callable[[int, Float[Tensor, "batch vocab"]], None]
    ) -> None:
        """Run tokens from some states on, and show what is said at each; the states may have gradients."""
        slots, watched = self.restored(states), _Watched()
        with watched.kept():
            for t in range(ids.shape[1]):
                watched.see(slots)
                see(t, self._step(ids, None, t, slots)[:, 0])

    def restored(self, states: States) -> Slots:
        """A cache that holds some states."""
        first = next(iter(states.values()))
        slots = Slots(self._start(len(first[0])))
        if isinstance(slots.cache, list):
            slots.cache = [torch.stack(part, -1) for part in zip(*states.values(), strict=True)]
            return slots
        with torch.no_grad():
            # A token, so that the cache is there and knows that it has seen something.
            self._step(torch.zeros(len(first[0]), 1, dtype=torch.long, device=first[0].device), None, 0, slots)
        for layer, parts in states.items():
            slots.write(layer, parts)
        return slots

    def step(self, token: Int[Tensor, "batch"], slots: Slots) -> tuple[Float[Tensor, "batch vocab"], Slots]:
        """Consume a token: what is said then, and the cache after it."""
        return self._step(token[:, None], None, 0, slots)[:, 0], slots

    def _start(self, rows: int) -> Any:
        """The cache before the first token; None where the model makes it."""
        if self.name == "state":
            return _initial(self.model, rows)
        return _dynamic(self.model) if self.name == "past_key_values" else None

    def _call(self, token: Int[Tensor, "batch 1"], cache: Any, **given: Any) -> tuple[Tensor, Any]:
        output = type(self.model).forward(self.model, token, **{self.name: cache, "use_cache": True}, **given)
        return output.logits, output[self.name]

    def _step(self, ids: Tensor, mask: Tensor | None, t: int, slots: Slots) -> Float[Tensor, "batch 1 vocab"]:
        token, given = ids[:, t : t + 1], {}
        if isinstance(slots.cache, list):
            # A single token of RWKV takes no batch: transformers mixes it with the last token of each other row.
            def one(token: Tensor, cache: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
                logits, after = self._call(token[None], [part[None] for part in cache])
                return logits[0], [part[0] for part in after]

            logits, slots.cache = torch.func.vmap(one)(token, slots.cache)
            return logits
        if mask is not None and _attends(slots.cache):
            given["attention_mask"] = mask[:, : t + 1].long()
        if self.places:
            real = torch.ones_like(ids) if mask is None else mask.long()
            given["position_ids"] = (real[:, : t + 1].sum(1, keepdim=True) - 1).clamp(min=0)
        logits, slots.cache = self._call(token, slots.cache, **given)
        return logits


def _copied(slots: Slots) -> dict[int, list[Tensor]]:
    """The states before a step that may write into them."""
    held = {} if slots.cache is None else slots.read()
    return {layer: [part.clone() for part in parts] for layer, parts in held.items()}


def _carried(
    slots: Slots, before: dict[int, list[Tensor]], real: Bool[Tensor, "batch"] | None
) -> dict[int, list[Tensor]]:
    """The states after a step; padding leaves them as they were."""
    if real is None or bool(real.all()):
        return slots.read()
    for layer, parts in slots.read().items():
        old = before.get(layer) or [torch.zeros_like(part) for part in parts]
        here = [real.view(-1, *[1] * (part.ndim - 1)) for part in parts]
        slots.write(layer, [torch.where(*each) for each in zip(here, parts, old, strict=True)])
    return slots.read()


class _Watched:
    """Lets caches be written in place while gradients are recorded: what is saved of a state is a copy."""

    def __init__(self) -> None:
        self._storages: set[int] = set()

    def see(self, slots: Slots) -> None:
        """Note where the states are now."""
        parts = slots.cache if isinstance(slots.cache, list) else [p for own in slots.read().values() for p in own]
        self._storages = {part.untyped_storage().data_ptr() for part in parts}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside of the block."""

        def pack(tensor: Tensor) -> Tensor:
            own = tensor.untyped_storage().data_ptr() in self._storages
            return tensor.detach().clone() if own else tensor.detach()

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks if torch.is_grad_enabled() else nullcontext():
            yield


def joined(parts: list[Tensor]) -> Float[Tensor, "batch hidden"]:
    """The tensors of a layer's state side by side."""
    return torch.cat([part.flatten(1) for part in parts], -1)


def cut(state: Float[Tensor, "batch hidden"], like: list[Tensor]) -> list[Tensor]:
    """A state as the tensors that it is made of, in memory of their own."""
    parts = state.split([part[0].numel() for part in like], -1)
    return [part.reshape(one.shape).to(one.dtype).clone() for part, one in zip(parts, like, strict=True)]


def _attends(cache: Any) -> bool:
    return any(isinstance(layer, DynamicLayer) for layer in getattr(cache, "layers", ()))


def _dynamic(model: PreTrainedModel) -> Any:
    """A cache of transformers for a model; with an empty layer where none has attention, whose length is asked for."""
    cache = DynamicCache(config=model.config)
    if not _attends(cache):
        cache.layers.append(DynamicLayer())
    return cache


def _initial(model: PreTrainedModel, rows: int) -> list[Tensor]:
    """The state that a model makes before the first token, as its first layer is given it."""
    found: list[list[Tensor]] = []

    def look(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        found.append([part.clone() for part in kwargs["state"]])

    handle = layers_of(model)[1][0].register_forward_pre_hook(look, with_kwargs=True)
    try:
        with torch.no_grad():
            type(model).forward(model, torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=True)
    finally:
        handle.remove()
    return [part.expand(rows, *part.shape[1:]).clone() for part in found[0]]
