"""Any language model, of Hugging Face, TransformerLens or one's own, made known to pyvene and ready to be aligned."""

import os
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from numsym._pyvene import components_of, faults, tabled
from numsym.checked.places import check_device
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.hub import fetch
from numsym.models.adapt import adapt, has_recurrence
from numsym.models.bridge import BridgeAdapter, is_bridge
from numsym.models.cached import show_states
from numsym.models.discover import register_model

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}

ALIGNED = 64
"""Bytes of which the address of a tensor made by PyTorch is a multiple."""


def load(
    model: str | os.PathLike | nn.Module,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    gguf_file: str | None = None,
    **options: Any,
) -> Any:
    """A model by its name on the Hugging Face hub or its folder, or one that is there, for `align` and pyvene.

    What comes back has places by pyvene's names (`numsym.models.components_of(model)`):

    - any decoder, linear RNN or hybrid of transformers: itself, with the residual stream before and after each layer
      (`block_input`, `block_output`), and where the model has them `attention_output`, `mlp_output`, `mlp_activation`,
      `mixer_output`, `attention_value_output` (what the heads read, side by side), `head_attention_value_output` and
      `embeddings`. Names that pyvene has for a class stay as they are. Where the cache holds a recurrent state, that
      is `state`: see `numsym.models.cached`;
    - a recurrent network of one's own, around an `nn.RNN`, `nn.GRU` or `nn.LSTM` or with a loop over a cell: its
      adapter, a `RecurrentAdapter` with `state`;
    - a `TransformerBridge` of TransformerLens: its adapter, a `BridgeAdapter`.

    Args:
        model: such as "gpt2"; or a folder that `save_pretrained` wrote, from transformers or from numsym; or a model,
            which is put in evaluation mode and otherwise left as it is; an adapter shares its weights.
        device: where to put it; the CPU, or where it is.
        dtype: of its weights, such as "bfloat16"; as they were saved, or as they are.
        gguf_file: the file in the folder that holds the model as llama.cpp has it; `model` may also be this file. Its
            weights are dequantised once, to float32 if no `dtype` is given; the model is then like any other. Needs the
            package `gguf` (`pip install numsym[llm]`).
        options: for `AutoModelForCausalLM.from_pretrained`, such as `revision`.

    Returns:
        The model or its adapter, in evaluation mode.

    Raises:
        InvalidArgumentError: it is not there and cannot be downloaded, or `dtype` or `device` is not allowed.
        ModelMismatchError: neither layers nor a recurrence are found in it, or something else is missing; what is
            missing is said at once.

    Example:
        >>> model = numsym.models.load("gpt2", dtype="bfloat16")  # doctest: +SKIP
        >>> numsym.align(model, task, site="block_output:6", program="prompt_sum", variable="sum")  # doctest: +SKIP
        >>> own = numsym.models.load(my_network)  # doctest: +SKIP
        >>> numsym.align(own, task, site="state")  # doctest: +SKIP
    """
    if isinstance(dtype, str) and dtype not in TYPES:
        raise InvalidArgumentError(f"dtype={dtype!r} is not allowed: it must be one of {', '.join(TYPES)}")
    kind = TYPES[dtype] if isinstance(dtype, str) else dtype
    options = options if gguf_file is None else {"gguf_file": gguf_file, **options}
    found: Any = model
    if not isinstance(model, nn.Module):
        given = options if kind is None else {"dtype": kind, **options}
        found = in_own_memory(_dequantised(fetch("model", model, AutoModelForCausalLM.from_pretrained, **given)))
    elif options:
        raise InvalidArgumentError(
            f"{', '.join(options)} is not allowed with a model that is there: it is for one that is read"
        )
    if device is not None:
        check_device(device)
    if device is not None or kind is not None:
        # Not `found.to`: TransformerLens's bridge and quantised models have their own, with other arguments.
        nn.Module.to(found, device=device, dtype=kind)
    return _known(found).eval()


def in_own_memory(model: Any) -> Any:
    """A model whose weights lie where PyTorch would put them.

    In a file they lie one behind the other, and what is read lies likewise: kernels take another way over memory that
    is not aligned, and round differently there, so the same weights would not give the same numbers to the last bit.
    """
    for weight in (*model.parameters(), *model.buffers()):
        if weight.device.type == "cpu" and weight.data_ptr() % ALIGNED:
            weight.data = weight.data.clone()
    return model


def _dequantised(model: Any) -> Any:
    """A model read from GGUF without the marks of quantisation: its weights are plain, and it can be saved as such."""
    quantisation = getattr(model.config, "quantization_config", None)
    if getattr(quantisation, "quant_method", None) == "gguf":
        model.hf_quantizer, model.is_quantized = None, False
        del model.config.quantization_config
    return model


def _known(model: nn.Module) -> nn.Module:
    """The model once pyvene knows its places, or the adapter that has them."""
    if is_bridge(model):
        return BridgeAdapter(model)
    if isinstance(model, PreTrainedModel):
        register_model(model)
        show_states(model)
        return model
    if tabled(model):
        return _named(model)
    if has_recurrence(model) or not hasattr(model, "config"):
        return adapt(model)
    try:
        register_model(model)
        return model
    except ModelMismatchError as error:
        try:
            return adapt(model)
        except ModelMismatchError as other:
            raise ModelMismatchError(f"{error}; as a recurrent network, {other}") from None


def _named(model: nn.Module) -> nn.Module:
    """A model whose places somebody has named, or the adapter where they are those of its recurrence."""
    if not faults(model):
        return model
    try:
        return adapt(model)
    except ModelMismatchError:
        if components_of(model):  # what is left of them can be exchanged
            return model
        raise
