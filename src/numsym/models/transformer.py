"""Transformer language models trained here: TransformerLens's native architecture behind a thin pyvene adapter."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import ModelOutput

from numsym._pyvene import SPLIT_HEADS, Component, register
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.models.config import ModelConfig

POSITIONS = ("rotary", "learned", "none")
NORMS = {"rms": "RMS", "layer": "LN", "none": None}
WEIGHTS = "model.safetensors"


class TransformerConfig(ModelConfig):
    """The shape of a `TransformerLM`.

    Args:
        vocab_size: the number of tokens.
        hidden_size: the width of the residual stream; the MLP is four times as wide.
        num_layers: blocks.
        num_heads: attention heads, which divide `hidden_size`.
        positions: "rotary", "learned", or "none" (NoPE: only the causal mask tells order).
        norm: before attention and MLP and at the end: "rms", "layer", or "none".
        max_positions: the most tokens that it takes.

    Raises:
        InvalidArgumentError: one of these is out of range.
        UnknownNameError: no such `positions` or `norm`.
    """

    model_type = "numsym_transformer"

    def __init__(
        self,
        vocab_size: int = 9,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        positions: str = "rotary",
        norm: str = "rms",
        max_positions: int = 256,
        **kwargs: Any,
    ):
        for name, value in (("vocab_size", vocab_size), ("num_layers", num_layers), ("num_heads", num_heads)):
            check_at_least(name, value, 1)
        check_at_least("max_positions", max_positions, 1)
        check_at_least("hidden_size", hidden_size, num_heads)
        check_name("positions", positions, POSITIONS)
        check_name("norm", norm, tuple(NORMS))
        if hidden_size % num_heads:
            raise InvalidArgumentError(
                f"num_heads={num_heads!r} is not allowed: it must divide hidden_size={hidden_size!r}"
            )
        if positions == "rotary" and (hidden_size // num_heads) % 2:
            raise InvalidArgumentError(
                f"num_heads={num_heads!r} is not allowed: rotary positions turn pairs of features, and heads of "
                f"{hidden_size // num_heads} are odd"
            )
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.num_layers, self.num_heads = num_layers, num_heads
        self.positions, self.norm, self.max_positions = positions, norm, max_positions
        super().__init__(**kwargs)


ATTENTION = {
    "query_output": "q.hook_out",
    "key_output": "k.hook_out",
    "value_output": "v.hook_out",
    "attention_value_output": "o.hook_in",
}


def bridge_components(mlp: str) -> dict[str, Component]:
    """Where the parts of a TransformerLens model are that is called `bridge`; `mlp` is the width of its MLPs."""
    block = "bridge.blocks[%s]"
    return {
        "embeddings": Component(path="bridge.embed.hook_out", width="hidden_size"),
        "block_input": Component(path=f"{block}.hook_in", width="hidden_size"),
        "block_output": Component(path=f"{block}.hook_out", width="hidden_size"),
        "attention_output": Component(path=f"{block}.attn.hook_out", width="hidden_size"),
        "mlp_activation": Component(path=f"{block}.mlp.out.hook_in", width=mlp),
        "mlp_output": Component(path=f"{block}.mlp.hook_out", width="hidden_size"),
        **{name: Component(f"{block}.attn.{path}", "hidden_size") for name, path in ATTENTION.items()},
        **{
            f"head_{name}": Component(f"{block}.attn.{path}", "hidden_size/num_heads", split=SPLIT_HEADS)
            for name, path in ATTENTION.items()
        },
    }


@dataclass
class TransformerOutput(ModelOutput):
    """What `TransformerLM` returns: `logits`, (batch, pos, vocab)."""

    logits: Float[Tensor, "batch pos vocab"] | None = None


class TransformerLM(PreTrainedModel):
    """A causal transformer, whose `bridge` is a TransformerLens model: all of its hooks work on it.

    pyvene's components: `embeddings`, and by layer `block_input`, `block_output`, `attention_output`, `mlp_output`,
    `mlp_activation`, `query_output`, `key_output`, `value_output`, `attention_value_output` (what the heads read,
    side by side), and the last four by head under `head_...` (unit "h.pos"). Unit "pos" otherwise.
    """

    config_class = TransformerConfig
    base_model_prefix = "numsym"
    config: TransformerConfig

    def __init__(self, config: TransformerConfig):
        # Here because TransformerLens imports `datasets` and more, which importing numsym must not cost.
        from transformer_lens.config import TransformerBridgeConfig
        from transformer_lens.model_bridge.sources.native import boot

        super().__init__(config)
        settings = TransformerBridgeConfig(
            d_model=config.hidden_size,
            d_head=config.hidden_size // config.num_heads,
            n_heads=config.num_heads,
            n_layers=config.num_layers,
            n_ctx=config.max_positions,
            d_vocab=config.vocab_size,
            act_fn="gelu",
            normalization_type=NORMS[config.norm],
            positional_embedding_type="rotary" if config.positions == "rotary" else "standard",
            device="cpu",
        )
        settings.d_mlp = 4 * config.hidden_size
        self.bridge = boot(settings)  # also `TransformerBridge.boot_native`
        if config.positions == "none":
            # The native model has no NoPE: learned positions that are zero and stay so are the same.
            self.bridge.pos_embed.weight.requires_grad_(False).zero_()
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Keep what TransformerLens drew."""

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    ) -> TransformerOutput:
        """Logits of the next token at each position.

        Args:
            input_ids: tokens.
            attention_mask: 0 on padding, on either side; positions are counted from the first real token.

        Raises:
            InvalidArgumentError: there are more tokens than `max_positions`.
        """
        if input_ids.shape[1] > self.config.max_positions:
            raise InvalidArgumentError(
                f"input_ids with {input_ids.shape[1]} positions is not allowed: the model has "
                f"max_positions={self.config.max_positions}"
            )
        mask = None if attention_mask is None else attention_mask.long()
        return TransformerOutput(logits=self.bridge(input_ids, attention_mask=mask))

    # The bridge reaches each weight by several module paths. TransformerLens's names ("blocks.0.attn.q.weight") give
    # each once, so these are what is saved, loaded and hashed.

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The weights by TransformerLens's names."""
        return self.bridge.state_dict()

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load weights that `state_dict` gave."""
        return self.bridge.load_state_dict(state_dict, strict=strict, assign=assign)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:  # type: ignore[override]
        """Write `config.json` and `model.safetensors`; `from_pretrained` and `AutoModelForCausalLM` read them."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, *args: Any, **kwargs: Any) -> "TransformerLM":  # type: ignore[override]
        """The model that `save_pretrained` wrote into a folder, in evaluation mode."""
        model = cls(kwargs.get("config") or TransformerConfig.from_pretrained(folder))
        model.load_state_dict(load_file(Path(folder) / WEIGHTS))
        return model.eval()


register(TransformerLM, bridge_components(mlp="hidden_size*4"), n_head="num_heads")
AutoConfig.register(TransformerConfig.model_type, TransformerConfig, exist_ok=True)
AutoModelForCausalLM.register(TransformerConfig, TransformerLM, exist_ok=True)
