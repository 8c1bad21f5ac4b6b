"""GRU and LSTM recurrences over packed sequences, with a backward pass written by hand.

On a CPU, torch's own packed recurrence records every small operation of every step for autograd, and the gradient of
each step's slice is a tensor as large as the whole input. Here the forward keeps the gate activations, the backward
walks the steps once in the other direction, and the gradients of the weights are one product over all steps.

Layout: rows are sorted by length, longest first; step t holds the `sizes[t]` rows that are that long, and the steps lie
one after the other: (tokens, width). Gate order is torch's: GRU r, z, n; LSTM i, f, g, o. A state is (batch, width) for
a GRU and [hidden, cell] for an LSTM.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a masked batch lie in the packed layout.

    Attributes:
        sizes: rows at each step, falling.
        tokens: (tokens,) index of each packed token in the flattened (batch * pos).
        order: (batch,) the rows by length, longest first.
        states: (batch, pos) index into [packed states; starts] of the state that shows at each position: after the last
            token up to it, or the start of the row.
    """

    sizes: list[int]
    tokens: Int[Tensor, "tokens"]
    order: Int[Tensor, "batch"]
    states: Int[Tensor, "batch pos"]

    @classmethod
    def of(cls, mask: Bool[Tensor, "batch pos"]) -> "Packing":
        """The packing of the positions where `mask` is True, in their order."""
        batch, length = mask.shape
        lengths, order = mask.sum(1).sort(descending=True, stable=True)
        columns = torch.argsort(~mask, dim=1, stable=True)
        steps = torch.arange(length, device=mask.device)
        active = steps[:, None] < lengths
        sizes = active.sum(1)
        offsets = sizes.cumsum(0) - sizes
        rank = torch.empty_like(order)
        rank[order] = torch.arange(batch, device=mask.device)
        flat = order * length + columns[order].T
        seen = mask.cumsum(1)
        shown = offsets[(seen - 1).clamp(min=0)] + rank[:, None]
        first = active.sum() + torch.arange(batch, device=mask.device)[:, None]
        return cls(
            sizes=[size for size in sizes.tolist() if size],
            tokens=flat[active],
            order=order,
            states=torch.where(seen > 0, shown, first),
        )


def run_packed(
    rnn: nn.GRU | nn.LSTM,
    inputs: Float[Tensor, "tokens gates"],
    start: Float[Tensor, "batch state"],
    sizes: list[int],
) -> Float[Tensor, "tokens state"]:
    """The state after every packed token.

    Args:
        rnn: the weights; one layer, one direction.
        inputs: the input half of the gates, x W_ih^T + b_ih, packed.
        start: the states before the first step, rows in packed order.
        sizes: rows at each step.
    """
    step = _Gru if isinstance(rnn, nn.GRU) else _Lstm
    return step.apply(inputs, start, rnn.weight_hh_l0, rnn.bias_hh_l0, sizes)


def run_fused(
    rnn: nn.GRU | nn.LSTM, x: Float[Tensor, "tokens in"], start: Float[Tensor, "batch state"], sizes: list[int]
) -> Float[Tensor, "tokens out"]:
    """What torch's own packed recurrence passes on after every packed token: on CUDA that of cuDNN, in one call.

    cuDNN gives gradients in training mode only; without dropout that changes nothing else.

    Args:
        rnn: one layer, one direction, in training mode.
        x: what it takes, packed.
        start: the states before the first step, rows in packed order.
        sizes: rows at each step.
    """
    if not sizes:
        return x.new_zeros(0, rnn.hidden_size)
    carry = tuple(part[None].contiguous() for part in start[: sizes[0]].split(rnn.hidden_size, -1))
    packed = PackedSequence(x, torch.tensor(sizes))
    return rnn(packed, carry if isinstance(rnn, nn.LSTM) else carry[0])[0].data


def _slices(sizes: list[int]) -> list[slice]:
    slices, offset = [], 0
    for size in sizes:
        slices.append(slice(offset, offset + size))
        offset += size
    return slices


def _previous(states: Tensor, start: Tensor, sizes: list[int]) -> Tensor:
    """The state before every packed token."""
    if not sizes:
        return states
    followed = zip(_slices(sizes)[:-1], sizes[1:], strict=True)
    return torch.cat([start[: sizes[0]], *(states[step.start : step.start + size] for step, size in followed)])


