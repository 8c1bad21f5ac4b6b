"""A transformer's blocks over packed tokens, with the keys and values of cached prefixes.

The tokens of several rows lie one after the other, without padding, so that norms, projections and MLPs cost what the
tokens cost. Attention alone spreads them over a padded batch. What a block computes is what the `TransformerLM` that
it is taken from computes (tested equal); no hook of the model sees it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.models.transformer import TransformerLM

PARTS = ("attention_value_output", "attention_output", "mlp_activation", "mlp_output", "block_output")
"""What `PackedBlock.part` gives: each changes only its own position of the block's output."""


@dataclass(frozen=True)
class Tokens:
    """Which tokens lie where, row after row and rising within a row; on the CPU, since sizes are made of them.

    Attributes:
        row: (tokens,) the row of each.
        position: (tokens,) its position among the row's real tokens.
    """

    row: Int[Tensor, "tokens"]
    position: Int[Tensor, "tokens"]

    @classmethod
    def spans(cls, starts: Int[Tensor, "batch"], lengths: Int[Tensor, "batch"]) -> "Tokens":
        """In each row the `lengths` tokens from `starts` on."""
        row = torch.arange(len(lengths)).repeat_interleave(lengths)
        return cls(row, ranks(lengths) + starts[row])

    def at(self, index: Int[Tensor, "picked"] | Bool[Tensor, "tokens"]) -> "Tokens":
        """Some of them, in their order."""
        return Tokens(self.row[index], self.position[index])

    def __len__(self) -> int:
        return len(self.row)


def ranks(lengths: Int[Tensor, "batch"]) -> Int[Tensor, "tokens"]:
    """0, 1, ... within each of several spans of these lengths."""
    ends = lengths.cumsum(0)
    return torch.arange(int(lengths.sum())) - (ends - lengths).repeat_interleave(lengths)


class Plan:
    """Which queries see which keys: those of their row at their position or before.

    Args:
        batch: how many rows there are.
        queries: the tokens that ask.
        keys: the tokens whose keys and values are computed.
        past: the tokens whose keys and values are given, if there are any.
        device: where the model is.
    """

    def __init__(self, batch: int, queries: Tokens, keys: Tokens, past: Tokens | None, device: torch.device):
        self.batch = batch
        many = torch.bincount(queries.row, minlength=batch)
        positions = [side.position for side in (keys, past) if side is not None and len(side)]
        self.steps, self.total = int(many.max()), 1 + max(int(one.max()) for one in positions)
        places = queries.row * self.steps + ranks(many)
        last = torch.zeros(batch * self.steps, dtype=torch.long).index_copy(0, places, queries.position)
        seen = torch.arange(self.total) <= last.view(batch, 1, self.steps, 1)
        self.places, self.mask = places.to(device), seen.to(device)
        self.key_places = (keys.row * self.total + keys.position).to(device)
        self.past_places = None if past is None else (past.row * self.total + past.position).to(device)
        self.query_positions, self.key_positions = queries.position.to(device), keys.position.to(device)


