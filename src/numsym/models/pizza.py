"""Reading the checkpoints published with [P]: tensors and a JSON file, neither of which is ever evaluated."""

import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models.modular import ModularTransformer, ModularTransformerConfig
from numsym.models.modular_linear import LinearModularConfig, LinearModularModel
from numsym.storage import read_json

ADDITION = re.compile(r"lambda x: ?\(x\[0\] ?\+ ?x\[1\]\) ?% ?([0-9]{1,9})")
"""The one function that is understood: `lambda x: (x[0]+x[1])%59`."""


def load_pizza(
    path: str | os.PathLike, *, config: str | os.PathLike | None = None
) -> ModularTransformer | LinearModularModel:
    """Read a published checkpoint of [P] as a numsym model in evaluation mode, on the CPU.

    Args:
        path: the weights, `model_<run id>.pt`: a state dict, read with `weights_only=True`.
        config: its configuration; by default `config_<run id>.json` beside it. The text of its function is compared
            with addition mod C and never evaluated.

    Raises:
        InvalidArgumentError: one of the two files is missing.
        ModelMismatchError: the file is not a state dict of finite tensors, keys are missing or extra, a shape does not
            fit the configuration (C that is not the vocabulary among them), or the function is not addition mod C.

    Example:
        >>> load_pizza("model_missing.pt")
        Traceback (most recent call last):
        numsym.errors.InvalidArgumentError: path='model_missing.pt' is not allowed: there is no such file
    """
    path = Path(path)
    config_path = path.with_name(f"config_{path.stem.removeprefix('model_')}.json") if config is None else Path(config)
    for name, file in (("path", path), ("config", config_path)):
        if not file.is_file():
            raise InvalidArgumentError(f"{name}={str(file)!r} is not allowed: there is no such file")
    settings = _read_settings(config_path)
    p = _modulus(settings, config_path)
    weights = _read_weights(path)
    build = _linear if "model_type" in settings else _transformer
    return build(settings, p, weights, path).eval()


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = read_json(path)
    except ValueError as error:
        raise ModelMismatchError(f"config={str(path)!r} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise ModelMismatchError(f"config={str(path)!r} is not a JSON object of settings")
    return settings


def _modulus(settings: dict[str, Any], path: Path) -> int:
    p = settings.get("C")
    if not isinstance(p, int) or p < 2:
        raise ModelMismatchError(f"config={str(path)!r} has C={p!r}: the modulus must be an integer of at least 2")
    if settings.get("func") is not None:
        raise ModelMismatchError(f"config={str(path)!r} has func={settings['func']!r}: only addition mod C is read")
    # The linear models of [P] only ever add; their configurations name no function.
    if "funcs" in settings or "model_type" not in settings:
        text = settings.get("funcs")
        match = ADDITION.fullmatch(text) if isinstance(text, str) else None
        if match is None or int(match[1]) != p:
            raise ModelMismatchError(
                f"config={str(path)!r} has funcs={text!r}: it must be addition mod C, 'lambda x: (x[0]+x[1])%{p}'"
            )
    return p


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelMismatchError(f"path={str(path)!r} is not a file of tensors alone: {error}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelMismatchError(f"path={str(path)!r} is not a state dict: it must map names to tensors")
    for name, value in weights.items():
        if not value.isfinite().all():
            raise ModelMismatchError(f"path={str(path)!r} has a value in {name!r} that is not finite")
    return weights


def _require(settings: dict[str, Any], name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    value = settings.get(name)
    if not isinstance(value, kind):
        raise ModelMismatchError(f"the configuration of {str(path)!r} has {name}={value!r}, which is not allowed")
    return value


def _check_layout(weights: dict[str, Tensor], expected: dict[str, tuple[int, ...]], path: Path) -> None:
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or extra:
        raise ModelMismatchError(
            f"path={str(path)!r} does not fit its configuration:"
            f" missing keys {missing or 'none'}, extra keys {extra or 'none'}"
        )
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise ModelMismatchError(
                f"path={str(path)!r} has {name!r} of shape {tuple(weights[name].shape)}, but its configuration"
                f" asks for {shape} (the vocabulary follows from C)"
            )


def _transformer(settings: dict[str, Any], p: int, weights: dict[str, Tensor], path: Path) -> ModularTransformer:
    if settings.get("act_fn", "ReLU") != "ReLU":
        raise ModelMismatchError(f"the configuration of {str(path)!r} has act_fn={settings['act_fn']!r}, not 'ReLU'")
    config = ModularTransformerConfig(
        p=p,
        alpha=_require(settings, "attn_coeff", (int, float), path),
        hidden_size=_require(settings, "d_model", int, path),
        num_hidden_layers=_require(settings, "n_layers", int, path),
        num_attention_heads=_require(settings, "n_heads", int, path),
        separate_vocabularies=bool(_require(settings, "diff_vocab", int, path)),
        equals_sign=bool(_require(settings, "eqn_sign", int, path)),
    )
    width, heads, positions = config.hidden_size, config.num_attention_heads, 3 if config.equals_sign else 2
    expected: dict[str, tuple[int, ...]] = {
        "embed.W_E": (width, config.vocab_size),
        "pos_embed.W_pos": (positions, width),
        "unembed.W_U": (width, config.vocab_size),
    }
    for i in range(config.num_hidden_layers):
        expected |= {f"blocks.{i}.attn.W_{name}": (heads, width // heads, width) for name in "KQV"}
        expected |= {
            f"blocks.{i}.attn.W_O": (width, width),
            f"blocks.{i}.attn.mask": (positions, positions),
            f"blocks.{i}.mlp.W_in": (4 * width, width),
            f"blocks.{i}.mlp.b_in": (4 * width,),
            f"blocks.{i}.mlp.W_out": (width, 4 * width),
            f"blocks.{i}.mlp.b_out": (width,),
        }
    _check_layout(weights, expected, path)
    model = ModularTransformer(config)
    model.load_state_dict(_renamed(weights, config.num_hidden_layers))
    return model


def _renamed(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    state = {
        "embed.weight": weights["embed.W_E"].T,
        "positions.weight": weights["pos_embed.W_pos"],
        "unembed.weight": weights["unembed.W_U"].T,
    }
    for i in range(layers):
        attention, mlp = f"blocks.{i}.attention", f"blocks.{i}.mlp"
        for ours, theirs in (("query", "Q"), ("key", "K"), ("value", "V")):
            state[f"{attention}.{ours}.weight"] = weights[f"blocks.{i}.attn.W_{theirs}"].flatten(0, 1)
        # The mask is left out: attention of [P] is not causal, and the published code does not use it.
        state[f"{attention}.output.weight"] = weights[f"blocks.{i}.attn.W_O"]
        for ours, theirs in (("expand", "in"), ("contract", "out")):
            state[f"{mlp}.{ours}.weight"] = weights[f"{mlp}.W_{theirs}"]
            state[f"{mlp}.{ours}.bias"] = weights[f"{mlp}.b_{theirs}"]
    return state


def _linear(settings: dict[str, Any], p: int, weights: dict[str, Tensor], path: Path) -> LinearModularModel:
    config = LinearModularConfig(
        p=p,
        kind=_require(settings, "model_type", str, path),
        hidden_size=_require(settings, "d_hidden", int, path),
    )
    if settings.get("n_vocab", p) != p:
        raise ModelMismatchError(f"the configuration of {str(path)!r} has n_vocab={settings['n_vocab']!r} but C={p}")
    model = LinearModularModel(config)
    _check_layout(weights, {name: tuple(value.shape) for name, value in model.state_dict().items()}, path)
    model.load_state_dict(weights)
    return model
