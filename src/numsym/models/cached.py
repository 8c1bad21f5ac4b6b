"""The state of linear RNNs and hybrids of transformers: what the cache holds after a token, as the site `state`.

In each layer of a Mamba that is the recurrent state and the last inputs of its convolution, side by side; of RWKV, an
xLSTM or a gated DeltaNet likewise what they carry. Layers with attention have none: they carry every key and value.

What a layer says at a token it has said before the state after it is exchanged: so an exchange shows in the predictions
from the next token on. With a site hooked the model runs token by token through its own cache, and so does one whose
forward minds no mask, where padding comes before tokens; otherwise each runs as it always does.
"""

import functools
import inspect
import logging
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from numsym._pyvene import frozen, register
from numsym._tables import STATE_SITES, forget
from numsym.errors import InvalidArgumentError
from numsym.models.discover import layers_of
from numsym.models.edits import Edits, StateSites, state_components, through_sites
from numsym.models.stepping import Slots, Steps, stores

logger = logging.getLogger(__name__)

WIDTH = "cached_state_size"
"""The entry of its config that says how wide they are."""

TOLERANCE = {torch.float32: 1e-2, torch.float64: 1e-4}
"""How far logits of a run token by token may be off, in standard deviations of them."""

CACHES = ("past_key_values", "cache_params", "state")
"""What forwards call their cache."""


@functools.lru_cache
def _forward_of(kind: Any) -> Callable[..., Any]:
    """The forward of a class, but for runs with a hooked site; its signature is the class's."""
    own = kind.forward

    @functools.wraps(own)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        sites, steps = getattr(self, STATE_SITES), self.token_by_token
        given = inspect.signature(own).bind(self, *args, **kwargs).arguments
        given |= given.pop("kwargs", {})
        ids, mask = given.get("input_ids"), given.get("attention_mask")
        hooked = any(layer.hooked for layer in sites if isinstance(layer, StateSites))
        if not hooked and not (given.get(steps.name) is None and steps.needed(ids, mask)):
            return own(self, *args, **kwargs)
        _check_alone(self, "'state'" if hooked else "attention_mask with padding before tokens")
        mask = None if mask is None or bool(mask.bool().all()) else mask.bool()

        def run(edits: Edits, record: int | None) -> tuple[Tensor, Tensor | None]:
            return steps.run(ids, mask, edits, record)

        logits, keep = through_sites(sites, run), given.get("logits_to_keep", 0)
        columns = keep if isinstance(keep, Tensor) else slice(-keep, None) if keep else slice(None)
        return CausalLMOutput(logits=logits[:, columns])

    return forward


def _check_alone(model: nn.Module, why: str) -> None:
    """Raise `InvalidArgumentError` if pyvene also watches a place that a run token by token shows no sequence."""
    for path, part in model.named_modules():
        hooks = (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
        if not path.startswith(STATE_SITES) and any(hook.__module__.startswith("pyvene.") for hook in hooks):
            raise InvalidArgumentError(
                f"{why} is not allowed together with a place at {path!r}: {type(model).__name__} runs token by token "
                "then, so that no other place shows a sequence"
            )


def show_states(model: nn.Module) -> bool:
    """Give a linear RNN or hybrid of transformers its states as the site `state`: whether it has any.

    A run token by token must say what the model says; where it does not, that is logged, and there is no such site.

    Args:
        model: any; what has no cache with a state is left alone.
    """
    if not isinstance(model, PreTrainedModel) or hasattr(model, STATE_SITES):
        return hasattr(model, STATE_SITES)
    name = _cache_of(model)
    if name is None:
        return False
    try:
        with frozen(model):
            steps = Steps(model, name)
            widths, difference = _tried(steps, next(model.parameters()).device)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        widths, difference = {}, f"it fails ({type(error).__name__}: {error})"
    if difference is not None:
        logger.warning("%s has no site 'state': run token by token, %s", type(model).__name__, difference)
        return False
    attach(model, steps, widths)
    return True


def attach(model: Any, like: Steps, widths: dict[int, int]) -> None:
    """Add the sites to a model whose steps and widths are known, of it or of another of its kind."""
    sites = [StateSites() if layer in widths else nn.Module() for layer in range(len(layers_of(model)[1]))]
    model.add_module(STATE_SITES, nn.ModuleList(sites))
    model.token_by_token, model.state_widths = Steps(model, like.name, like.reads_mask), widths
    setattr(model.config, WIDTH, next(iter(widths.values())))
    model.forward = MethodType(_forward_of(type(model)), model)  # type: ignore[arg-type]  # a class is hashable
    register(type(model), state_components(STATE_SITES, WIDTH))
    forget(model)


def _cache_of(model: PreTrainedModel) -> str | None:
    """What the forward calls a cache that holds a state."""
    taken = inspect.signature(type(model).forward).parameters
    name = next((name for name in CACHES if name in taken), None)
    if name == "past_key_values":
        try:
            layers = DynamicCache(config=model.config).layers
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return name if any(stores(layer) for layer in layers) else None
    return name


@torch.no_grad()
def _tried(steps: Steps, device: torch.device) -> tuple[dict[int, int], str | None]:
    """The width of each layer's state, and what is wrong with a run token by token."""
    ids = torch.randint(steps.model.config.vocab_size, (2, 5), generator=torch.Generator().manual_seed(0)).to(device)
    want = type(steps.model).forward(steps.model, ids, use_cache=False).logits
    slots, parts = Slots(steps._start(len(ids))), []
    for t in range(ids.shape[1]):
        parts.append(steps._step(ids, None, t, slots))
    widths = {layer: sum(part[0].numel() for part in own) for layer, own in slots.read().items()}
    mask = torch.ones_like(padded := torch.cat([ids[:, :2], ids], 1))
    mask[:, :2] = 0
    given = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)} if steps.places else {}
    own = type(steps.model).forward(steps.model, padded, attention_mask=mask, use_cache=False, **given).logits[:, 2:]
    off, scale = float((torch.cat(parts, 1) - want).abs().max()), float(want.float().std())
    if not widths:
        return widths, "its cache holds no state"
    near = TOLERANCE.get(want.dtype, 0.2) * scale
    fine, steps.reads_mask = off <= near, float((own - want).abs().max()) <= near
    return widths, None if fine else f"its logits differ by {off:.2g}, of a spread of {scale:.2g}"
