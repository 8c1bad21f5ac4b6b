"""GRU and LSTM language models that resume exactly from a state that an intervention changed ([N] section 3.2)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import ModelOutput

from numsym._pyvene import register
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.models.config import ModelConfig
from numsym.models.edits import state_components
from numsym.models.layers import RecurrentLayer

CELLS = ("gru", "lstm")


class RecurrentConfig(ModelConfig):
    """The shape of a `RecurrentLM`.

    Args:
        cell: "gru" or "lstm".
        vocab_size: the number of tokens.
        hidden_size: the width d of the embeddings and of the state. An LSTM's state is its hidden and its cell state,
            d/2 each ([N]), so d must be even.
        num_layers: recurrent layers.
        layer_norm: whether the decoder normalises its hidden layer.

    Raises:
        InvalidArgumentError: one of these is out of range.
    """

    model_type = "numsym_recurrent"

    def __init__(
        self,
        cell: str = "gru",
        vocab_size: int = 9,
        hidden_size: int = 48,
        num_layers: int = 1,
        layer_norm: bool = True,
        **kwargs: Any,
    ):
        check_name("cell", cell, CELLS)
        check_at_least("vocab_size", vocab_size, 1)
        check_at_least("num_layers", num_layers, 1)
        check_at_least("hidden_size", hidden_size, 1 if cell == "gru" else 2)
        if cell == "lstm" and hidden_size % 2:
            raise InvalidArgumentError(
                f"hidden_size={hidden_size!r} is not allowed: an LSTM's state is two halves, so it must be even"
            )
        self.cell, self.vocab_size, self.hidden_size = cell, vocab_size, hidden_size
        self.num_layers, self.layer_norm = num_layers, layer_norm
        super().__init__(**kwargs)


@dataclass
class RecurrentOutput(ModelOutput):
    """What `RecurrentLM` returns: `logits`, (batch, pos, vocab), or (kept, vocab) with `logits_to_keep`."""

    logits: Float[Tensor, "*batch vocab"] | None = None


class RecurrentLM(PreTrainedModel):
    """Embedding, recurrent layers, and [N]'s decoder: Linear(d, 4d), GELU, LayerNorm, Linear(4d, vocab).

    Each layer has the pyvene component `state` (unit "pos", any position per example; further positions through
    `state_1`, `state_2`, ...): see `numsym.models.edits`.
    """

    config_class = RecurrentConfig
    base_model_prefix = "numsym"
    keeps_positions = True  # `logits_to_keep` is a mask of positions
    packs = True  # padding costs it no time on a CPU
    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig):
        super().__init__(config)
        d = config.hidden_size
        self.embed = nn.Embedding(config.vocab_size, d)
        widths = [d] + [RecurrentLayer.output_size(config.cell, d)] * config.num_layers
        self.layers = nn.ModuleList(RecurrentLayer(config.cell, width, d) for width in widths[:-1])
        norm = [nn.LayerNorm(4 * d)] if config.layer_norm else []
        self.decoder = nn.Sequential(
            nn.Linear(widths[-1], 4 * d), nn.GELU(), *norm, nn.Linear(4 * d, config.vocab_size)
        )
        self.post_init()

    @property
    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, from the embedding up."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what torch's own constructors drew."""

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        logits_to_keep: Bool[Tensor, "batch pos"] | None = None,
    ) -> RecurrentOutput:
        """Logits of the next token at each position.

        Args:
            input_ids: tokens.
            attention_mask: 0 on padding, on either side or between; there the state is carried over unchanged.
            logits_to_keep: decode only these positions, in row-major order: (kept, vocab) logits.
        """
        hidden = self.embed(input_ids)
        mask = None if attention_mask is None else attention_mask.bool()
        for layer in self.recurrent_layers:
            hidden = layer(hidden, mask)
        if logits_to_keep is not None:
            hidden = hidden[logits_to_keep]
        return RecurrentOutput(logits=self.decoder(hidden))

    def states(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    ) -> list[Float[Tensor, "batch pos hidden"]]:
        """The state of every layer after every token, without interventions."""
        hidden, states = self.embed(input_ids), []
        mask = None if attention_mask is None else attention_mask.bool()
        for layer in self.recurrent_layers:
            states.append(layer.states(hidden, mask))
            hidden = layer.output(states[-1])
        return states

    def step(
        self, token: Int[Tensor, "batch"], states: list[Float[Tensor, "batch hidden"]]
    ) -> tuple[Float[Tensor, "batch vocab"], list[Float[Tensor, "batch hidden"]]]:
        """Consume one token from given states: the logits of the next one, and the new states of every layer."""
        hidden, after = self.embed(token)[:, None], []
        for layer, start in zip(self.recurrent_layers, states, strict=True):
            after.append(layer.states(hidden, None, start)[:, 0])
            hidden = layer.output(after[-1])[:, None]
        return self.decoder(hidden[:, 0]), after

    @torch.no_grad()
    def generate(
        self,
        input_ids: Int[Tensor, "batch pos"],
        states: list[Float[Tensor, "batch hidden"]] | None = None,
        *,
        max_new_tokens: int = 50,
        eos_token_id: int | None = None,
        pad_token_id: int = 0,
    ) -> Int[Tensor, "batch new"]:
        """Consume `input_ids` from any states, then go on greedily with the model's own tokens.

        Args:
            input_ids: at least one token a row.
            states: of every layer before `input_ids`; by default those of the beginning. The states after an
                intervention go here.
            max_new_tokens: the most tokens to add.
            eos_token_id: the token after which a row is filled up.
            pad_token_id: what it is filled up with.

        Returns:
            The new tokens alone.
        """
        states = self.initial_states(len(input_ids)) if states is None else states
        for position in range(input_ids.shape[1]):
            logits, states = self.step(input_ids[:, position], states)
        ended, new = torch.zeros_like(input_ids[:, 0], dtype=torch.bool), []
        for _ in range(max_new_tokens):
            new.append(torch.where(ended, pad_token_id, logits.argmax(-1)))
            ended = ended | (new[-1] == eos_token_id) if eos_token_id is not None else ended
            if bool(ended.all()):
                break
            logits, states = self.step(new[-1], states)
        return torch.stack(new, 1)

    def initial_states(self, batch: int) -> list[Float[Tensor, "batch hidden"]]:
        """The states before the first token: zeros."""
        return [self.embed.weight.new_zeros(batch, self.config.hidden_size) for _ in self.layers]


register(RecurrentLM, state_components("layers"))
AutoConfig.register(RecurrentConfig.model_type, RecurrentConfig, exist_ok=True)
AutoModelForCausalLM.register(RecurrentConfig, RecurrentLM, exist_ok=True)
