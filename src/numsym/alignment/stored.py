"""A learned intervention in files: tensors as safetensors, the rest as JSON.

Reading one unpickles nothing and imports nothing that the files name: its type is looked up among pyvene's, those of
`numsym.interventions` and those registered in `ALIGNMENTS`. pyvene's own format is read by the same rule, its pickles
with `weights_only=True`; `pv.IntervenableModel.load` itself imports whatever type a `config.json` names.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from numsym import interventions
from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS
from numsym.errors import InvalidArgumentError, NumsymError, check_name
from numsym.storage import read_json, write_json

TENSORS, FIELDS = "intervention.safetensors", "intervention.json"

BUILT_WITH = ("keep_last_dim", "subspace_partition", "low_rank_dimension", "latent_dim")
"""What a constructor takes besides the width."""


def intervention_types() -> dict[str, type[pv.Intervention]]:
    """Every type that a file may name: "pyvene.NAME", "numsym.interventions.NAME", or where a registered one stands."""
    named: dict[str, type[pv.Intervention]] = {}
    for home, module in (("pyvene", pv), ("numsym.interventions", interventions)):
        named |= {f"{home}.{name}": kind for name, kind in vars(module).items() if _is_type(kind)}
    others = [ALIGNMENTS[name].kind for name in ALIGNMENTS if ALIGNMENTS[name].kind not in named.values()]
    return named | {_full_name(kind): kind for kind in others}


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, pv.Intervention)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def write_intervention(intervention: pv.Intervention | None, folder: Path) -> None:
    """Write into a folder that is there.

    Raises:
        InvalidArgumentError: there is nothing to write, or its type is none of `intervention_types`.
    """
    if intervention is None:
        raise InvalidArgumentError(
            "intervention=None is not allowed: a result that was read without its model has none"
        )
    name = next((name for name, kind in intervention_types().items() if kind is type(intervention)), None)
    if name is None:
        raise InvalidArgumentError(
            f"intervention of type {_full_name(type(intervention))} is not allowed: register it in "
            "numsym.alignment.ALIGNMENTS, so that it can be read again"
        )
    state = intervention.state_dict()
    tensors = {name: value.detach().cpu().clone() for name, value in state.items() if isinstance(value, Tensor)}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / TENSORS)
    built_with = {field: getattr(intervention, field, None) for field in BUILT_WITH}
    others = {name: value for name, value in state.items() if name not in tensors}
    write_json(folder / FIELDS, {"type": name, "built_with": built_with, "state": others})


def read_intervention(folder: Path) -> pv.Intervention:
    """Read what `write_intervention` or pyvene wrote, on the CPU.

    Raises:
        InvalidArgumentError: there is none, it is damaged, or its type is none of `intervention_types`.
    """
    try:
        return _read(folder) if (folder / FIELDS).is_file() else _read_pyvenes(folder)
    except NumsymError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidArgumentError(
            f"path={str(folder)!r} is not allowed: it holds no intervention that can be read ({said})"
        ) from error


def _read(folder: Path) -> pv.Intervention:
    read = read_json(folder / FIELDS)
    known = intervention_types()
    kind = known[check_name("intervention type", read["type"], known)]
    made = _rebuilt(kind, read["built_with"], {**load_file(folder / TENSORS), **read["state"]})
    # The constructor takes a block of two coordinates for a range.
    made.subspace_partition = read["built_with"]["subspace_partition"]
    return made


def _read_pyvenes(folder: Path) -> pv.Intervention:
    """The only intervention of a folder in pyvene's format, which may be at several places."""
    config = read_json(folder / "config.json")
    known = {f"<class '{_full_name(kind)}'>": kind for kind in intervention_types().values()}
    (name,), place = set(config["intervention_types"]), config["representations"][0]
    kind = known[check_name("intervention type", name, known)]
    built_with = dict(zip(pv.RepresentationConfig._fields, place, strict=False))
    binaries = sorted(folder.glob("intkey_*.bin"))
    state, *others = (torch.load(binary, map_location="cpu", weights_only=True) for binary in binaries)
    for other in others:
        for key, value in state.items():
            if isinstance(value, Tensor) and not torch.equal(value, other[key]):
                raise ValueError("the interventions of its places differ")
    return _rebuilt(kind, built_with, state)


def _rebuilt(kind: type[pv.Intervention], built_with: Mapping[str, Any], state: Mapping[str, Any]) -> pv.Intervention:
    """As pyvene rebuilds one: from the fields of its representation, then its state dict."""
    fields = {name: built_with[name] for name in BUILT_WITH if built_with.get(name) is not None}
    if "embed_dim" in state:
        fields["embed_dim"] = int(state["embed_dim"])
    with torch.random.fork_rng(devices=[]):
        made = kind(**fields)
    made.load_state_dict(state)
    return made
