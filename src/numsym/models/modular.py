"""The transformer of [P] that learns a + b mod p, with attention interpolated between the usual and a constant one.

No causal mask and no layer norm. The tokens are (a, b), or (a, b, =); the answer is read at the last position. With
separate vocabularies the second operand b is the token p + b, and the equals
sign is the last token of the vocabulary; an answer is always one of the first p.
"""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from numsym._pyvene import Component, register
from numsym.errors import InvalidArgumentError, ModelMismatchError, check_at_least, check_between
from numsym.models.config import ModelConfig


class ModularTransformerConfig(ModelConfig):
    """Shape of a `ModularTransformer`.

    Args:
        p: the modulus.
        alpha: 1 is the usual attention, 0 gives every position the constant weight 1 ([P] section 2).
        hidden_size: width of the residual stream; the MLP is four times as wide.
        num_hidden_layers: blocks.
        num_attention_heads: heads, which divide `hidden_size`.
        separate_vocabularies: give b its own p tokens.
        equals_sign: put a third token `=` after b, where the answer is read.

    Raises:
        InvalidArgumentError: `alpha` is outside 0..1, a size is too small, or the heads do not divide the width.
    """

    model_type = "numsym_modular_transformer"

    def __init__(
        self,
        p: int = 59,
        alpha: float | int = 1.0,
        hidden_size: int = 128,
        num_hidden_layers: int = 1,
        num_attention_heads: int = 4,
        separate_vocabularies: bool = False,
        equals_sign: bool = False,
        **kwargs: Any,
    ):
        check_at_least("p", p, 2)
        check_between("alpha", alpha, 0.0, 1.0, why="it weighs the usual attention against the constant one")
        check_at_least("num_hidden_layers", num_hidden_layers, 1)
        check_at_least("num_attention_heads", num_attention_heads, 1)
        check_at_least("hidden_size", hidden_size, num_attention_heads)
        if hidden_size % num_attention_heads:
            raise InvalidArgumentError(
                f"num_attention_heads={num_attention_heads} is not allowed: it must divide hidden_size={hidden_size}"
            )
        self.p = p
        self.alpha = float(alpha)
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.separate_vocabularies = bool(separate_vocabularies)
        self.equals_sign = bool(equals_sign)
        kwargs.pop("vocab_size", None)
        super().__init__(**kwargs)
        self.vocab_size = p * (2 if self.separate_vocabularies else 1) + int(self.equals_sign)


