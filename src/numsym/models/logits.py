"""Asking a model for logits: what its forward is given for padded tokens, and which positions it decodes."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.errors import ModelMismatchError
from numsym.tasks import Batch, Task

ANYTHING = "**"
"""Among the names that a forward takes, where it takes any."""


def check_vocabulary(model: nn.Module, task: Task) -> None:
    """Raise `ModelMismatchError` unless the model has a logit for each token of the task."""
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    if size is not None and size < task.vocab_size:
        asked = f"{task.name} has {task.vocab_size} tokens"
        if hasattr(task, "tokenizer"):
            asked = f"the tokenizer of {task.name} gives ids up to {task.vocab_size - 1}: take the model's own"
        raise ModelMismatchError(f"vocab_size={size} of the model is not allowed: {asked}")


def check_positions(model: nn.Module, mask: Bool[Tensor, "batch total"]) -> None:
    """Raise `ModelMismatchError` where a row has more tokens than the model has a table of positions for."""
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    most = getattr(text, "max_position_embeddings", None)
    if most is None or mask.shape[1] <= most:
        return
    longest = int(mask.sum(1).max())
    # Rotary positions go on beyond it; OPT's table begins with two that no token has.
    words = {id(table) for table in [getattr(model, "get_input_embeddings", lambda: None)()] if table is not None}
    tables = [part for part in model.modules() if isinstance(part, nn.Embedding) and id(part) not in words]
    if longest > most and any(table.num_embeddings - most in (0, 2) for table in tables):
        raise ModelMismatchError(
            f"trials of {longest} tokens are not allowed for {type(model).__name__}: it has positions for {most}; "
            "try fewer shots, a shorter template or smaller counts"
        )


def model_inputs(
    model: nn.Module,
    input_ids: Int[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch total"],
    keep: Bool[Tensor, "batch pos"] | None = None,
) -> dict[str, Any]:
    """The arguments of a model's forward for tokens padded on either side.

    Args:
        model: numsym's, transformers', or one whose forward takes `input_ids`.
        input_ids: the tokens.
        mask: False on padding; where it is wider than the tokens, these are the last ones, and a cache has the others.
        keep: the positions to decode, for models that can decode only some; see `kept`.

    Returns:
        `input_ids` and `attention_mask`; `position_ids`, counted from the first real token, where the forward names
        them; `use_cache=False` where it has that; and what makes the model decode `keep` only. A forward that takes no
        `attention_mask` gets none: what it says of real tokens does not depend on padding after them.

    Raises:
        ModelMismatchError: the forward takes no `input_ids`; there is padding on the left, and it takes no
            `attention_mask`; or a row is longer than the model's table of positions.
    """
    takes = arguments_of(model)
    if not takes & {"input_ids", ANYTHING}:
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed: its forward takes no `input_ids`; "
            "numsym.models.load(model) makes an adapter that does, on the same weights"
        )
    check_positions(model, mask)
    given: dict[str, Any] = {"input_ids": input_ids}
    if takes & {"attention_mask", ANYTHING}:
        given["attention_mask"] = mask
    elif not mask[:, 0].all():
        raise ModelMismatchError(
            f"attention_mask with padding on the left is not allowed for {type(model).__name__}: its forward takes none"
        )
    if "use_cache" in takes:
        # The mark of transformers' models, whose masks are 1 and 0.
        given |= {"use_cache": False, "attention_mask": mask.long()}
    if "position_ids" in takes:
        given["position_ids"] = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
    return given if keep is None else given | keep_logits(model, keep)


def arguments_of(model: nn.Module) -> frozenset[str]:
    """The names that a model's forward takes, and `ANYTHING` where it takes any."""
    own: Any = type(model)
    return _parameters(own.forward)


@lru_cache
def _parameters(function: Callable) -> frozenset[str]:
    parameters = inspect.signature(function).parameters
    # Some decoders of transformers pass on what they do not name, `use_cache` among it.
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    passed_on = {"use_cache"} if open_ended and "past_key_values" in parameters else set()
    names = (ANYTHING if one.kind is one.VAR_KEYWORD else one.name for one in parameters.values())
    return frozenset(names) | passed_on


def logits_of(output: Any) -> Tensor:
    """The logits in what a model's forward gives: itself, the first of a tuple, or what is called `logits`.

    Raises:
        ModelMismatchError: there are none.
    """
    found = output
    if isinstance(output, Mapping):
        found = output.get("logits")
    elif isinstance(output, tuple | list) and output:
        found = output[0]
    elif not isinstance(output, Tensor):
        found = getattr(output, "logits", None)
    if not isinstance(found, Tensor):
        raise ModelMismatchError(
            f"model is not allowed: its forward gives {type(output).__name__}, where logits may be a tensor, the first "
            "of a tuple, or `logits` of a dict or an object"
        )
    return found


def keep_logits(model: nn.Module, keep: Bool[Tensor, "batch pos"]) -> dict[str, Tensor]:
    """The argument that makes a model decode only some positions: numsym's by a mask, transformers' by columns."""
    if getattr(model, "keeps_positions", False):
        return {"logits_to_keep": keep}
    return {"logits_to_keep": _columns(keep)} if "logits_to_keep" in arguments_of(model) else {}


def kept(model: nn.Module, logits: Tensor, keep: Bool[Tensor, "batch pos"]) -> Float[Tensor, "kept vocab"]:
    """The logits of those positions, whether or not the model decoded the others too."""
    if getattr(model, "keeps_positions", False):
        return logits
    decoded = keep[:, _columns(keep)] if "logits_to_keep" in arguments_of(model) else keep
    # By index: where `keep` is on the CPU, nothing waits for the logits' device.
    index = decoded.flatten().nonzero()[:, 0].to(logits.device, non_blocking=True)
    return logits.flatten(0, 1).index_select(0, index)


def _columns(keep: Bool[Tensor, "batch pos"]) -> Int[Tensor, "column"]:
    """The positions kept in some row."""
    return keep.any(0).nonzero()[:, 0]


def next_token_logits(
    model: nn.Module, batch: Batch
) -> tuple[Float[Tensor, "kept vocab"], Int[Tensor, "kept"], Bool[Tensor, "batch pos"]]:
    """The logits that predict each predictable token of a batch, those tokens, and where they are predicted from."""
    ids, keep = batch.input_ids, batch.predictable[:, 1:]
    output = model(**model_inputs(model, ids[:, :-1], batch.mask[:, :-1], keep))
    return kept(model, logits_of(output), keep), ids[:, 1:][keep], keep


def by_length(model: nn.Module, batch: Batch, parts: int) -> list[Int[Tensor, "rows"]]:
    """The rows of a batch, in parts of like lengths where padding costs time: on a CPU, unless the model packs."""
    rows = torch.arange(len(batch), device=batch.input_ids.device)
    if rows.device.type != "cpu" or getattr(model, "packs", False):
        return [rows]
    return list(batch.lengths.argsort().chunk(parts))