class PackedBlock:
    """One block of a `TransformerLM` over packed tokens."""

    def __init__(self, model: TransformerLM, layer: int):
        native: Any = model.bridge.original_model
        block = inner(native.layers[layer])
        attention, mlp = inner(block.attn), inner(block.mlp)
        self.norms = inner(block.ln1), inner(block.ln2)
        self.q, self.o = inner(attention.q), inner(attention.o)
        parts = inner(attention.k), inner(attention.v)
        self.kv = [torch.cat([getattr(p, name).detach() for p in parts]) for name in ("weight", "bias")]
        self.fc_in, self.act, self.fc_out = inner(mlp.fc_in), mlp.act, inner(mlp.fc_out)
        self.heads, self.scale, self.rotary = attention.n_heads, 1 / attention.scale, attention.rotary

    @cached_property
    def turns(self) -> Tensor | None:
        """For each position, the rotation of each pair of features of a head, as complex numbers."""
        if self.rotary is None:
            return None
        cos, sin = (
            table.float().unflatten(-1, (-1, 2)).select(-1, 0)
            for table in (self.rotary.cos_cached, self.rotary.sin_cached)
        )
        return torch.complex(cos, sin)

    def _turned(self, x: Float[Tensor, "tokens hidden"], positions: Int[Tensor, "tokens"]) -> Tensor:
        if self.turns is None:
            return x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        pairs = torch.view_as_complex(wide.view(len(x), self.heads, -1, 2))
        turns = self.turns.index_select(0, positions).unsqueeze(1)
        return torch.view_as_real(pairs * turns).reshape(x.shape).to(x.dtype)

    def keys_and_values(
        self, x: Float[Tensor, "tokens hidden"], positions: Int[Tensor, "tokens"]
    ) -> Float[Tensor, "tokens both"]:
        """Keys, turned to their positions, and values, side by side, of the block's input."""
        keys, values = nn.functional.linear(self.norms[0](x), *self.kv).chunk(2, -1)
        return torch.cat([self._turned(keys, positions), values], -1)

    def attend(
        self,
        x: Float[Tensor, "tokens hidden"],
        plan: Plan,
        *,
        queries: Float[Tensor, "asking hidden"] | None = None,
        past: Float[Tensor, "past both"] | None = None,
    ) -> Float[Tensor, "asking hidden"]:
        """What the heads of each query read, side by side, before the output projection.

        Args:
            x: the block's input at the plan's keys.
            plan: where everything goes.
            queries: the block's input at the plan's queries, if they are not its keys.
            past: keys and values at the plan's past.
        """
        asking = x if queries is None else queries
        width, kv = x.shape[-1], self.keys_and_values(x, plan.key_positions)
        # Zeros, since a masked value counts nothing times what it is, which must not be infinite.
        spread = kv.new_zeros(plan.batch * plan.total, 2 * width)
        if past is not None and plan.past_places is not None:
            spread.index_copy_(0, plan.past_places, past)
        keys, values = (
            spread.index_copy(0, plan.key_places, kv)
            .view(plan.batch, plan.total, 2, self.heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        turned = self._turned(self.q(self.norms[0](asking)), plan.query_positions)
        wanted = turned.new_zeros(plan.batch * plan.steps, width).index_copy(0, plan.places, turned)
        wanted = wanted.view(plan.batch, plan.steps, self.heads, -1).transpose(1, 2)
        read = nn.functional.scaled_dot_product_attention(wanted, keys, values, attn_mask=plan.mask, scale=self.scale)
        return read.transpose(1, 2).reshape(-1, width).index_select(0, plan.places)

    def part(
        self, component: str, x: Float[Tensor, "tokens hidden"], read: Float[Tensor, "tokens hidden"]
    ) -> tuple[Float[Tensor, "tokens part"], Float[Tensor, "tokens hidden"]]:
        """The value of a component of the block, and what `onward` needs beside it to go on from there.

        Args:
            component: one of `PARTS`.
            x: the block's input.
            read: what the heads read there.
        """
        if component == "attention_value_output":
            return read, x
        added = self.o(read)
        if component == "attention_output":
            return added, x
        x = x + added
        active = self.act(self.fc_in(self.norms[1](x)))
        if component == "mlp_activation":
            return active, x
        added = self.fc_out(active)
        return (added, x) if component == "mlp_output" else (x + added, torch.zeros_like(x))

    def onward(
        self, component: str, value: Float[Tensor, "tokens part"], rest: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"]:
        """The block's output from the value of a component and what `part` gave beside it."""
        if component == "attention_value_output":
            value = self.o(value)
        if component == "mlp_activation":
            value = self.fc_out(value)
        x = rest + value
        return x + self.fc_out(self.act(self.fc_in(self.norms[1](x)))) if component.startswith("attention") else x

    def __call__(
        self, x: Float[Tensor, "tokens hidden"], plan: Plan, **given: Tensor
    ) -> Float[Tensor, "asking hidden"]:
        """The block's output at the plan's queries; arguments as for `attend`."""
        return self.onward("attention_value_output", self.attend(x, plan, **given), given.get("queries", x))


def inner(module: Any) -> Any:
    """The plain module within one of TransformerLens's bridge components, or the module itself."""
    return getattr(module, "original_component", None) or module