class InterpolatedAttention(nn.Module):
    """Attention whose weights are alpha * softmax + (1 - alpha), over all positions ([P] section 2)."""

    def __init__(self, config: ModularTransformerConfig):
        super().__init__()
        width = config.hidden_size
        self.alpha = config.alpha
        self.heads = config.num_attention_heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))
        # A site to read the weights at: (batch, head, query, key).
        self.pattern = nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch pos hidden"], *, last_only: bool = False
    ) -> Float[Tensor, "batch query hidden"]:
        """What attention adds at every position, or at the last one alone."""
        asking = x[:, -1:] if last_only else x
        query, key, value = (
            rearrange(part, "batch pos (head size) -> batch head pos size", head=self.heads)
            for part in (self.query(asking), self.key(x), self.value(x))
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = self.pattern(self.alpha * scores.softmax(-1) + (1 - self.alpha))
        return self.output((weights @ value).transpose(1, 2).flatten(-2))


class ReluMLP(nn.Module):
    """Linear, ReLU, linear; four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.expand = nn.Linear(width, 4 * width)
        self.activation = nn.ReLU()
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "batch pos hidden"]) -> Float[Tensor, "batch pos hidden"]:
        """What the MLP adds at every position."""
        return self.contract(self.activation(self.expand(x)))


class ModularBlock(nn.Module):
    """Attention and MLP, each added to the residual stream."""

    def __init__(self, config: ModularTransformerConfig):
        super().__init__()
        self.attention = InterpolatedAttention(config)
        self.mlp = ReluMLP(config.hidden_size)

    def forward(
        self, x: Float[Tensor, "batch pos hidden"], *, last_only: bool = False
    ) -> Float[Tensor, "batch query hidden"]:
        """The residual stream after the block, at every position or at the last one alone."""
        x = (x[:, -1:] if last_only else x) + self.attention(x, last_only=last_only)
        return x + self.mlp(x)


class ModularTransformer(PreTrainedModel):
    """The transformer of [P] (section 2): learned positions, no layer norm, ReLU, attention interpolated by alpha."""

    config_class = ModularTransformerConfig
    base_model_prefix = ""
    config: ModularTransformerConfig

    def __init__(self, config: ModularTransformerConfig):
        super().__init__(config)
        width = config.hidden_size
        self.embed = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(3 if config.equals_sign else 2, width)
        # A site to intervene at: token and position together.
        self.embedded = nn.Identity()
        self.blocks = nn.ModuleList(ModularBlock(config) for _ in range(config.num_hidden_layers))
        self.unembed = nn.Linear(width, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # Every matrix starts at N(0, 1 / width), the unembedding at N(0, 1 / vocabulary), biases at 0, as in [P].
        if isinstance(module, nn.Linear | nn.Embedding):
            size = self.config.vocab_size if module is self.unembed else self.config.hidden_size
            nn.init.normal_(module.weight, std=size**-0.5)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    @property
    def p(self) -> int:
        """The modulus."""
        return self.config.p

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"] | None = None,
        inputs_embeds: Float[Tensor, "batch pos hidden"] | None = None,
        *,
        last_only: bool = False,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Logits (batch, pos, vocab); the answer is at the last position.

        Args:
            input_ids: (batch, 2) tokens (a, b), or (batch, 3) with the equals sign. Fewer are read as they are, as an
                interchange does that takes its source from the embeddings of a: attention sees only what is there.
            inputs_embeds: token embeddings instead, before positions are added.
            last_only: compute the last position alone, logits (batch, 1, vocab): the same numbers for less work.
            kwargs: ignored; what Hugging Face callers pass along (`attention_mask`, ...).

        Raises:
            InvalidArgumentError: neither or both inputs are given.
            ModelMismatchError: there are more positions than the model has, or none.
        """
        require_one_input(input_ids, inputs_embeds)
        x = self.embed(input_ids) if inputs_embeds is None else inputs_embeds
        if not 1 <= x.shape[1] <= self.positions.num_embeddings:
            raise ModelMismatchError(
                f"input_ids has {x.shape[1]} positions, but this model reads {self.positions.num_embeddings}"
                f" (equals_sign={self.config.equals_sign})"
            )
        x = self.embedded(x + self.positions.weight[: x.shape[1]])
        final = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x = block(x, last_only=last_only and i == final)
        return CausalLMOutput(logits=self.unembed(x))

    def operand_embeddings(self) -> tuple[Float[Tensor, "p hidden"], Float[Tensor, "p hidden"]]:
        """The token embeddings of every a and of every b, before positions are added."""
        start = self.p if self.config.separate_vocabularies else 0
        return self.embed.weight[: self.p], self.embed.weight[start : start + self.p]

    def answer_logits(
        self, embed_a: Float[Tensor, "batch hidden"], embed_b: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch p"]:
        """Logits of the p answers from the token embeddings of the operands."""
        parts = [embed_a, embed_b]
        if self.config.equals_sign:
            parts.append(self.embed.weight[-1].expand_as(embed_a))
        return self(inputs_embeds=torch.stack(parts, 1), last_only=True).logits[:, -1, : self.p]


register(
    ModularTransformer,
    {
        "token_embeddings": Component(path="embed", width="hidden_size"),
        "embeddings": Component(path="embedded", width="hidden_size"),
        "attention_output": Component(path="blocks[%s].attention", width="hidden_size"),
        "mlp_activation": Component(path="blocks[%s].mlp.activation", width="hidden_size*4"),
        "mlp_output": Component(path="blocks[%s].mlp", width="hidden_size"),
        "block_input": Component(path="blocks[%s]", width="hidden_size", hook="input"),
        "block_output": Component(path="blocks[%s]", width="hidden_size"),
    },
)


def require_one_input(input_ids: Tensor | None, inputs_embeds: Tensor | None) -> None:
    """Raise `InvalidArgumentError` unless exactly one of the two is given."""
    if (input_ids is None) == (inputs_embeds is None):
        raise InvalidArgumentError("input_ids and inputs_embeds: give exactly one of them")
