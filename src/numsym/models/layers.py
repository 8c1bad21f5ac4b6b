"""One recurrent layer whose states can be intervened on.

pyvene treats a model as stateless when each of its sites is called once a forward. So a layer runs torch's fused
recurrence over the whole sequence, shows all its states to a site (an identity module that pyvene hooks), sees at which
position the site changed them, and resumes the recurrence from there with a second fused pass. This is exact: the
state is all that a recurrent layer carries from one token to the next.

A site takes one position per example, since pyvene computes the values of all positions of a call from the same,
untouched states. Further sites, passed through one after the other, take the following positions in order.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError
from numsym.models.recurrence import Packing, run_packed

SITES = 8
"""Sites of a layer: `state`, `state_1`, ..., free of cost where nothing hooks them."""


class RecurrentLayer(nn.Module):
    """A GRU or LSTM layer over states of width `hidden_size`; an LSTM's are [hidden, cell], half the width each.

    `packs`: run masked sequences packed where that pays (False: torch's own recurrence over the padded rectangle).
    """

    packs: bool = True

    def __init__(self, cell: str, input_size: int, hidden_size: int):
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cell = cell
        self.rnn = kind(input_size, self.output_size(cell, hidden_size), batch_first=True)
        self.sites = nn.ModuleList(nn.Identity() for _ in range(SITES))

    @staticmethod
    def output_size(cell: str, hidden_size: int) -> int:
        """The width of what a layer passes on: the whole state of a GRU, the hidden half of an LSTM's."""
        return hidden_size if cell == "gru" else hidden_size // 2

    def output(self, states: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch out"]:
        """The part of the states that the layer above sees."""
        return states[..., : self.rnn.hidden_size]

    def forward(
        self, x: Float[Tensor, "batch pos in"], mask: Bool[Tensor, "batch pos"] | None
    ) -> Float[Tensor, "batch pos out"]:
        """The layer's outputs, after whatever hooks the sites."""
        hooked = [site for site in self.sites if site._forward_hooks or site._forward_pre_hooks]
        if not hooked and not self._packs(x, mask):
            return self._hidden(x, mask, None)
        states, last = self.states(x, mask), None
        for site in hooked:
            states, last = self._through(site, states, last, x, mask)
        return self.output(states)

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
        if self.cell == "gru":
            return hidden
        return torch.cat([hidden, self._cells(x, mask, start, hidden)], -1)

    def train(self, mode: bool = True) -> "RecurrentLayer":
        """As usual, but for the fused recurrence: cuDNN gives gradients only in training mode (there is no dropout)."""
        super().train(mode)
        self.rnn.train()
        return self

    def _hidden(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
        start: Float[Tensor, "batch hidden"] | None,
    ) -> Float[Tensor, "batch pos out"]:
        """One fused pass over a rectangle of tokens."""
        halves = self._start(x, start).split(self.rnn.hidden_size, -1)
        carry = [half[None].contiguous() for half in halves]
        if mask is None:
            return self.rnn(x, carry[0] if self.cell == "gru" else tuple(carry))[0]
        order = torch.argsort(~mask, dim=1, stable=True)
        out = self.rnn(x.gather(1, order[..., None].expand_as(x)), carry[0] if self.cell == "gru" else tuple(carry))[0]
        # Position t shows the state after the last real token up to t, or the start where there is none yet.
        seen = mask.cumsum(1)[..., None].expand(-1, -1, out.shape[-1])
        return torch.cat([halves[0][:, None], out], 1).gather(1, seen)

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
        return self.packs and mask is not None and x.device.type == "cpu"

    def _start(
        self, x: Float[Tensor, "batch pos in"], start: Float[Tensor, "batch hidden"] | None
    ) -> Float[Tensor, "batch hidden"]:
        if start is not None:
            return start
        return x.new_zeros(x.shape[0], self.rnn.hidden_size * (1 if self.cell == "gru" else 2))

    def _cells(
        self,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
        start: Float[Tensor, "batch hidden"] | None,
        hidden: Float[Tensor, "batch pos out"],
    ) -> Float[Tensor, "batch pos out"]:
        """An LSTM's cell states, which the fused pass does not give.

        All gates follow from the hidden states that it does give, in one product; what is left is the elementwise
        recurrence c_t = f_t c_{t-1} + i_t g_t.
        """
        rnn, size = self.rnn, self.rnn.hidden_size
        first, cell = self._start(x, start).split(size, -1)
        before = torch.cat([first[:, None], hidden[:, :-1]], 1)
        gates = nn.functional.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0)
        gates = gates + nn.functional.linear(before, rnn.weight_hh_l0, rnn.bias_hh_l0)
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

    def _through(
        self,
        site: nn.Module,
        before: Float[Tensor, "batch pos hidden"],
        last: Tensor | None,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
    ) -> tuple[Float[Tensor, "batch pos hidden"], Tensor | None]:
        """The states after one site, and the position (batch,) that was changed last in each row."""
        # pyvene writes into the tensor that it hooks.
        after = site(before.clone())
        with torch.no_grad():
            same = (after == before) | (after.isnan() & before.isnan())
            changed = ~same.all(-1)
        if not changed.any():
            return (self._stepwise(before, after, x, mask) if after.requires_grad else before), last
        at = self._position(changed, last)
        return self._resume(before, after, at, x, mask), torch.where(changed.any(1), at, -1 if last is None else last)

    @staticmethod
    def _position(changed: Bool[Tensor, "batch pos"], last: Tensor | None) -> Tensor:
        """The one position changed in each row; where none was, the row's end, from which nothing follows."""
        if (changed.sum(1) > 1).any():
            raise InvalidArgumentError(
                "unit_locations is not allowed: one `state` site changed several positions of an example, so that "
                "the later ones were computed from states that the earlier ones should have changed; give each "
                "further position its own component, in order: state, state_1, state_2, ..."
            )
        at = torch.where(changed.any(1), changed.int().argmax(1), changed.shape[1] - 1)
        if last is not None and (changed.any(1) & (at < last)).any():
            raise InvalidArgumentError(
                "unit_locations is not allowed: a later site changes an earlier position than the site before it; "
                "the positions of state, state_1, ... must not fall"
            )
        return at

    def _resume(
        self,
        before: Float[Tensor, "batch pos hidden"],
        after: Float[Tensor, "batch pos hidden"],
        at: Tensor,
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """Keep `before` up to position `at` of each row, take `after` there, and run the recurrence on from it."""
        batch, length = x.shape[:2]
        position = torch.arange(length, device=x.device)
        start = after[torch.arange(batch, device=x.device), at]
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
        return torch.where((offset >= 0)[..., None], tail, before)

    def _stepwise(
        self,
        before: Float[Tensor, "batch pos hidden"],
        after: Float[Tensor, "batch pos hidden"],
        x: Float[Tensor, "batch pos in"],
        mask: Bool[Tensor, "batch pos"] | None,
    ) -> Float[Tensor, "batch pos hidden"]:
        """The same values, with the gradient of an intervention that (still) is the identity.

        An intervention that starts at zero changes no value, so there is no position to resume from; its gradient is
        that of a zero added to every state on the way.
        """
        nothing, state, states = after - before, None, []
        for t in range(x.shape[1]):
            state = self.states(x[:, t : t + 1], None if mask is None else mask[:, t : t + 1], state)[:, 0]
            state = state + nothing[:, t]
            states.append(state)
        return torch.stack(states, 1)
