"""The five linear models of [P] (section 5) that learn a + b mod p without attention."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from numsym._pyvene import Component, register
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.models.config import ModelConfig
from numsym.models.modular import require_one_input

KINDS = ("A", "B", "C", "D", "X")
"""What each computes stands at `LinearModularModel`."""


class LinearModularConfig(ModelConfig):
    """Shape of a `LinearModularModel`.

    Args:
        p: the modulus.
        kind: one of `KINDS`; what each computes stands at `LinearModularModel`.
        hidden_size: width of the hidden layers, and of the embedding (half of it for D).

    Raises:
        InvalidArgumentError: an unknown kind, a size too small, or an odd width for D.
    """

    model_type = "numsym_modular_linear"

    def __init__(self, p: int = 59, kind: str = "A", hidden_size: int = 256, **kwargs: Any):
        check_at_least("p", p, 2)
        check_name("kind of linear model", kind, KINDS)
        check_at_least("hidden_size", hidden_size, 2)
        if kind == "D" and hidden_size % 2:
            raise InvalidArgumentError(f"hidden_size={hidden_size} is not allowed: kind D halves it: make it even")
        self.p = p
        self.kind = kind
        self.hidden_size = hidden_size
        self.embedding_size = hidden_size // 2 if kind == "D" else hidden_size
        self.separate_vocabularies = False
        self.equals_sign = False
        for derived in ("vocab_size", "embedding_size", "separate_vocabularies", "equals_sign"):
            kwargs.pop(derived, None)
        super().__init__(**kwargs)
        self.vocab_size = p


class LinearModularModel(PreTrainedModel):
    """The linear models of [P] (section 5), with embedding E, unembedding U and layers L1, L2.

    A: U relu(L1(Ea + Eb)). B: U relu(L2 relu(L1(Ea + Eb))). C: U relu(L2 relu(L1 Ea + L1 Eb)).
    D: U relu(L1 [Ea; Eb]), E of half the width. X: as A, with an embedding for each operand.
    """

    config_class = LinearModularConfig
    base_model_prefix = ""
    config: LinearModularConfig

    def __init__(self, config: LinearModularConfig):
        super().__init__(config)
        width = config.hidden_size
        self.embed = nn.Embedding(config.p, config.embedding_size)
        self.embed_b = nn.Embedding(config.p, width) if config.kind == "X" else None
        self.l1 = nn.Linear(width, width)
        self.l2 = nn.Linear(width, width) if config.kind in "BC" else None
        self.unembed = nn.Linear(width, config.p, bias=False)
        # Sites to intervene at: the operands (batch, 2, embedding), and each hidden layer (batch, 2, hidden).
        self.embedded, self.hidden_1, self.hidden_2 = nn.Identity(), nn.Identity(), nn.Identity()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.hidden_size**-0.5)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    @property
    def p(self) -> int:
        """The modulus."""
        return self.config.p

    def forward(
        self,
        input_ids: Int[Tensor, "batch 2"] | None = None,
        inputs_embeds: Float[Tensor, "batch 2 hidden"] | None = None,
        *,
        last_only: bool = False,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Logits (batch, 2, p) from tokens (a, b) or from their embeddings; the answer is at the last position.

        At the position of a nothing is computed yet: hidden layers and logits are zero there, so that positions are
        those of the tokens. `last_only` leaves it out, logits (batch, 1, p). Other keywords are ignored.

        Raises:
            InvalidArgumentError: neither or both inputs are given.
        """
        require_one_input(input_ids, inputs_embeds)
        if inputs_embeds is None and input_ids is not None:
            second = self.embed if self.embed_b is None else self.embed_b
            inputs_embeds = torch.stack([self.embed(input_ids[:, 0]), second(input_ids[:, 1])], 1)
        x = self.embedded(inputs_embeds)
        if self.config.kind == "D":
            x = self.l1(x.flatten(-2)).unsqueeze(1)
        elif self.config.kind == "C":
            x = self.l1(x).sum(1, keepdim=True)
        else:
            x = self.l1(x.sum(1, keepdim=True))
        x = x.relu()
        x = self.hidden_1(x if last_only else torch.cat([torch.zeros_like(x), x], 1))
        if self.l2 is not None:
            x = self.l2(x).relu()
            x = self.hidden_2(x if last_only else torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:]], 1))
        return CausalLMOutput(logits=self.unembed(x))

    def operand_embeddings(self) -> tuple[Float[Tensor, "p hidden"], Float[Tensor, "p hidden"]]:
        """The embeddings of every a and of every b."""
        return self.embed.weight, (self.embed if self.embed_b is None else self.embed_b).weight

    def answer_logits(
        self, embed_a: Float[Tensor, "batch hidden"], embed_b: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch p"]:
        """Logits of the p answers from the embeddings of the operands."""
        return self(inputs_embeds=torch.stack([embed_a, embed_b], 1), last_only=True).logits[:, -1]


register(
    LinearModularModel,
    {
        "embeddings": Component(path="embedded", width="embedding_size"),
        "hidden_1": Component(path="hidden_1", width="hidden_size"),
        "hidden_2": Component(path="hidden_2", width="hidden_size"),
    },
)
