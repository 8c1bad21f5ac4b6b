"""Where the parts of a Hugging Face model are, found on the model itself and registered with pyvene.

pyvene has tables for some classes of transformers. What they lack, and what they say of other classes, is found here:
the list of layers, in them attention, MLP and mixer by the names that they usually have, and then a run of three tokens
that says which of these places hold one vector a token, and how wide it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from numsym._places import HOOKS, TOKENS, observed
from numsym._tables import SPLIT_HEADS, Component, components_of, register, tabled
from numsym.errors import ModelMismatchError

ATTENTION = ("self_attn", "attn", "attention", "self_attention")
ATTENTION_OUT = ("o_proj", "out_proj", "c_proj", "dense")
MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
MIXER = ("mixer", "mamba", "linear_attn", "rec")
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "word_embed_proj_dim")
HEADS = ("num_attention_heads", "num_heads", "n_head", "n_heads")
HEAD_WIDTHS = ("head_dim",)


def register_model(model: nn.Module) -> tuple[str, ...]:
    """Make pyvene know a model's class: what is registered stays, what is missing is found on the model.

    Args:
        model: with `config` and a forward that takes `input_ids`, such as any causal model of transformers.

    Returns:
        The components of its class.

    Raises:
        ModelMismatchError: no layers are found.
    """
    own = type(model)
    if tabled(model) and not own.__module__.startswith("transformers."):
        return components_of(model)
    found = components(model)
    known = components_of(model) if tabled(model) else ()
    new = {name: place for name, place in found.items() if name not in known}
    heads = {"n_head": next(iter(_known(model, HEADS)))} if any(place.split for place in new.values()) else {}
    register(own, new, **heads)
    return components_of(model)


def components(model: nn.Module) -> dict[str, Component]:
    """The places of a model that hold one vector a token, by pyvene's names where it has one.

    Raises:
        ModelMismatchError: the model has no config, or no list of layers is found in it.
    """
    if not hasattr(model, "config"):
        raise ModelMismatchError(f"model of type {type(model).__name__} is not allowed: pyvene needs its `config`")
    proposed = _proposed(model)
    widths = _widths(model, proposed)
    placed = {}
    for name, place in proposed.items():
        expressions = [*_known(model, WIDTHS)]
        if name == "head_attention_value_output":
            expressions = [*_known(model, HEAD_WIDTHS)]
            expressions += [f"{w}/{h}" for w in _known(model, WIDTHS) for h in _known(model, HEADS)]
        # The width of a class is an entry of the config, so that it holds for each model of the class.
        wanted = widths.get(name)
        if wanted is not None and place.split:
            heads = next((_value(model, path) for path in _known(model, HEADS)), None)
            wanted = wanted // heads if heads and wanted % heads == 0 else None
        matching = [path for path in expressions if wanted is not None and _value(model, path) == wanted]
        if matching:
            placed[name] = replace(place, width=matching[0])
    if "block_output" not in placed:
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed: no list of layers is found in it whose outputs are "
            "one vector a token; name its places with numsym.models.register(cls, components)"
        )
    return placed


def layers_of(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and the list of a model's layers: as many as its config says, else the one with the most weights.

    Raises:
        ModelMismatchError: the model has no list of modules.
    """
    lists = {path: module for path, module in model.named_modules() if isinstance(module, nn.ModuleList) and path}
    if not lists:
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed: no list of layers is found in it; name its places "
            "with numsym.models.register(cls, components)"
        )
    config: Any = model.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    told = getattr(text, "num_hidden_layers", None)
    lists = {path: module for path, module in lists.items() if len(module) == told} or lists
    # A list inside of a layer has fewer weights than the list of the layers.
    path = max(lists, key=lambda path: sum(p.numel() for p in lists[path].parameters()))
    return path, lists[path]


def _proposed(model: nn.Module) -> dict[str, Component]:
    """Where the parts may be; the widths are not known yet."""
    path, layers = layers_of(model)
    layer = f"{path}[%s]"
    places = {"block_input": Component(layer, "", "input"), "block_output": Component(layer, "")}
    for kind, names in (("attention", ATTENTION), ("mlp", MLP), ("mixer", MIXER)):
        part = _first(layers, names)
        if part is not None:
            places[f"{kind}_output"] = Component(f"{layer}.{part}", "")
        if part is not None and kind == "attention":
            out = _first([getattr(one, part) for one in layers if hasattr(one, part)], ATTENTION_OUT)
            if out is not None:
                read = Component(f"{layer}.{part}.{out}", "", "input")
                places["attention_value_output"] = read
                places["head_attention_value_output"] = replace(read, split=SPLIT_HEADS)
    reads = getattr(model, "get_input_embeddings", lambda: None)()
    embedding = [path for path, module in model.named_modules() if module is reads]
    if embedding:
        places["embeddings"] = Component(embedding[0], "")
    return places


def _first(modules: Iterable[nn.Module], names: Iterable[str]) -> str | None:
    """The first of the names that one of the modules has a module under."""
    modules = list(modules)
    return next((name for name in names if any(isinstance(getattr(m, name, None), nn.Module) for m in modules)), None)


def _widths(model: nn.Module, places: Mapping[str, Component]) -> dict[str, int]:
    """The width of each place that holds one vector a token, in a run of a few tokens.

    Raises:
        ModelMismatchError: the model does not run on tokens alone.
    """
    shown = observed(model, {name: (place.path, HOOKS[place.hook]) for name, place in places.items()})
    widths = {}
    for name, layers in shown.items():
        for value, *more in layers:
            if isinstance(value, Tensor) and value.is_floating_point() and value.shape[:-1] == (1, TOKENS) and not more:
                widths[name] = value.shape[-1]
    return widths


def _known(model: Any, names: Iterable[str]) -> Iterator[str]:
    """Those of the names that the config has a number under, or that its nested text config has, as pyvene's paths."""
    config = model.config
    for name in names:
        if isinstance(getattr(config, name, None), int):
            yield name
    for nested, inner in vars(config).items():
        if hasattr(config, "get_text_config") and inner is config.get_text_config() and inner is not config:
            yield from (f"{nested}.{name}" for name in names if isinstance(getattr(inner, name, None), int))


def _value(model: Any, path: str) -> int:
    """What a width means for this model: an entry of its config, or the quotient of two."""
    above, _, below = path.partition("/")
    value: Any = model.config
    for name in above.split("."):
        value = getattr(value, name)
    return value // _value(model, below) if below else value
