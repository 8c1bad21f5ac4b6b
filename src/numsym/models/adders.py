"""Networks that learn to add: [P]'s modular ones, and the small language models of the Fourier experiments."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import ModelOutput

from numsym.errors import InvalidArgumentError, check_name
from numsym.models.build import check_shape
from numsym.models.modular import ModularTransformer, ModularTransformerConfig
from numsym.models.modular_linear import KINDS, LinearModularConfig, LinearModularModel
from numsym.tasks import ModularAddition
from numsym.tasks.addition import AdditionTask

ARCHITECTURES = ("transformer", "gru", "lstm")

ModularNetwork = ModularTransformer | LinearModularModel


def build_modular(task: ModularAddition, *, seed: int = 0, kind: str = "transformer", **shape: Any) -> ModularNetwork:
    """An untrained network for modular addition: a transformer, or the linear model A, B, C, D or X.

    Args:
        task: says p, the vocabularies and the equals sign.
        seed: of the weights; the global generator is left as it was.
        kind: "transformer" or a linear kind.
        shape: further options of `ModularTransformerConfig` (alpha, hidden_size, ...) or `LinearModularConfig`.

    Raises:
        UnknownNameError: no such kind.
        InvalidArgumentError: a linear model is asked for with separate vocabularies or an equals sign, or the shape is
            not allowed.
    """
    check_name("kind of modular adder", kind, ("transformer", *KINDS))
    vocabulary = task.vocabulary
    written = {"separate_vocabularies": vocabulary.separate_vocabularies, "equals_sign": vocabulary.equals_sign}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "transformer":
            check_shape(ModularTransformerConfig(), shape)
            return ModularTransformer(ModularTransformerConfig(p=task.p, **written, **shape))
        if any(written.values()):
            raise InvalidArgumentError(f"kind={kind!r} is not allowed: linear models read (a, b) of one vocabulary")
        check_shape(LinearModularConfig(), shape)
        return LinearModularModel(LinearModularConfig(p=task.p, kind=kind, **shape))


class TiedRecurrent(nn.Module):
    """A recurrent language model whose unembedding is its embedding: one GRU or LSTM layer, then an MLP back to d.

    Args:
        cell: "gru" or "lstm".
        vocab_size: the number of tokens.
        width: d, of embedding and state.
    """

    def __init__(self, cell: str, vocab_size: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](width, width, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def get_input_embeddings(self) -> nn.Embedding:
        """The embedding, which is the unembedding too."""
        return self.embedding

    def forward(self, input_ids: Int[Tensor, "batch pos"]) -> ModelOutput:
        """Logits of the next token at each position, as a Hugging Face model returns them."""
        hidden = self.decoder(self.recurrent(self.embedding(input_ids))[0])
        return ModelOutput(logits=hidden @ self.embedding.weight.mT)


def build_adder(
    architecture: str,
    task: AdditionTask,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    spread: float | None = None,
    seed: int = 0,
) -> nn.Module:
    """An untrained adder with tied embeddings; the transformer is a Hugging Face GPT-2, which pyvene knows.

    Args:
        architecture: "transformer", "gru" or "lstm".
        task: its vocabulary and length.
        width: d, of embedding and state.
        layers: of the transformer.
        heads: of the transformer.
        spread: standard deviation of the transformer's initial weights; None is GPT-2's 0.02. Modular addition is
            learnt far sooner from about width^-0.5.
        seed: of the weights; the global generator is left as it was.

    Raises:
        UnknownNameError: no such architecture.
    """
    check_name("architecture", architecture, ARCHITECTURES)
    shape = _gpt2(task, width, layers, heads, 0.02 if spread is None else spread)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if architecture == "transformer":
            return GPT2LMHeadModel(GPT2Config(**shape))
        return TiedRecurrent(architecture, task.vocab_size, width)


def _gpt2(task: AdditionTask, width: int, layers: int, heads: int, spread: float) -> Mapping[str, Any]:
    none = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    size = {"vocab_size": task.vocab_size, "n_positions": 3 * task.digits + 2, "n_embd": width}
    ends = {"bos_token_id": None, "eos_token_id": None, "tie_word_embeddings": True}
    return {**none, **size, **ends, "n_layer": layers, "n_head": heads, "initializer_range": spread}


def number_rows(model: Any, count: int) -> Float[Tensor, "number hidden"]:
    """The embeddings of the numbers 0..count-1, without gradients."""
    return model.get_input_embeddings().weight.detach()[:count].clone()
