"""What is kept of some bases so that a decoder can be run on from a position: keys, values, and a stream.

Everything is packed, token after token: no padding is kept, whatever the lengths of the rows. The tokens that all rows
begin with (the shots of a prompt) are kept once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from numsym.alignment.engines.rows import moved

Both = tuple[Tensor, Tensor]
"""Keys and values."""


class Prefix(DynamicCache):
    """A cache of transformers that holds what came before, and may tell what comes.

    It is transformers' own class with no layers in it, so that a sliding window is the mask's to apply: what is given
    here is never cut.

    Args:
        length: tokens before, padding included.
        past: from a layer of the cache and its device, keys and values there, (batch, heads, length, features) each.
        record: told the layer, keys and values of the tokens that are run.
        whole: told the layer, and keys and values of all tokens.
    """

    def __init__(
        self,
        length: int = 0,
        past: Callable[[int, torch.device], Both] | None = None,
        record: Callable[[int, Tensor, Tensor], None] | None = None,
        whole: Callable[[int, Tensor, Tensor], None] | None = None,
    ):
        super().__init__()
        self._length, self._past, self._record, self._whole = length, past, record, whole
        self._run: dict[int, int] = {}

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: object, **kwargs: object) -> Both:
        """The keys and values of the layer: those before, then these."""
        self._run[layer_idx] = key_states.shape[-2]
        if self._record is not None:
            self._record(layer_idx, key_states, value_states)
        if self._length and self._past is not None:
            keys, values = self._past(layer_idx, key_states.device)
            key_states, value_states = torch.cat([keys, key_states], -2), torch.cat([values, value_states], -2)
        if self._whole is not None:
            self._whole(layer_idx, key_states, value_states)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """As if the layers that are skipped had run: the first one has once any has."""
        run = self._run.get(layer_idx, 0) if layer_idx else max(self._run.values(), default=0)
        return self._length + run

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """The number of keys, and the position of the first."""
        return self._length + query_length, 0


@dataclass(frozen=True, eq=False)
class Kept:
    """Bases, packed; `starts` and `steps` are on the CPU.

    Attributes:
        past: for each layer of the cache that will run, (tokens, heads, features) keys and values; first a token of
            padding, then those that all rows share, then each row's own before its exchange.
        stream: (tokens, hidden) what the last block that will not run gives, from each row's exchange on; None where
            all blocks will run.
        shared: how many tokens all rows share.
        starts: (batch,) tokens of each row before the exchange.
        steps: (batch,) tokens of each row from there on.
    """

    past: dict[int, Both]
    stream: Float[Tensor, "tokens hidden"] | None
    shared: int
    starts: Int[Tensor, "batch"]
    steps: Int[Tensor, "batch"]

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        tensors = [side for both in self.past.values() for side in both]
        return sum(tensor.nbytes for tensor in ([] if self.stream is None else [self.stream]) + tensors)

    def before(self, rows: Int[Tensor, "picked"], length: int) -> Int[Tensor, "picked length"]:
        """Which tokens of `past` come before the exchange of some rows, with padding first."""
        own = self.starts - self.shared
        token = self.starts[rows, None] - length + torch.arange(length)
        of_row = 1 + (own.cumsum(0) - own)[rows, None] + token
        return torch.where(token < 0, 0, torch.where(token < self.shared, 1 + token, of_row))

    def after(self, rows: Int[Tensor, "picked"], length: int) -> Int[Tensor, "picked length"]:
        """Which tokens of `stream` come from the exchange of some rows on, the last one repeated."""
        token = torch.minimum(torch.arange(length), self.steps[rows, None] - 1)
        return (self.steps.cumsum(0) - self.steps)[rows, None] + token


@dataclass
class Packing:
    """Takes the keys and values of runs over some rows each, one after the other, and packs what is to be kept.

    Attributes:
        home: where it is kept; None is where it is computed.
    """

    home: torch.device | None = None
    past: dict[int, list[Both]] = field(default_factory=dict)
    stream: list[Tensor] = field(default_factory=list)

    def take(self, layer: int, keys: Tensor, values: Tensor, index: Int[Tensor, "tokens"]) -> None:
        """Some tokens of (batch, heads, tokens, features) keys and values, by their places in batch x tokens."""
        sides = (side.transpose(1, 2).flatten(0, 1) for side in (keys, values))
        both = tuple(self._home(side.index_select(0, moved(index, side.device))) for side in sides)
        self.past.setdefault(layer, []).append(both)  # type: ignore[arg-type]

    def take_stream(self, stream: Float[Tensor, "batch pos hidden"], index: Int[Tensor, "tokens"]) -> None:
        """Some tokens of a stream, by their places in batch x tokens."""
        self.stream.append(self._home(stream.flatten(0, 1).index_select(0, moved(index, stream.device))))

    def kept(self, shared: int, starts: Int[Tensor, "batch"], steps: Int[Tensor, "batch"]) -> Kept:
        """All that was taken, in its order, behind a token of padding."""
        past = {}
        for layer, parts in self.past.items():
            sides = zip(*parts, strict=True)
            past[layer] = tuple(torch.cat([side[0].new_zeros(1, *side[0].shape[1:]), *side]) for side in sides)
        stream = torch.cat(self.stream) if self.stream else None
        return Kept(past, stream, shared, starts, steps)  # type: ignore[arg-type]

    def _home(self, tensor: Tensor) -> Tensor:
        return tensor if self.home is None else tensor.to(self.home)
