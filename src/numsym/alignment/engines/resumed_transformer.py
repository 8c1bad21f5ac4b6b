"""A frozen transformer run on from one exchanged value: only the layers above it, and only the tokens from it on.

Attention looks back, so an exchange at one position of one layer changes nothing before that position and nothing
below that layer. `context` runs the bases once and keeps what a later run needs of them; `resume` is that run.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numsym.alignment.engines.rows import picked
from numsym.models import TransformerLM
from numsym.models.packed_blocks import PARTS, PackedBlock, Plan, Tokens, inner, ranks
from numsym.models.site import Site

COMPONENTS = ("embeddings", "block_input", *PARTS)
"""Where to exchange: what changes one position of the stream that enters the next layer."""


@dataclass(frozen=True, eq=False)
class Context:
    """What a run needs of the bases, packed row after row; `starts` and `steps` are on the CPU.

    Attributes:
        value: (batch, site) what is exchanged.
        rest: (batch, hidden) what the site's block adds to it.
        suffix: (tokens, hidden) the stream entering the first layer to run, from the exchange on.
        past: for each layer to run, (tokens, 2 hidden) keys and values before the exchange.
        starts: (batch,) tokens of each row before the exchange.
        steps: (batch,) tokens of each row from there on.
    """

    value: Float[Tensor, "batch site"]
    rest: Float[Tensor, "batch hidden"]
    suffix: Float[Tensor, "tokens hidden"]
    past: list[Float[Tensor, "before both"]]
    starts: Int[Tensor, "batch"]
    steps: Int[Tensor, "batch"]

    def rows(self, rows: Int[Tensor, "picked"], device: torch.device) -> "Context":
        """Some of the rows, on a device; `rows` is on the CPU."""
        before, after = _spans(self.starts, rows), _spans(self.steps, rows)
        return Context(
            value=picked(self.value, rows, device),
            rest=picked(self.rest, rows, device),
            suffix=picked(self.suffix, after, device),
            past=[picked(layer, before, device) for layer in self.past],
            starts=self.starts[rows],
            steps=self.steps[rows],
        )

    def to(self, home: torch.device | None) -> "Context":
        """All of it, elsewhere if told where."""
        if home is None:
            return self
        there = {name: getattr(self, name).to(home) for name in ("value", "rest", "suffix")}
        return replace(self, past=[layer.to(home) for layer in self.past], **there)

    @classmethod
    def join(cls, parts: list["Context"]) -> "Context":
        """Several, one after the other."""
        if len(parts) == 1:
            return parts[0]
        past = [torch.cat(layers) for layers in zip(*(part.past for part in parts), strict=True)]
        names = ("value", "rest", "suffix", "starts", "steps")
        return cls(past=past, **{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    @property
    def nbytes(self) -> int:
        """The memory that it takes on the model's device."""
        return sum(tensor.nbytes for tensor in (self.value, self.rest, self.suffix, *self.past))


def _spans(lengths: Int[Tensor, "batch"], rows: Int[Tensor, "picked"]) -> Int[Tensor, "tokens"]:
    """Where the tokens of some rows lie among the packed tokens of all."""
    first = (lengths.cumsum(0) - lengths)[rows]
    return ranks(lengths[rows]) + first.repeat_interleave(lengths[rows])


