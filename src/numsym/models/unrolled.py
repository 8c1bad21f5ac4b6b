"""One layer of torch's recurrences over a sequence: its state after every token, and how it goes on from a changed one.

The whole state: a GRU's or an RNN's hidden state; of an LSTM [hidden, cell], side by side. It is all that a recurrent
layer carries from one token to the next, so going on from a changed state is exact.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym.models.edits import Edit
from numsym.models.recurrence import Packing, run_packed


class Unrolled:
    """What a layer of one recurrence can do; it has `rnn`, of one layer and one direction, batch first.

    `packs`: run masked sequences packed where that pays (False: torch's own recurrence over the padded rectangle).
    """

    rnn: Any
    packs: bool = True

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the parts of a state, side by side: what the layer passes on, and an LSTM's cell state."""
        passed = self.rnn.proj_size or self.rnn.hidden_size
        return (passed, self.rnn.hidden_size) if isinstance(self.rnn, nn.LSTM) else (passed,)

    def output(self, states: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch out"]:
        """The part of the states that the layer above sees."""
        return states[..., : self.widths[0]]

    def states(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None = None,
        start: Float[Tensor, "batch hidden"] | None = None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """The state after every position, from `start` (zeros by default); carried over where `mask` is False."""
        if mask is not None and self._packs(x, mask):
            return self._packed(x, mask, start)
        hidden = self._hidden(x, mask, start)
        if not isinstance(self.rnn, nn.LSTM):
            return hidden
        return torch.cat([hidden, self._cells(x, mask, start, hidden)], -1)

    def edited(
        self,
        edit: Edit,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None = None,
        start: Float[Tensor, "batch hidden"] | None = None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """The states after what a site did to them: as they were before it, changed there, and what follows."""
        if edit.changed.any():
            return self._resume(edit, x, mask)
        return self._stepwise(edit.after - edit.before, x, mask, start)

    def _hidden(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
        start: Float[Tensor, "batch hidden"] | None,
    ) -> Float[Tensor, "batch pos out"]:
        """One fused pass over a rectangle of tokens."""
        parts = self._start(x, start).split(self.widths, -1)
        carry = tuple(part[None].contiguous() for part in parts)
        given = carry if isinstance(self.rnn, nn.LSTM) else carry[0]
        if mask is None:
            return self.rnn(x, given)[0]
        order = torch.argsort(~mask, dim=1, stable=True)
        out = self.rnn(x.gather(1, order[..., None].expand_as(x)), given)[0]
        # Position t shows the state after the last real token up to t, or the start where there is none yet.
        seen = mask.cumsum(1)[..., None].expand(-1, -1, out.shape[-1])
        return torch.cat([parts[0][:, None], out], 1).gather(1, seen)

    def _packed(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"],
        start: Float[Tensor, "batch hidden"] | None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """All states, running only the positions of the mask."""
        start = self._start(x, start)
        packing = Packing.of(mask)
        inputs = nn.functional.linear(x.flatten(0, 1)[packing.tokens], self.rnn.weight_ih_l0, self.rnn.bias_ih_l0)
        states = run_packed(self.rnn, inputs, start[packing.order], packing.sizes)
        return torch.cat([states, start])[packing.states]

    def _packs(self, x: Tensor, mask: Tensor | None) -> bool:
        """Whether to run only real tokens: packing needs the lengths on the CPU, and an accelerator would wait."""
        if not self.packs or mask is None or x.device.type != "cpu":
            return False
        return isinstance(self.rnn, nn.GRU | nn.LSTM) and self.rnn.bias and not self.rnn.proj_size

    def _start(
        self, x: Float[Tensor, "batch pos in"], start: Float[Tensor, "batch hidden"] | None
    ) -> Float[Tensor, "batch hidden"]:
        return x.new_zeros(x.shape[0], sum(self.widths)) if start is None else start

    def _cells(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
        start: Float[Tensor, "batch hidden"] | None,
        hidden: Float[Tensor, "batch pos out"],
    ) -> Float[Tensor, "batch pos cell"]:
        """An LSTM's cell states, which the fused pass does not give.

        All gates follow from the hidden states that it does give, in one product; what is left is the elementwise
        recurrence c_t = f_t c_{t-1} + i_t g_t.
        """
        rnn = self.rnn
        bias_ih, bias_hh = (rnn.bias_ih_l0, rnn.bias_hh_l0) if rnn.bias else (None, None)
        first, cell = self._start(x, start).split(self.widths, -1)
        before = torch.cat([first[:, None], hidden[:, :-1]], 1)
        gates = nn.functional.linear(x, rnn.weight_ih_l0, bias_ih)
        gates = gates + nn.functional.linear(before, rnn.weight_hh_l0, bias_hh)
        i, f, g, _ = gates.chunk(4, -1)
        forget, added = f.sigmoid(), i.sigmoid() * g.tanh()
        if mask is not None:
            forget = torch.where(mask[..., None], forget, 1.0)
            added = torch.where(mask[..., None], added, 0.0)
        cells = []
        for keep, add in zip(forget.unbind(1), added.unbind(1), strict=True):
            cell = torch.addcmul(add, keep, cell)
            cells.append(cell)
        return torch.stack(cells, 1)

    def _resume(
        self, edit: Edit, x: Float[Tensor, "batch pos in"], mask: Bool[Tensor, "batch pos"] | None
    ) -> Float[Tensor, "batch pos hidden"]:
        """Keep the states up to the changed position of each row, take the changed one, and go on from it."""
        batch, length = x.shape[:2]
        at, position = edit.at, torch.arange(length, device=x.device)
        start = edit.after[torch.arange(batch, device=x.device), at]
        follows = at[:, None] + 1 + position
        inside = follows < length
        if mask is not None:
            inside &= mask.gather(1, follows.clamp(max=length - 1))
        suffix = x.gather(1, follows.clamp(max=length - 1)[..., None].expand_as(x))
        longest = int(length - 1 - at.min())
        resumed = start[:, None]
        if longest:
            resumed = torch.cat([resumed, self.states(suffix[:, :longest], inside[:, :longest], start)], 1)
        offset = position - at[:, None]
        tail = resumed.gather(1, offset.clamp(min=0, max=longest)[..., None].expand(-1, -1, resumed.shape[-1]))
        return torch.where((offset >= 0)[..., None], tail, edit.before)

    def _stepwise(
        self,
        nothing: Float[Tensor, "batch pos hidden"],
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
        start: Float[Tensor, "batch hidden"] | None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """The same values, with the gradient of an intervention that (still) is the identity.

        An intervention that starts at zero changes no value, so there is no position to resume from; its gradient is
        that of a zero added to every state on the way.
        """
        state, states = start, []
        for t in range(x.shape[1]):
            state = self.states(x[:, t : t + 1], None if mask is None else mask[:, t : t + 1], state)[:, 0]
            state = state + nothing[:, t]
            states.append(state)
        return torch.stack(states, 1)


class Borrowed(Unrolled):
    """One layer of somebody's `nn.RNNBase`, on the weights that it has; nothing of it is changed."""

    def __init__(self, rnn: nn.RNNBase, layer: int):
        kind = {"GRU": nn.GRU, "LSTM": nn.LSTM, "RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN}[rnn.mode]
        options: dict[str, Any] = {"nonlinearity": rnn.mode.removeprefix("RNN_").lower()} if kind is nn.RNN else {}
        if rnn.proj_size:
            options["proj_size"] = rnn.proj_size
        passed = rnn.proj_size or rnn.hidden_size
        width = passed if layer else rnn.input_size
        # In training mode, since cuDNN gives gradients only there; it has no dropout.
        self.rnn = kind(width, rnn.hidden_size, bias=rnn.bias, batch_first=True, device="meta", **options).train()
        for name in [name for name, _ in self.rnn.named_parameters()]:
            # A weight may be a tensor that is no parameter, such as one under weight norm.
            delattr(self.rnn, name)
            setattr(self.rnn, name, getattr(rnn, name.replace("_l0", f"_l{layer}")))
