"""A `TransformerBridge` of TransformerLens, booted from transformers or natively, as a model of pyvene and numsym."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers import PretrainedConfig

from numsym._pyvene import register
from numsym.models.transformer import TransformerOutput, bridge_components


def is_bridge(module: nn.Module) -> bool:
    """Whether a module is a bridge; TransformerLens is not imported to see it."""
    return any(kind.__name__ == "TransformerBridge" for kind in type(module).__mro__)


class BridgeAdapterConfig(PretrainedConfig):
    """The shape of a bridge, from its own `cfg`, by the names that numsym's transformers have."""

    model_type = "numsym_bridge"

    def __init__(self, **shape: Any):
        self.hidden_size = self.mlp_size = self.num_heads = self.num_layers = 1
        super().__init__(**shape)


class BridgeAdapter(nn.Module):
    """A bridge with pyvene's components by the names of `TransformerLM`, those that it has.

    Attributes:
        bridge: as it is; its own hooks work.
    """

    foreign = True
    config: BridgeAdapterConfig

    def __init__(self, bridge: Any):
        super().__init__()
        self.bridge = bridge
        cfg = bridge.cfg
        self.config = BridgeAdapterConfig(
            hidden_size=cfg.d_model,
            mlp_size=cfg.d_mlp or 4 * cfg.d_model,
            num_heads=cfg.n_heads,
            num_layers=cfg.n_layers,
            vocab_size=cfg.d_vocab,
        )

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    ) -> TransformerOutput:
        """Logits of the next token at each position.

        Args:
            input_ids: tokens.
            attention_mask: 0 on padding, on either side.
        """
        mask = None if attention_mask is None else attention_mask.long()
        return TransformerOutput(logits=self.bridge(input_ids, attention_mask=mask))

    # The bridge reaches each weight by several module paths, and gives each once by TransformerLens's names.

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The weights by TransformerLens's names."""
        return self.bridge.state_dict()

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load weights that `state_dict` gave."""
        return self.bridge.load_state_dict(state_dict, strict=strict, assign=assign)


register(BridgeAdapter, bridge_components(mlp="mlp_size"), n_head="num_heads")
