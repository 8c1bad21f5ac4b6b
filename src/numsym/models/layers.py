"""One recurrent layer whose states can be intervened on.

pyvene treats a model as stateless when each of its sites is called once a forward. So a layer runs torch's fused
recurrence over the whole sequence, shows all its states to a site (an identity module that pyvene hooks), sees at which
position the site changed them, and resumes the recurrence from there with a second fused pass. This is exact: the
state is all that a recurrent layer carries from one token to the next.
"""

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym.models.edits import Edit, StateSites, edit_of
from numsym.models.unrolled import Unrolled


class RecurrentLayer(Unrolled, StateSites):
    """A GRU or LSTM layer over states of width `hidden_size`; an LSTM's are [hidden, cell], half the width each."""

    def __init__(self, cell: str, input_size: int, hidden_size: int):
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cell = cell
        self.rnn: Any = kind(input_size, self.output_size(cell, hidden_size), batch_first=True)

    @staticmethod
    def output_size(cell: str, hidden_size: int) -> int:
        """The width of what a layer passes on: the whole state of a GRU, the hidden half of an LSTM's."""
        return hidden_size if cell == "gru" else hidden_size // 2

    def forward(
        self, x: Float[Tensor, "batch pos in"], mask: Bool[Tensor, "batch pos"] | None
    ) -> Float[Tensor, "batch pos out"]:
        """The layer's outputs, after whatever hooks the sites."""
        hooked = self.hooked
        if not hooked and not self._packs(x, mask):
            return self._hidden(x, mask, None)
        states, earlier = self.states(x, mask), None
        for site in hooked:
            edit: Edit | None = edit_of(site, states, earlier)
            if edit is not None:
                states, earlier = self.edited(edit, x, mask), edit
        return self.output(states)

    def train(self, mode: bool = True) -> "RecurrentLayer":
        """As usual, but for the fused recurrence: cuDNN gives gradients only in training mode (there is no dropout)."""
        super().train(mode)
        self.rnn.train()
        return self
