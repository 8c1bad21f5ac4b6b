"""Networks that learn to add: [P]'s modular ones, and the small language models of the Fourier experiments."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPT2Config
from transformers.utils import ModelOutput

from numsym.errors import InvalidArgumentError, check_name
from numsym.models.build import check_shape
from numsym.models.linear_rnns import gated_deltanet_config, mamba2_config
from numsym.models.modular import ModularTransformer, ModularTransformerConfig
from numsym.models.modular_linear import KINDS, LinearModularConfig, LinearModularModel
from numsym.tasks import ModularAddition, WrittenAdditionTask
from numsym.tasks.addition import AdditionTask

ARCHITECTURES = ("transformer", "gru", "lstm", "mamba2", "gated_deltanet")

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
    task: AdditionTask | WrittenAdditionTask,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    spread: float | None = None,
    seed: int = 0,
) -> nn.Module:
    """An untrained adder with tied embeddings; all but GRU and LSTM are models of Hugging Face.

    Args:
        architecture: "transformer" (a GPT-2), "gru", "lstm", "mamba2", "gated_deltanet".
        task: its vocabulary and length.
        width: d, of embedding and state.
        layers: of all but GRU and LSTM, which have one.
        heads: the same.
        spread: standard deviation of the initial weights, where there are layers; None is what the architecture has,
            GPT-2's 0.02 for one. Addition is learnt far sooner from about width^-0.5.
        seed: of the weights; the global generator is left as it was.

    Raises:
        UnknownNameError: no such architecture.
    """
    options: Any = {"width": width, "layers": layers, "heads": heads, "spread": spread, "seed": seed}
    return build_tied(architecture, task.vocab_size, task.longest, **options)


def build_tied(
    architecture: str,
    vocab_size: int,
    longest: int,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    spread: float | None = None,
    seed: int = 0,
) -> nn.Module:
    """An untrained small language model whose unembedding is its embedding; see `build_adder`.

    Args:
        architecture: the same.
        vocab_size: the number of tokens.
        longest: the most tokens that a transformer takes.
        width: d, of embedding and state.
        layers: of all but GRU and LSTM, which have one.
        heads: the same.
        spread: standard deviation of the initial weights.
        seed: of the weights; the global generator is left as it was.

    Raises:
        UnknownNameError: no such architecture.
    """
    check_name("architecture", architecture, ARCHITECTURES)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if architecture in ("gru", "lstm"):
            return TiedRecurrent(architecture, vocab_size, width)
        if architecture == "transformer":
            config: Any = GPT2Config(**_gpt2(vocab_size, longest, width), n_layer=layers, n_head=heads)
        else:
            shape = {"vocab_size": vocab_size, "hidden_size": width, "num_layers": layers, "num_heads": heads}
            config = {"mamba2": mamba2_config, "gated_deltanet": gated_deltanet_config}[architecture](**shape)
        config.tie_word_embeddings = True
        if spread is not None:
            config.initializer_range = spread
        return AutoModelForCausalLM.from_config(config)


def _gpt2(vocab_size: int, longest: int, width: int) -> Mapping[str, Any]:
    none = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    size = {"vocab_size": vocab_size, "n_positions": longest, "n_embd": width}
    # GPT-2's GELU by torch's own kernel: the same function, at a third of the time of a step here.
    return {**none, **size, "bos_token_id": None, "eos_token_id": None, "activation_function": "gelu_pytorch_tanh"}


def number_rows(model: Any, count: int) -> Float[Tensor, "number hidden"]:
    """The embeddings of the numbers 0..count-1, without gradients."""
    return model.get_input_embeddings().weight.detach()[:count].clone()
