"""Where a module of one's own holds its recurrence, and running it with some of its states changed.

A recurrence is one of torch's fused `nn.RNN`, `nn.GRU` or `nn.LSTM`, or a *cell*: a module that runs once a token with
what its last call gave. A fused one may run over all tokens at once, or be called once a token as a cell is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_flatten, tree_unflatten

from numsym.models.edits import Edits
from numsym.models.unrolled import Borrowed


@dataclass(frozen=True)
class Recurrence:
    """Where a recurrence is.

    Attributes:
        path: of its module.
        layers: how many layers it has; 1 for a cell.
        state: of a cell: which of the tensors that a call gives are its state.
    """

    path: str
    layers: int = 1
    state: tuple[int, ...] = ()


@dataclass
class Call:
    """One call of a module: the tensors that it took and gave."""

    taken: list[Tensor]
    given: list[Any]


@contextmanager
def calls_of(module: nn.Module) -> Iterator[dict[str, list[Call]]]:
    """Note every call of every part of a module while it runs inside of the block, in the order of their ends."""
    calls: dict[str, list[Call]] = {}
    handles = []

    def watch(path: str, part: nn.Module) -> None:
        def note(_: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
            taken = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
            calls.setdefault(path, []).append(Call(taken, tree_flatten(output)[0]))

        handles.append(part.register_forward_hook(note, with_kwargs=True))

    try:
        for path, part in module.named_modules():
            if path:
                watch(path, part)
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def carried(calls: Sequence[Call], rows: int) -> tuple[int, ...]:
    """Which of the tensors that each call gives, a row for each of `rows`, go into the next call: a cell's state."""

    def same(one: Any, other: Tensor) -> bool:
        if one is other:
            return True
        # Code between the calls may have copied it or masked it; a constant says nothing.
        return one.shape == other.shape and torch.equal(one, other) and bool((one != one.flatten()[0]).any())

    def flows(leaf: int) -> bool:
        followed = pairwise(calls)
        return all(any(same(one.given[leaf], other) for other in after.taken) for one, after in followed)

    leaves = range(min(len(call.given) for call in calls))
    return tuple(leaf for leaf in leaves if _is_state(calls[0].given[leaf], rows) and len(calls) > 1 and flows(leaf))


