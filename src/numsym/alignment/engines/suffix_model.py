"""A frozen decoder of transformers, cut at a site: only the blocks from it on, only the tokens from the exchange on.

The model's own forward does the work (masks, rotary positions, soft caps, experts, the head), so that nothing is
written per architecture:

- the blocks below the site do not run (`suffix_decoder`): the stream that they give was kept, from the exchange on;
- the cache that the forward is given holds the keys and values before the exchange, padded on the left so that
  prefixes of any length end together; the attention mask says which are real;
- hooks at the site's places write the exchanged values at their tokens, the first of which is the first that runs.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from numsym.alignment.engines.kept import Both, Kept, Packing, Prefix
from numsym.alignment.engines.rows import moved, picked
from numsym.alignment.engines.suffix_decoder import PartialDecoder, last_of
from numsym.alignment.engines.suffix_hooks import See, seeing

Change = Callable[[Float[Tensor, "batch token site"], int], Float[Tensor, "batch token site"]]
"""From the base's values at one of the site's places, and which of them it is, to what is written there."""

CHUNK = 4096
"""Tokens run at a time, padding included, when bases and sources are prepared."""


class CutModel(PartialDecoder):
    """A model that runs on from a site; see `PartialDecoder` for what it is made from."""

    @torch.no_grad()
    def values(
        self, ids: Int[Tensor, "batch pos"], at: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch place token site"]:
        """The values at the places at some positions of each row, up to the last of which its tokens are real."""
        found, shared = [], shared_tokens(ids, at.amin(1))
        with self.running(0, self.shape.last, lambda _: _unseen):
            before = self._shared(ids, shared)
        for rows in self._chunks(ids):
            there, ends = at[rows], at[rows].amax(1)
            width = int(ends.max()) + 1
            seen: dict[int, Tensor] = {}

            def look(number: int, there: Tensor = there - shared, seen: dict[int, Tensor] = seen) -> See:
                def see(value: Tensor) -> None:
                    seen[number] = _at(value, there)[..., self.shape.features[number]]

                return see

            tokens, mask = ids[rows, shared:width], torch.arange(width) <= ends[:, None]
            with self.running(0, self.shape.last, look):
                self.forward(tokens, mask, Prefix(shared, _expanded(before, len(rows))), last_of(tokens))
            device = seen[0].device
            found.append(torch.stack([seen[number].to(device) for number in range(len(self.points))], 1))
        return torch.cat(found)

    def _shared(self, ids: Int[Tensor, "batch pos"], shared: int) -> dict[int, Both]:
        """Keys and values of the tokens that all rows begin with, by layer, run once."""
        before: dict[int, Both] = {}

        def record(layer: int, keys: Tensor, values: Tensor) -> None:
            before[layer] = keys, values

        if shared:
            tokens = ids[:1, :shared]
            self.forward(tokens, torch.ones_like(tokens, dtype=torch.bool), Prefix(record=record), last_of(tokens))
        return before

    def bytes_of(self, ids: Int[Tensor, "batch pos"], starts: Int[Tensor, "batch"], steps: Int[Tensor, "batch"]) -> int:
        """The memory that `keep` would take of these rows."""
        shared = shared_tokens(ids, starts)
        tokens = 1 + shared + int((starts - shared).sum())
        return tokens * self.shape.token_bytes + int(steps.sum()) * self.shape.stream_bytes

    @staticmethod
    def _chunks(ids: Int[Tensor, "batch pos"]) -> tuple[Tensor, ...]:
        """The rows, so many at a time that their tokens are at most `CHUNK`."""
        return torch.arange(len(ids)).split(max(1, CHUNK // ids.shape[1]))

    @torch.no_grad()
    def keep(
        self,
        ids: Int[Tensor, "batch pos"],
        starts: Int[Tensor, "batch"],
        steps: Int[Tensor, "batch"],
        home: torch.device | None = None,
    ) -> Kept:
        """Run bases once and keep what a run from `starts` on needs.

        Args:
            ids: their tokens, the first real one at position 0.
            starts: where the exchange is.
            steps: how many tokens from there on will be run.
            home: where to keep it; where it is computed if not given.
        """
        packing, shared = Packing(home), shared_tokens(ids, starts)
        before = self._shared(ids, shared)
        for layer in self.shape.layers & set(before):
            packing.take(layer, *before[layer], torch.arange(shared))
        for rows in self._chunks(ids):
            self._pack(packing, ids[rows], starts[rows], steps[rows], shared, before)
        return packing.kept(shared, starts, steps)

    def _pack(
        self,
        packing: Packing,
        ids: Int[Tensor, "batch pos"],
        starts: Int[Tensor, "batch"],
        steps: Int[Tensor, "batch"],
        shared: int,
        before: dict[int, Both],
    ) -> None:
        """Run some bases on from the tokens that all share, and pack what is to be kept of them."""
        batch, ends = len(ids), (starts + steps)[:, None]
        token = torch.arange(shared, int(ends.max()))
        place = torch.arange(batch * len(token)).view(batch, -1)
        own, after = place[token < starts[:, None]], place[(token >= starts[:, None]) & (token < ends)]

        def record(layer: int, keys: Tensor, values: Tensor) -> None:
            if layer in self.shape.layers:
                packing.take(layer, keys, values, own)

        first = self.shape.first
        look = seeing(self.layers[first - 1], "output", lambda value: packing.take_stream(value, after))
        with look if first else nullcontext():
            tokens, mask = ids[:, shared : shared + len(token)], torch.arange(shared + len(token)) < ends
            self.forward(tokens, mask, Prefix(shared, _expanded(before, batch), record), last_of(tokens))

    @torch.no_grad()
    def below(self, ids: Int[Tensor, "batch pos"], lengths: Int[Tensor, "batch"]) -> Kept:
        """Keys and values of the layers that do not depend on the site, of rows of so many tokens."""
        packing, first = Packing(), self.shape.first
        with self.running(0, first, lambda _: _unseen):
            for rows in self._chunks(ids):
                width = int(lengths[rows].max())
                mask = torch.arange(width) < lengths[rows, None]
                index = mask.flatten().nonzero()[:, 0]

                def record(layer: int, keys: Tensor, values: Tensor, index: Tensor = index) -> None:
                    packing.take(layer, keys, values, index)

                self.forward(ids[rows, :width], mask, Prefix(record=record), last_of(mask))
        return packing.kept(0, lengths, torch.zeros_like(lengths))

    def onward(
        self, token: Int[Tensor, "batch"], mask: Bool[Tensor, "batch total"], cache: DynamicCache
    ) -> Float[Tensor, "batch vocab"]:
        """Consume a token behind what a cache holds."""
        return self.forward(token[:, None], mask, cache, torch.ones(len(token), 1, dtype=torch.bool))

    def resume(
        self,
        bases: list[tuple[Kept, Tensor]],
        ids: Int[Tensor, "batch pos"],
        where: Bool[Tensor, "batch pos"],
        change: Change,
        tokens: Int[Tensor, "batch token"] | None = None,
        whole: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Float[Tensor, "kept vocab"]:
        """Logits where asked for, row after row, with other values at the site's places at some of the tokens.

        Args:
            bases: what is kept, and which rows of it.
            ids: the tokens from the exchange on; beyond a row's steps they do not matter.
            where: which tokens are asked for.
            change: the new values from the base's.
            tokens: which of these tokens; the first if not given.
            whole: told the layer of the cache, and keys and values of all tokens, padding first.
        """
        at = torch.zeros(len(ids), 1, dtype=torch.long) if tokens is None else tokens
        if self.device.type != "cpu" and ids.shape[1] == 1:
            # For a single token transformers would look whether any is masked, and wait for the device to say so.
            ids, where = ids.expand(-1, 2), nn.functional.pad(where, (0, 1))
        starts, steps = (torch.cat([getattr(one, name)[rows] for one, rows in bases]) for name in ("starts", "steps"))
        # A prefix of one token at least, for the same reason; it may be padding.
        before, after = max(1, int(starts.max())), ids.shape[1]
        mask = torch.cat([torch.arange(-before, 0) >= -starts[:, None], torch.arange(after) < steps[:, None]], 1)
        index = [one.before(rows, before) for one, rows in bases]

        def past(layer: int, device: torch.device) -> Both:
            sides = zip(*(one.past[layer] for one, _ in bases), strict=True)
            keys, values = (
                torch.cat([picked(side, there, device) for side, there in zip(parts, index, strict=True)]).transpose(
                    1, 2
                )
                for parts in sides
            )
            return keys, values

        def put(number: int) -> See:
            def see(value: Float[Tensor, "batch pos width"]) -> Tensor:
                features, index = self.shape.features[number], _places(value, at)
                flat = value.flatten(0, 1).clone()
                own = flat[:, features].index_select(0, index).view(*at.shape, -1)
                new = change(own, number).to(flat.device).flatten(0, 1)
                flat[:, features] = flat[:, features].index_copy(0, index, new)
                return flat.view(value.shape)

            return see

        stream, first = None, self.shape.first
        if first:
            device = self.shape.stream_device
            stream = torch.cat([picked(one.stream, one.after(rows, after), device) for one, rows in bases])  # type: ignore[arg-type]
        with self.running(first, len(self.layers), put, stream):
            return self.forward(ids, mask, Prefix(before, past, whole=whole), where)


def shared_tokens(ids: Int[Tensor, "batch pos"], starts: Int[Tensor, "batch"]) -> int:
    """How many tokens before the exchange all rows begin with."""
    if len(ids) < 2:
        return 0
    same = (ids == ids[0]).all(0)[: int(starts.min())]
    return int(same.long().cumprod(0).sum())


def _unseen(_value: Any) -> None:
    """For a run in which the site is not looked at."""


def _expanded(before: dict[int, Both], batch: int) -> Callable[[int, torch.device], Both]:
    """Keys and values of what all rows begin with, for so many rows."""

    def past(layer: int, _device: torch.device) -> Both:
        keys, values = (side.expand(batch, -1, -1, -1) for side in before[layer])
        return keys, values

    return past


def _places(value: Float[Tensor, "batch pos width"], at: Int[Tensor, "batch token"]) -> Int[Tensor, "tokens"]:
    """Positions of rows as places among all tokens of a batch, on its device; `at` is on the CPU."""
    return moved((torch.arange(len(at))[:, None] * value.shape[1] + at).flatten(), value.device)


def _at(value: Float[Tensor, "batch pos width"], at: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
    """The vectors at some positions of each row."""
    return value.flatten(0, 1).index_select(0, _places(value, at)).view(*at.shape, -1)
