"""A model from the `model` entry of a task recipe."""

from typing import Any

from transformers import PreTrainedModel

from numsym.errors import InvalidArgumentError, check_name
from numsym.models.recurrent import RecurrentConfig, RecurrentLM
from numsym.models.transformer import TransformerConfig, TransformerLM

ARCHITECTURES: dict[str, tuple[type, type[PreTrainedModel]]] = {
    "recurrent": (RecurrentConfig, RecurrentLM),
    "transformer": (TransformerConfig, TransformerLM),
}
"""Name in recipes -> its configuration and its class."""


def build(vocab_size: int, architecture: str = "recurrent", **shape: Any) -> PreTrainedModel:
    """A new model with weights drawn from torch's global generator.

    Args:
        vocab_size: the number of tokens.
        architecture: "recurrent" or "transformer".
        shape: arguments of `RecurrentConfig` or `TransformerConfig`.

    Raises:
        UnknownNameError: no such architecture.
        InvalidArgumentError: the architecture has no such argument, or its value is out of range.
    """
    check_name("architecture", architecture, ARCHITECTURES)
    config, model = ARCHITECTURES[architecture]
    made = config(vocab_size=vocab_size)
    unknown = sorted(name for name in shape if name not in vars(made))
    if unknown:
        raise InvalidArgumentError(
            f"model has {', '.join(unknown)}, which is not allowed: {config.__name__} has no such argument"
        )
    return model(config(vocab_size=vocab_size, **shape))
