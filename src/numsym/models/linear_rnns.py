"""Small linear RNNs with fresh weights, as classes of transformers: Mamba-2 and Gated DeltaNet.

Their state is linear in itself from token to token: a Mamba-2 decays a matrix by head and adds to it; a Gated DeltaNet
also overwrites what it holds under the same key.

They are transformers' own classes, so that what is trained here is read and run wherever those are. Trained as language
models or on tasks of tokens, they have the site `state` by `numsym.models.load`.
"""

import math
from typing import Any

import torch
from torch import nn

from numsym.errors import InvalidArgumentError, check_at_least

CHUNK = 16
"""Tokens that a training pass of a Mamba-2 runs at once; on a CPU its cost grows with their square."""

TIME_STEPS = "time_step_limits"
"""The entry of a Gated DeltaNet's config that says between which numbers its first time steps are drawn."""

ENDS: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}


def mamba2_config(
    vocab_size: int = 9,
    hidden_size: int = 48,
    num_layers: int = 1,
    num_heads: int = 4,
    state_size: int = 8,
    conv_kernel: int = 4,
) -> Any:
    """The shape of a Mamba-2 (Dao and Gu 2024, arXiv 2405.21060), a `transformers.Mamba2Config`.

    Args:
        vocab_size: the number of tokens.
        hidden_size: the width of the embeddings and of the residual stream; the mixer is twice as wide.
        num_layers: blocks.
        num_heads: of the mixer, of equal width.
        state_size: the state of a head is a matrix with this many columns, and as many rows as the head is wide.
        conv_kernel: tokens that its convolution sees; the last ones are a part of the state too.

    Raises:
        InvalidArgumentError: a number is out of range, or the heads do not divide the mixer's width.
    """
    from transformers import Mamba2Config

    width = _width_of_head(vocab_size, hidden_size, num_layers, num_heads, state_size, conv_kernel)
    return Mamba2Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_heads=num_heads,
        head_dim=width,
        state_size=state_size,
        conv_kernel=conv_kernel,
        n_groups=1,
        chunk_size=CHUNK,
        **ENDS,
    )


def gated_deltanet_config(
    vocab_size: int = 9,
    hidden_size: int = 48,
    num_layers: int = 1,
    num_heads: int = 4,
    state_size: int = 8,
    conv_kernel: int = 4,
) -> Any:
    """The shape of a Gated DeltaNet (Yang et al. 2024, arXiv 2412.06464), a `transformers.Qwen3NextConfig`.

    Qwen3-Next without its layers of attention and without experts: a mixer and an MLP of twice the width in each block.

    Args:
        vocab_size: the number of tokens.
        hidden_size: the width of the embeddings and of the residual stream; the values of all heads are twice as wide.
        num_layers: blocks.
        num_heads: of the mixer, of equal width.
        state_size: the width of a head's keys: its state is keys by values.
        conv_kernel: tokens that its convolution sees; the last ones are a part of the state too.

    Raises:
        InvalidArgumentError: a number is out of range, or the heads do not divide the width of the values.
    """
    from transformers import Qwen3NextConfig

    width = _width_of_head(vocab_size, hidden_size, num_layers, num_heads, state_size, conv_kernel)
    drawn: dict[str, Any] = {TIME_STEPS: [0.001, 0.1]}
    return Qwen3NextConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        intermediate_size=2 * hidden_size,
        linear_num_key_heads=num_heads,
        linear_num_value_heads=num_heads,
        linear_key_head_dim=state_size,
        linear_value_head_dim=width,
        linear_conv_kernel_dim=conv_kernel,
        layer_types=["linear_attention"] * num_layers,
        num_experts=0,
        mlp_only_layers=list(range(num_layers)),
        # Heads of the attention that it does not have.
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
        # transformers' 0.02 is for wide models: here it would take training several times as long.
        initializer_range=hidden_size**-0.5,
        # transformers asks a cache for the length of its first attention, and there is none.
        use_cache=False,
        **drawn,
        **ENDS,
    )


def _width_of_head(
    vocab_size: int, hidden_size: int, num_layers: int, num_heads: int, state_size: int, conv_kernel: int
) -> int:
    """How wide a head is, once the numbers are checked."""
    for name, value in locals().items():
        check_at_least(name, value, 1)
    if 2 * hidden_size % num_heads:
        raise InvalidArgumentError(
            f"num_heads={num_heads} is not allowed with hidden_size={hidden_size}: the mixer is twice as wide, and its "
            "heads must be of equal width"
        )
    return 2 * hidden_size // num_heads


@torch.no_grad()
def draw_gates(model: nn.Module) -> None:
    """Draw the time steps of a Gated DeltaNet as its authors' code does, if its config says between which numbers.

    transformers starts each at softplus(1): a head then forgets nearly all at every token, and does not learn to count.
    """
    config: Any = model.config
    limits = getattr(config, TIME_STEPS, None)
    if limits is None:
        return
    low, high = (math.log(limit) for limit in limits)
    for name, parameter in model.named_parameters():
        if name.endswith("dt_bias"):
            steps = torch.exp(low + (high - low) * torch.rand(parameter.shape)).to(parameter)
            parameter.copy_(steps + torch.log(-torch.expm1(-steps)))  # what softplus makes these of