class ResumedTransformer:
    """A `TransformerLM` cut at a site.

    Args:
        model: frozen; its weights are read here, and no hook of it is called.
        site: one of `COMPONENTS`, and its layer.
    """

    def __init__(self, model: TransformerLM, site: Site):
        native: Any = model.bridge.original_model
        self.device, self.width = model.device, model.config.hidden_size
        self._embed, self._norm, self._head = (inner(part) for part in (native.tok_embed, native.ln_out, native.head))
        self._positions = None if native.pos is None else inner(native.pos)
        self.component, layer = site.component, site.layer
        if self.component == "block_input":  # what enters a block is what the one below gives
            self.component, layer = "block_output", layer - 1
        layer = -1 if self.component == "embeddings" else layer
        blocks = [PackedBlock(model, index) for index in range(model.config.num_layers)]
        self._below, self._site = blocks[: max(layer, 0)], blocks[layer] if layer >= 0 else None
        self.above = blocks[layer + 1 :]

    @torch.no_grad()
    def value(self, ids: Int[Tensor, "batch pos"], at: Int[Tensor, "batch"]) -> Float[Tensor, "batch site"]:
        """The site's value at position `at` of each row of tokens without padding before it; all on the CPU."""
        tokens = Tokens.spans(torch.zeros_like(at), at + 1)
        return self._tapped(ids, tokens, (at + 1).cumsum(0) - 1)[0]

    @torch.no_grad()
    def context(
        self, ids: Int[Tensor, "batch pos"], starts: Int[Tensor, "batch"], steps: Int[Tensor, "batch"]
    ) -> Context:
        """Run rows of tokens and keep what a run from position `starts` on, for `steps` tokens, needs of them."""
        tokens, zero = Tokens.spans(torch.zeros_like(starts), starts + steps), torch.zeros_like(starts)
        value, rest, x = self._tapped(ids, tokens, (starts + steps).cumsum(0) - steps)
        if self._site is not None:
            x = self._site(x, Plan(len(starts), tokens, tokens, None, self.device))
        before = tokens.position < starts[tokens.row]
        # By index from the CPU: a mask there would make the device say how many they are.
        early, late = (one.nonzero()[:, 0].to(self.device) for one in (before, ~before))
        prefix, suffix, past = x.index_select(0, early), x.index_select(0, late), []
        plan = None
        if len(prefix):
            tokens = Tokens.spans(zero, starts)
            plan = Plan(len(starts), tokens, tokens, None, self.device)
        for block in self.above:
            if plan is None:
                past.append(x.new_zeros(0, 2 * self.width))
                continue
            past.append(block.keys_and_values(prefix, plan.key_positions))
            prefix = prefix if block is self.above[-1] else block(prefix, plan)
        return Context(value, rest, suffix, past, starts, steps)

    def context_bytes(self, starts: Int[Tensor, "batch"], steps: Int[Tensor, "batch"]) -> int:
        """About the memory that `context` would take of these rows."""
        numbers = 2 * len(starts) + int(steps.sum()) + 2 * len(self.above) * int(starts.sum())
        return numbers * self.width * self._embed.weight.element_size()

    def _tapped(
        self, ids: Int[Tensor, "batch pos"], tokens: Tokens, chosen: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch site"], Float[Tensor, "batch hidden"], Float[Tensor, "tokens hidden"]]:
        """The site's value and its rest at some tokens, and the stream entering the site's block."""
        there = chosen.to(self.device)
        x = added = self._embed(ids[tokens.row, tokens.position].to(self.device))
        if self._positions is not None:
            added = x + self._positions(tokens.position.to(self.device))
        if self.component == "embeddings":
            return x[there], (added - x)[there], added
        x = added
        if self._below:
            plan = Plan(len(ids), tokens, tokens, None, self.device)
            for block in self._below:
                x = block(x, plan)
        if self._site is None:
            return x[there], torch.zeros_like(x[there]), x
        asking = x[there]
        read = self._site.attend(x, Plan(len(ids), tokens.at(chosen), tokens, None, self.device), queries=asking)
        return *self._site.part(self.component, asking, read), x

    def resume(
        self, value: Float[Tensor, "batch site"], context: Context, where: Bool[Tensor, "batch steps"]
    ) -> Float[Tensor, "kept vocab"]:
        """Logits where asked for, row after row, with another value at the site.

        Args:
            value: of the site at each row's start.
            context: of the rows.
            where: from which of the steps tokens are predicted; on the CPU.
        """
        x = value + context.rest if self._site is None else self._site.onward(self.component, value, context.rest)
        starts, steps, batch = context.starts, context.steps, len(context.starts)
        x = context.suffix.index_copy(0, (steps.cumsum(0) - steps).to(self.device), x)
        tokens, before = Tokens.spans(starts, steps), Tokens.spans(torch.zeros_like(starts), starts)
        asked = where[tokens.row, tokens.position - starts[tokens.row]].nonzero()[:, 0]
        asking = asked.to(self.device)
        if len(self.above) > 1:
            plan = Plan(batch, tokens, tokens, before, self.device)
            for block, past in zip(self.above[:-1], context.past, strict=False):
                x = block(x, plan, past=past)
        queries = x.index_select(0, asking)
        if self.above:
            plan = Plan(batch, tokens.at(asked), tokens, before, self.device)
            queries = self.above[-1](x, plan, queries=queries, past=context.past[-1])
        return self._head(self._norm(queries))
