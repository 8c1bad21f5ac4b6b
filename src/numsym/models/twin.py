"""The untrained twin of a model: the same architecture with fresh weights.

It comes from the constructor (given the model's config, or nothing), else from `reset_parameters`, which torch's own
modules have and one's own may have. Where neither gives every weight anew, there is none.
"""

import contextlib
import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from numsym._tables import STATE_SITES
from numsym.errors import InvalidArgumentError
from numsym.models.bridge import BridgeAdapter
from numsym.models.cached import attach
from numsym.models.linear_rnns import draw_gates
from numsym.models.own import RecurrentAdapter

RESETS = ("reset_parameters", "_reset_parameters")


def twin(model: nn.Module, seed: int) -> nn.Module:
    """The same architecture with fresh weights, frozen, in evaluation mode, where the model is and in its type.

    Args:
        model: is left as it is.
        seed: of the weights; the global generator is left as it is.

    Raises:
        InvalidArgumentError: neither its constructor nor `reset_parameters` gives all of its weights anew.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = _fresh(model)
    weight = next(model.parameters())
    return nn.Module.to(fresh, weight.device, weight.dtype).requires_grad_(False).eval()


def check_twin(model: nn.Module) -> None:
    """Raise what `twin` would raise, as far as it can be known at little cost: models of transformers have one."""
    if not isinstance(model, PreTrainedModel):
        twin(model, 0)


def _fresh(model: Any) -> nn.Module:
    if isinstance(model, RecurrentAdapter):
        return model.around(_fresh(model.module))
    if isinstance(model, BridgeAdapter):
        return BridgeAdapter(_fresh_bridge(model.bridge))
    makers: list[Callable[[], nn.Module]] = []
    if hasattr(model, "config"):
        makers.append(lambda: type(model)(copy.deepcopy(model.config)))
    if not _needed(type(model)):
        makers.append(lambda: type(model)())
    if isinstance(model, PreTrainedModel):
        fresh: Any = makers[0]()
        draw_gates(fresh)
        if hasattr(model, STATE_SITES):
            known: Any = model
            attach(fresh, known.token_by_token, known.state_widths)
        return fresh
    for make in makers:
        # Whatever a constructor of somebody's raises, there is another way.
        with contextlib.suppress(Exception):
            fresh = make()
            # Twice the same is not drawn: trained weights that it reads, say.
            if _shapes(fresh) == _shapes(model) and not _same(fresh, make()):
                return fresh
    return _reset(model)


def _needed(kind: type) -> list[str]:
    """The arguments that a class cannot be made without."""
    taken = inspect.signature(kind).parameters.values()
    return [p.name for p in taken if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in model.named_parameters()}


def _same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def _reset(model: nn.Module) -> nn.Module:
    """A copy of which every weight was drawn again by the part that it belongs to."""
    fresh = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in fresh.parameters():
            if parameter.is_floating_point():
                parameter.fill_(math.nan)
    for part in reversed(list(fresh.modules())):
        for name in RESETS:
            if callable(reset := getattr(part, name, None)):
                reset()
                break
    left = [name for name, parameter in fresh.named_parameters() if parameter.isnan().any()]
    if left:
        raise InvalidArgumentError(
            f"controls with 'untrained' is not allowed for {type(model).__name__}: it is made neither from its config "
            f"nor without arguments, and no `reset_parameters` draws {', '.join(left[:3])}{', ...' * (len(left) > 3)} "
            "anew; give the class that holds it a `reset_parameters`, or name the other controls instead"
        )
    return fresh


def _fresh_bridge(bridge: Any) -> nn.Module:
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
    from transformer_lens.model_bridge.sources.native import boot

    if bridge.cfg.architecture == "TransformerLensNative":
        cfg = copy.deepcopy(bridge.cfg)
        cfg.seed = None  # from torch's generator, which is seeded
        return boot(cfg)
    original = bridge.original_model
    fresh = type(original)(copy.deepcopy(original.config))
    return build_bridge_from_module(fresh, bridge.cfg.architecture, hf_config=fresh.config)
