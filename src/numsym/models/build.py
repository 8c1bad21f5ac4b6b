"""A model from the `model` entry of a task recipe."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import transformers
from transformers import PretrainedConfig, PreTrainedModel

from numsym.errors import InvalidArgumentError, check_name
from numsym.models.linear_rnns import draw_gates, gated_deltanet_config, mamba2_config
from numsym.models.load import load
from numsym.models.recurrent import RecurrentConfig, RecurrentLM
from numsym.models.transformer import TransformerConfig, TransformerLM

ARCHITECTURES: dict[str, tuple[Callable[..., PretrainedConfig], type[PreTrainedModel] | str]] = {
    "recurrent": (RecurrentConfig, RecurrentLM),
    "transformer": (TransformerConfig, TransformerLM),
    "mamba2": (mamba2_config, "Mamba2ForCausalLM"),
    "gated_deltanet": (gated_deltanet_config, "Qwen3NextForCausalLM"),
}
"""Name in recipes -> its configuration and its class, or the name that transformers has for it."""


def build(vocab_size: int, architecture: str = "recurrent", **shape: Any) -> PreTrainedModel:
    """A new model with weights drawn from torch's global generator.

    Args:
        vocab_size: the number of tokens.
        architecture: "recurrent", "transformer", "mamba2" or "gated_deltanet".
        shape: arguments of `RecurrentConfig`, of `TransformerConfig`, or of `mamba2_config` or `gated_deltanet_config`
            in `numsym.models.linear_rnns`.

    Returns:
        The model; its places are known to pyvene.

    Raises:
        UnknownNameError: no such architecture.
        InvalidArgumentError: the architecture has no such argument, or its value is out of range.

    Example:
        >>> model = build(9, "mamba2", hidden_size=16, state_size=4)
        >>> type(model).__name__, numsym.models.components_of(model)[-1]
        ('Mamba2ForCausalLM', 'state_7')
    """
    check_name("architecture", architecture, ARCHITECTURES)
    config, model = ARCHITECTURES[architecture]
    if isinstance(model, str):
        _check_taken(config, shape)
        made = getattr(transformers, model)(config(vocab_size=vocab_size, **shape))
        draw_gates(made)
        return load(made)
    check_shape(config(vocab_size=vocab_size), shape)
    return model(config(vocab_size=vocab_size, **shape))


def check_shape(config: PretrainedConfig, shape: Mapping[str, Any]) -> None:
    """Raise `InvalidArgumentError` unless a configuration of this kind has all of these arguments."""
    if unknown := sorted(name for name in shape if name not in vars(config)):
        raise InvalidArgumentError(
            f"model has {', '.join(unknown)}, which is not allowed: {type(config).__name__} has no such argument"
        )


def _check_taken(make: Callable[..., Any], shape: Mapping[str, Any]) -> None:
    taken = inspect.signature(make).parameters
    if unknown := sorted(name for name in shape if name not in taken):
        raise InvalidArgumentError(
            f"model has {', '.join(unknown)}, which is not allowed: {make.__name__} takes {', '.join(taken)}"
        )
