"""A model from the `model` entry of a task recipe."""

from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

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
    check_shape(config(vocab_size=vocab_size), shape)
    return model(config(vocab_size=vocab_size, **shape))


def check_shape(config: PretrainedConfig, shape: Mapping[str, Any]) -> None:
    """Raise `InvalidArgumentError` unless a configuration of this kind has all of these arguments."""
    if unknown := sorted(name for name in shape if name not in vars(config)):
        raise InvalidArgumentError(
            f"model has {', '.join(unknown)}, which is not allowed: {type(config).__name__} has no such argument"
        )
