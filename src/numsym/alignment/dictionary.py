"""A sparse dictionary in a file: what encodes a state into features, and what each feature writes.

- `NAME.npz` or `NAME.safetensors`: `encoder` (hidden, feature) and `decoder` (feature, hidden); `bias` and `threshold`
  (feature,), zero where they are not there.
- A folder in which SAELens has saved an autoencoder (`sae.save_model(folder)`): `cfg.json`, `sae_weights.safetensors`.

The activation of a feature is max(0, x) where x = h encoder + bias > threshold. SAELens' standard, jumprelu and gated
autoencoders are of this form: a bias that is taken from the input is folded into `bias`, and a gate, which is a
threshold on the same product, into `threshold`. SAELens itself is not imported; its version 6.51 cannot be, beside the
version of TransformerLens that numsym has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from numsym.errors import InvalidArgumentError, NumsymError
from numsym.interventions import dictionary as sparse
from numsym.storage import read_json

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"
KINDS = ("standard", "jumprelu", "gated")


@dataclass(frozen=True)
class Dictionary:
    """A sparse dictionary.

    Attributes:
        encoder: (hidden, feature).
        decoder: (feature, hidden).
        bias, threshold: (feature,).
    """

    encoder: Float[Tensor, "hidden feature"]
    decoder: Float[Tensor, "feature hidden"]
    bias: Float[Tensor, "feature"]
    threshold: Float[Tensor, "feature"]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """As `numsym.interventions.DictionaryIntervention` names them."""
        return {name: getattr(self, name) for name in sparse.FIXED}

    @property
    def digest(self) -> str:
        """SHA-256 of all that it holds."""
        held = b"".join(one.contiguous().numpy().tobytes() for one in self.tensors.values())
        return hashlib.sha256(held).hexdigest()

    def __len__(self) -> int:
        return len(self.decoder)

    def to(self, like: Tensor) -> "Dictionary":
        """On the device of some tensor, in its type."""
        return Dictionary(**{name: one.to(like) for name, one in self.tensors.items()})

    def only(self, features: list[int]) -> "Dictionary":
        """Some of its features, in that order."""
        return Dictionary(self.encoder[:, features], self.decoder[features], self.bias[features],
                          self.threshold[features])  # fmt: skip

    def activations(self, states: Float[Tensor, "n hidden"]) -> Float[Tensor, "n feature"]:
        """Of every feature in each state."""
        return sparse.activations(self.tensors, states)

    @classmethod
    def read(cls, path: str | Path, width: int | None = None, features: int = 1) -> "Dictionary":
        """Read one, in float32 and on the CPU.

        Args:
            path: a file, or a folder.
            width: what its states must have.
            features: how many features it must have at least.

        Raises:
            InvalidArgumentError: there is none, it cannot be read, or it is none for such states.
        """
        try:
            found = cls._of(_saelens(Path(path)) if Path(path).is_dir() else _arrays(Path(path)))
        except NumsymError as error:
            raise InvalidArgumentError(f"dictionary={str(path)!r} is not allowed: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InvalidArgumentError(
                f"dictionary={str(path)!r} is not allowed: no dictionary can be read there ({said}); give a .npz or "
                ".safetensors file with encoder and decoder, or a folder that SAELens has saved"
            ) from error
        own = found.encoder.shape[0]
        if width is not None and own != width:
            raise InvalidArgumentError(
                f"dictionary={str(path)!r} is not allowed: it is for states of width {own}, and the site has {width}"
            )
        if len(found) < features:
            raise InvalidArgumentError(
                f"dictionary={str(path)!r} is not allowed: it has {len(found)} features, and {features} are to be "
                "exchanged; ask for a lower subspace_dim"
            )
        return found

    @classmethod
    def _of(cls, given: Mapping[str, Tensor]) -> "Dictionary":
        for name in ("encoder", "decoder"):
            if name not in given:
                raise InvalidArgumentError(f"it has no {name!r}, only {', '.join(given) or 'nothing'}")
            if given[name].ndim != 2:
                raise InvalidArgumentError(f"{name} has shape {tuple(given[name].shape)}, not two dimensions")
        hidden, count = given["encoder"].shape
        shapes = {"encoder": (hidden, count), "decoder": (count, hidden), "bias": (count,), "threshold": (count,)}
        made = {}
        for name, shape in shapes.items():
            one = given.get(name, torch.zeros(shape)).float()
            if tuple(one.shape) != shape:
                raise InvalidArgumentError(f"{name} has shape {tuple(one.shape)}, but with this encoder it is {shape}")
            if not bool(one.isfinite().all()):
                raise InvalidArgumentError(f"{name} has NaN or infinite values")
            made[name] = one
        return cls(**made)


def _arrays(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    with np.load(path, allow_pickle=False) as read:
        if not isinstance(read, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        return {name: torch.from_numpy(read[name]) for name in read.files}


def _saelens(folder: Path) -> dict[str, Tensor]:
    """The arrays of an autoencoder that SAELens saved, with what it takes from the input and its gate folded in."""
    asked: dict[str, Any] = read_json(folder / CONFIG)
    kind, read = str(asked.get("architecture", "standard")), load_file(folder / WEIGHTS)
    if kind not in KINDS or asked.get("activation_fn", asked.get("activation_fn_str", "relu")) != "relu":
        raise InvalidArgumentError(
            f"it is a {kind!r} autoencoder of SAELens; those that are read are {', '.join(KINDS)}, with ReLUs: which "
            "feature is active in others depends on all features"
        )
    if (norm := asked.get("normalize_activations", "none")) != "none":
        raise InvalidArgumentError(
            f"it normalises its input (normalize_activations={norm!r}), which is not read: let SAELens fold it into "
            "the weights first (`fold_activation_norm_scaling_factor`)"
        )
    weights = {name: one.double() for name, one in read.items()}
    encoder, shift = weights["W_enc"], torch.zeros_like(weights["b_dec"])
    if asked.get("apply_b_dec_to_input", True):
        shift = weights["b_dec"]
    taken = shift @ encoder
    made = {"decoder": weights["W_dec"], "encoder": encoder}
    if kind == "gated":
        scale = weights["r_mag"].exp()
        made["encoder"], made["bias"] = encoder * scale, weights["b_mag"] - taken * scale
        made["threshold"] = weights["b_mag"] - scale * weights["b_gate"]
    else:
        made["bias"] = weights["b_enc"] - taken
        made["threshold"] = weights.get("threshold", torch.zeros_like(taken))
    return made