def _is_state(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim >= 1 and len(value) == rows


def candidates(module: nn.Module, calls: dict[str, list[Call]], rows: int, tokens: int) -> list[list[Recurrence]]:
    """The recurrences that a run shows, in the order in which they run: the innermost ones, and the outermost.

    A cell may hold another: which of them carries the whole state is for the caller to try.

    Args:
        module: that ran.
        calls: of its parts.
        rows: how many rows it was given.
        tokens: how many tokens each of them had.
    """
    found: dict[str, Recurrence] = {}
    for path, own in calls.items():
        part = module.get_submodule(path)
        if isinstance(part, nn.RNNBase) and len(own) in (1, tokens):
            found[path] = Recurrence(path, part.num_layers)
        elif len(own) == tokens:
            flowing = carried(own, rows)
            if isinstance(part, nn.RNNCellBase):
                # What is carried may have gone through a norm on the way, but nothing else leaves such a cell.
                flowing = tuple(leaf for leaf, value in enumerate(own[0].given) if _is_state(value, rows))
            if flowing:
                found[path] = Recurrence(path, state=flowing)
    inner = [one for path, one in found.items() if not any(other.startswith(f"{path}.") for other in found)]
    outer = [one for path, one in found.items() if not any(path.startswith(f"{other}.") for other in found)]
    return [inner] if inner == outer else [inner, outer]


@dataclass
class Running:
    """One run of a module with changed states.

    Attributes:
        edits: by layer of the sites, what they did.
        record: the layer whose states are noted.
        tokens: how many there are.
        found: the states noted, in parts of (batch, some, hidden).
        seen: by recurrence, how many tokens it has run over.
    """

    edits: Edits
    record: int | None
    tokens: int
    found: list[Tensor] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def states(self) -> Float[Tensor, "batch pos hidden"] | None:
        """The states of the layer that is noted."""
        return torch.cat(self.found, 1) if self.found else None

    def concerns(self, layers: range) -> bool:
        """Whether anything is changed or noted in these layers."""
        return self.record in layers or any(layer in layers for layer in self.edits)

    def passed(self, path: str, tokens: int) -> int:
        """Count further tokens of a recurrence: how many there were before."""
        before = self.seen.get(path, 0)
        self.seen[path] = before + tokens
        return before

    def note(self, layer: int, states: Float[Tensor, "batch some hidden"]) -> None:
        """Keep states if they are wanted."""
        if layer == self.record:
            self.found.append(states)

    def stepped(self, layer: int, n: int, state: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        """The state of a layer after token n, with what the sites did to it."""
        for edit in self.edits.get(layer, ()):
            state = edit.step(n, state)
        self.note(layer, state[:, None])
        return state


@contextmanager
def running(
    module: nn.Module, recurrences: Sequence[Recurrence], edits: Edits, record: int | None, tokens: int
) -> Iterator[Running]:
    """Inside of the block the module's recurrences run with changed states, whatever the module does around them."""
    run, handles, first = Running(edits, record, tokens), [], 0
    try:
        for one in recurrences:
            part, layers = module.get_submodule(one.path), range(first, first + one.layers)
            first += one.layers
            if run.concerns(layers):
                hook = _Fused(run, one, layers) if isinstance(part, nn.RNNBase) else _Cell(run, one, layers[0])
                # The first of the hooks, so that the user's own see what the module goes on with.
                handles.append(part.register_forward_hook(hook, prepend=True, with_kwargs=True))
        yield run
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _Cell:
    """Replaces the state that a cell gives at its n-th call."""

    run: Running
    recurrence: Recurrence
    layer: int

    def __call__(self, cell: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        leaves, spec = tree_flatten(output)
        parts = [leaves[i] for i in self.recurrence.state]
        state = torch.cat([part.reshape(len(part), -1) for part in parts], -1)
        state = self.run.stepped(self.layer, self.run.passed(self.recurrence.path, 1), state)
        new = state.split([part[0].numel() for part in parts], -1)
        for i, part, value in zip(self.recurrence.state, parts, new, strict=True):
            leaves[i] = value.reshape(part.shape)
        return tree_unflatten(leaves, spec)


@dataclass
class _Fused:
    """Gives what a fused recurrence would have given, had its states been changed."""

    run: Running
    recurrence: Recurrence
    layers: range

    def __call__(self, rnn: nn.RNNBase, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        x, mask, repack = _rectangle(rnn, given["input"], self.run.tokens)
        before = self.run.passed(self.recurrence.path, x.shape[1])
        ends: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            part = Borrowed(rnn, number)
            states = self._states(layer, part, x, mask, _start(given.get("hx"), number), before)
            last = mask.sum(1) - 1 if mask is not None else torch.full_like(states[:, 0, 0], x.shape[1] - 1).long()
            ends.append(states[torch.arange(len(x), device=x.device), last])
            x = part.output(states)
            if number + 1 < len(self.layers):
                x = nn.functional.dropout(x, rnn.dropout, rnn.training)
        parts = tuple(torch.stack(one) for one in zip(*(end.split(part.widths, -1) for end in ends), strict=True))
        return repack(x), parts if isinstance(rnn, nn.LSTM) else parts[0]

    def _states(
        self,
        layer: int,
        part: Borrowed,
        x: Float[Tensor, "batch some in"],
        mask: Bool[Tensor, "batch some"] | None,
        start: Float[Tensor, "batch hidden"] | None,
        before: int,
    ) -> Float[Tensor, "batch some hidden"]:
        if x.shape[1] < self.run.tokens:  # called once a token
            return self.run.stepped(layer, before, part.states(x, None, start)[:, 0])[:, None]
        edits = self.run.edits.get(layer)
        # The last of the edits was shown the states with all that the others did.
        states = part.edited(edits[-1], x, mask, start) if edits else part.states(x, mask, start)
        self.run.note(layer, states)
        return states


def _rectangle(rnn: nn.RNNBase, x: Any, tokens: int) -> tuple[Tensor, Tensor | None, Any]:
    """The input as (batch, pos, width), where it is real (None: everywhere), and what gives outputs its form."""
    if isinstance(x, PackedSequence):
        wide, lengths = pad_packed_sequence(x, batch_first=True, total_length=tokens)
        mask = torch.arange(tokens, device=wide.device) < lengths.to(wide.device)[:, None]

        def repack(out: Tensor) -> PackedSequence:
            packed = pack_padded_sequence(out, lengths, batch_first=True, enforce_sorted=False)
            return PackedSequence(packed.data, packed.batch_sizes, x.sorted_indices, x.unsorted_indices)

        return wide, mask, repack
    if rnn.batch_first:
        return x, None, lambda out: out
    return x.transpose(0, 1), None, lambda out: out.transpose(0, 1)


def _start(hx: Any, layer: int) -> Tensor | None:
    """The state of a layer before the first token; None where torch starts from zeros."""
    if hx is None:
        return None
    return torch.cat([one[layer] for one in hx], -1) if isinstance(hx, tuple | list) else hx[layer]
