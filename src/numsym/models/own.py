"""A recurrent network of one's own, as a model of which pyvene and numsym can exchange the state.

The network stays as it is: its weights are shared, and around its recurrence it runs its own forward. The adapter finds
the recurrence in a run of a few tokens, shows its states to the sites `state`, `state_1`, ..., and where a site changed
one, runs the network once more with the changed state in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.utils import ModelOutput

from numsym._pyvene import register
from numsym.models.edits import Edits, StateSites, state_components, through_sites
from numsym.models.logits import logits_of
from numsym.models.recurrences import Recurrence, running


class RecurrentAdapterConfig(PretrainedConfig):
    """What was seen of a network: nothing here is given by its author.

    Attributes:
        hidden_size: the width of the state of its first layer.
        widths: of each layer.
        vocab_size: how many logits it gives.
    """

    model_type = "numsym_own"

    def __init__(self, widths: Sequence[int] = (1,), vocab_size: int = 1, **kwargs: Any):
        self.widths, self.hidden_size, self.vocab_size = list(widths), widths[0], vocab_size
        self.num_hidden_layers = len(widths)
        super().__init__(**kwargs)


@dataclass(frozen=True)
class Interface:
    """How a module is called.

    Attributes:
        mask: the type of the `attention_mask` that it takes, if it takes one.
        needs_mask: whether it needs one.
        nothing: what else it needs, such as its first state: None is given for each.
        time_first: whether it wants (pos, batch) and gives (pos, batch, vocab).
    """

    mask: torch.dtype | None = None
    needs_mask: bool = False
    nothing: tuple[str, ...] = ()
    time_first: bool = False

    def __call__(
        self, module: nn.Module, ids: Int[Tensor, "batch pos"], mask: Bool[Tensor, "batch pos"] | None
    ) -> Tensor:
        """The logits, (batch, pos, vocab) of a module that is as it should be. Tokens are given by position."""
        if self.needs_mask and mask is None:
            mask = torch.ones_like(ids, dtype=torch.bool)
        given: dict[str, Any] = dict.fromkeys(self.nothing)
        if mask is not None and self.mask is not None:
            given["attention_mask"] = self._turned(mask).to(self.mask)
        return self._turned(logits_of(module(self._turned(ids), **given)))

    def _turned(self, tensor: Tensor) -> Tensor:
        return tensor.transpose(0, 1) if self.time_first else tensor


@dataclass(frozen=True)
class Layout:
    """Where the real tokens of a padded batch lie: the module sees them without what is padded before or between.

    Attributes:
        order: where each of its positions comes from.
        real: which of these are real.
        shown: which of them shows at each position of the batch.
    """

    order: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]
    shown: Int[Tensor, "batch pos"]

    @classmethod
    def of(cls, mask: Bool[Tensor, "batch pos"] | None) -> "Layout | None":
        """The layout of a mask; None where all padding is on the right already."""
        if mask is None or not bool((mask[:, 1:] & ~mask[:, :-1]).any() | (~mask[:, 0] & mask.any(1)).any()):
            return None
        order = torch.argsort(~mask, dim=1, stable=True)
        return cls(order, mask.gather(1, order), (mask.cumsum(1) - 1).clamp(min=0))

    def packed(self, values: Tensor) -> Tensor:
        """From the batch's positions to the module's."""
        return values.gather(1, self._index(self.order, values))

    def spread(self, values: Tensor) -> Tensor:
        """From the module's positions to the batch's."""
        return values.gather(1, self._index(self.shown, values))

    @staticmethod
    def _index(index: Tensor, values: Tensor) -> Tensor:
        return index if values.ndim == 2 else index[..., None].expand(-1, -1, values.shape[-1])

    def around(self, site: nn.Module) -> Any:
        """A site that sees states at the batch's positions."""
        return lambda states: torch.where(self.real[..., None], self.packed(site(self.spread(states))), states)


@dataclass
class RecurrentAdapterOutput(ModelOutput):
    """What `RecurrentAdapter` returns: `logits`, (batch, pos, vocab)."""

    logits: Float[Tensor, "batch pos vocab"] | None = None


class RecurrentAdapter(nn.Module):
    """A recurrent network of one's own, with pyvene's components `state`, `state_1`, ... of each of its layers.

    A layer is one layer of a fused recurrence, or a cell. Positions, one per example and site, are those of the tokens.

    Attributes:
        module: the network.
        layers: the sites of each layer.
        recurrences: where they are.
        whole: whether the states of one position, of all layers together, decide all that follows it.

    Args:
        module: the network.
        interface: how it is called.
        recurrences: where they are, in the order in which they run.
        config: what was seen of it.
    """

    config: RecurrentAdapterConfig

    def __init__(
        self,
        module: nn.Module,
        interface: Interface,
        recurrences: Sequence[Recurrence],
        config: RecurrentAdapterConfig | None = None,
    ):
        super().__init__()
        self.module, self.interface, self.recurrences = module, interface, tuple(recurrences)
        self.layers = nn.ModuleList(StateSites() for one in recurrences for _ in range(one.layers))
        self.config, self.whole = config or RecurrentAdapterConfig(), True

    def observe(self, ids: Int[Tensor, "batch pos"]) -> None:
        """Run some tokens once, and fill in the config."""
        runs = [self._run(ids, None, {}, layer) for layer in range(len(self.layers))]
        widths = [states.shape[-1] for _, states in runs if states is not None]
        self.config = RecurrentAdapterConfig(widths, runs[0][0].shape[-1])

    def around(self, module: nn.Module) -> "RecurrentAdapter":
        """The same adapter of another network of the same architecture."""
        other = RecurrentAdapter(module, self.interface, self.recurrences, self.config)
        other.whole = self.whole
        return other

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @property
    def state_widths(self) -> dict[int, int]:
        """The width of the state of each layer."""
        return dict(enumerate(self.config.widths))

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    ) -> RecurrentAdapterOutput:
        """Logits of the next token at each position, after whatever hooks the sites.

        Args:
            input_ids: tokens.
            attention_mask: 0 on padding, on either side or between.
        """
        mask = None if attention_mask is None else attention_mask.bool()
        layout = Layout.of(mask)
        if layout is not None:
            input_ids, mask = layout.packed(input_ids), layout.real

        def run(edits: Edits, record: int | None) -> tuple[Tensor, Tensor | None]:
            return self._run(input_ids, mask, edits, record)

        logits = through_sites(self.layers, run, None if layout is None else layout.around)
        return RecurrentAdapterOutput(logits=logits if layout is None else layout.spread(logits))

    def _run(self, ids: Tensor, mask: Tensor | None, edits: Edits, record: int | None) -> tuple[Tensor, Tensor | None]:
        if not edits and record is None:
            return self.interface(self.module, ids, mask), None
        with running(self.module, self.recurrences, edits, record, ids.shape[1]) as run:
            logits = self.interface(self.module, ids, mask)
        return logits, run.states


register(RecurrentAdapter, state_components("layers"))