class _Recurrence(torch.autograd.Function):
    """What both cells share: which gradients are asked for, and the weights' as one product over all steps."""

    @staticmethod
    def weights(
        ctx: Any, gates: Tensor, hidden: Tensor, start: Tensor, sizes: list[int]
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of W_hh and b_hh from those of the recurrent half of the gates."""
        _, _, weight, bias, _ = ctx.needs_input_grad
        before = _previous(hidden, start, sizes) if weight else None
        return (None if before is None else gates.mT @ before), (gates.sum(0) if bias else None)


class _Gru(_Recurrence):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, start: Tensor, weight: Tensor, bias: Tensor, sizes: list[int]) -> Tensor:
        width, transposed = start.shape[1], weight.mT
        hidden, new, fresh = (inputs.new_empty(len(inputs), width) for _ in range(3))
        reset_update = inputs.new_empty(len(inputs), 2 * width)
        state = start
        for step, size in zip(_slices(sizes), sizes, strict=True):
            state = state[:size]
            gates = torch.addmm(bias, state, transposed)
            ru, n, out = reset_update[step], new[step], hidden[step]
            torch.add(inputs[step, : 2 * width], gates[:, : 2 * width], out=ru).sigmoid_()
            fresh[step] = gates[:, 2 * width :]
            torch.addcmul(inputs[step, 2 * width :], ru[:, :width], gates[:, 2 * width :], out=n).tanh_()
            state = torch.lerp(n, state, ru[:, width:], out=out)
        ctx.save_for_backward(start, weight, hidden, new, fresh, reset_update)
        ctx.sizes = sizes
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        start, weight, hidden, new, fresh, reset_update = ctx.saved_tensors
        width, (grad,) = start.shape[1], outputs
        reset, update = reset_update.split(width, 1)
        before = _previous(hidden, start, ctx.sizes)
        # What does not depend on the gradient from above is computed for all steps at once.
        to_new = (1 - update) * (1 - new * new)
        to_update = (before - new) * update * (1 - update)
        to_reset = fresh * reset * (1 - reset)
        gates = new.new_empty(len(new), 3 * width)
        direct = torch.empty_like(new)
        carry = grad.new_zeros(0, width)
        for step in reversed(_slices(ctx.sizes)):
            dh = grad[step].clone()
            dh[: len(carry)] += carry
            dn = torch.mul(dh, to_new[step], out=direct[step])
            torch.mul(dn, to_reset[step], out=gates[step, :width])
            torch.mul(dh, to_update[step], out=gates[step, width : 2 * width])
            torch.mul(dn, reset[step], out=gates[step, 2 * width :])
            carry = torch.addmm(dh.mul_(update[step]), gates[step], weight)
        d_start = torch.zeros_like(start)
        d_start[: len(carry)] = carry
        d_weight, d_bias = _Recurrence.weights(ctx, gates, hidden, start, ctx.sizes)
        d_inputs = torch.cat([gates[:, : 2 * width], direct], 1) if ctx.needs_input_grad[0] else None
        return d_inputs, d_start, d_weight, d_bias, None


class _Lstm(_Recurrence):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, start: Tensor, weight: Tensor, bias: Tensor, sizes: list[int]) -> Tensor:
        width, transposed = start.shape[1] // 2, weight.mT
        states = inputs.new_empty(len(inputs), 2 * width)
        gates = inputs + bias
        squashed = inputs.new_empty(len(inputs), width)
        state = start
        for step, size in zip(_slices(sizes), sizes, strict=True):
            state, g = state[:size], gates[step]
            g.addmm_(state[:, :width], transposed)
            g[:, : 2 * width].sigmoid_()
            g[:, 2 * width : 3 * width].tanh_()
            g[:, 3 * width :].sigmoid_()
            i, f, c, o = g.split(width, 1)
            out = states[step]
            cell = torch.mul(f, state[:, width:], out=out[:, width:]).addcmul_(i, c)
            torch.mul(o, torch.tanh(cell, out=squashed[step]), out=out[:, :width])
            state = out
        ctx.save_for_backward(start, weight, states, gates, squashed)
        ctx.sizes = sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        start, weight, states, gates, squashed = ctx.saved_tensors
        width, (grad,) = start.shape[1] // 2, outputs
        i, f, c, o = gates.split(width, 1)
        before = _previous(states, start, ctx.sizes)
        to_cell = o * (1 - squashed * squashed)
        factors = torch.cat([c * i * (1 - i), before[:, width:] * f * (1 - f), i * (1 - c * c)], 1)
        to_output = squashed * o * (1 - o)
        d_gates = torch.empty_like(gates)
        carry_h = grad.new_zeros(0, width)
        carry_c = carry_h
        for step in reversed(_slices(ctx.sizes)):
            dh, dc = grad[step, :width].clone(), grad[step, width:].clone()
            dh[: len(carry_h)] += carry_h
            dc[: len(carry_c)] += carry_c
            dc.addcmul_(dh, to_cell[step])
            d = d_gates[step]
            torch.mul(dc.repeat(1, 3), factors[step], out=d[:, : 3 * width])
            torch.mul(dh, to_output[step], out=d[:, 3 * width :])
            carry_h, carry_c = d @ weight, dc.mul_(f[step])
        d_start = torch.zeros_like(start)
        d_start[: len(carry_h)] = torch.cat([carry_h, carry_c], 1)
        d_weight, d_bias = _Recurrence.weights(ctx, d_gates, states[:, :width], start[:, :width], ctx.sizes)
        return d_gates, d_start, d_weight, d_bias, None
