"""Alignments as submissions to the causal-variable track of MIB (Mueller et al. 2025, arXiv 2504.13151), and back.

The format is that of github.com/aaronmueller/MIB with its submodule CausalAbstraction at f9ed677. A submission is a
folder with one folder for each variable, `{task}_{ModelClass}_{variable}`; in it each site is three files:

- `ResidualStream(Layer-L,Token-ID)_featurizer` and `..._inverse_featurizer`: checkpoints `{"model_info", "state_dict"}`
  of a map f = x W, error = x - f W^T, with W (hidden, k) orthonormal, and of its inverse f W^T + error;
- `..._indices`: which of the k features are exchanged, as JSON. The track's scripts read it and use it not, so W is
  already cut to the features that are exchanged, and it says `null`: all of them.

Layer L is the output of block L. An exchange of the features is h' = h + (h_source - h) W W^T: an orthogonal
projection, and no other exchange fits. One that is linear but oblique can go with code of its own (`own_code=True`).
"""

import json
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from numsym._pyvene import pv
from numsym.alignment.mib_code import FEATURIZER, OBLIQUE, TOKEN_POSITION
from numsym.alignment.projection import Projection, directions, low_rank_rotation, projection_of, rotation_layer
from numsym.errors import InvalidArgumentError, check_name
from numsym.models.site import Site
from numsym.storage import new_folder, write_text

if TYPE_CHECKING:
    from numsym.alignment.result import AlignmentResult

SUBSPACE, IDENTITY = "SubspaceFeaturizerModule", "IdentityFeaturizerModule"
PARTS = ("_featurizer", "_inverse_featurizer", "_indices")
UNIT = re.compile(r"ResidualStream\(Layer[-_:](\d+),Token[-_:](.+)\)")

TRACK: dict[str, dict[str, tuple[str, ...]]] = {
    "arithmetic": {
        "variables": ("ones_carry",),
        "models": ("Gemma2ForCausalLM", "LlamaForCausalLM"),
        "tokens": ("last", "op2_last"),
    },
    "4_answer_MCQA": {
        "variables": ("answer_pointer", "answer"),
        "models": ("Qwen2ForCausalLM", "Gemma2ForCausalLM", "LlamaForCausalLM"),
        "tokens": ("last_token", "correct_symbol", "correct_symbol_period"),
    },
    "ARC_easy": {
        "variables": ("answer_pointer", "answer"),
        "models": ("Gemma2ForCausalLM", "LlamaForCausalLM"),
        "tokens": ("last_token", "correct_symbol"),
    },
    "ravel_task": {
        "variables": ("Country", "Continent", "Language"),
        "models": ("Gemma2ForCausalLM", "LlamaForCausalLM"),
        "tokens": ("last_token", "entity_last_token"),
    },
}
"""What the track asks at the residual stream, and the names it has for it; of its tokens the last of a prompt first."""


@dataclass(frozen=True)
class MibAlignment:
    """One site of a submission.

    Attributes:
        task, model_class, variable: what the folder is named.
        site, token: the block's output, and the track's name of the token where it is read.
        intervention: the exchange, ready for `pv.IntervenableModel`.
    """

    task: str
    model_class: str
    variable: str
    site: Site
    token: str
    intervention: pv.Intervention


def to_mib(
    results: "Sequence[AlignmentResult]",
    folder: str | os.PathLike,
    *,
    task: str | None = None,
    variables: Mapping[str, str] | None = None,
    token: str | None = None,
    own_code: bool = False,
) -> None:
    """Write a new folder that is a submission, with all results (of several layers, say) in it.

    Args:
        results: with their models.
        folder: new.
        task: the track's name of the task; the results' own if not given.
        variables: the track's name of each variable; those not named keep their own.
        token: the track's name of the token where the exchange happens; the last of the prompt if not given.
        own_code: whether `featurizer.py` and `token_position.py` go with it, by which any linear exchange fits, not
            only an orthogonal one. The track's `verify_submission.py` takes them, but its `evaluate_submission.py`
            reads none but its own featurizers: it would have to call `ObliqueFeaturizer.load_modules` of that file.

    Raises:
        InvalidArgumentError: the track has no name for a site, task, variable, model or token, or a map does not fit.
        RunFolderError: `folder` exists.
    """
    if not results:
        raise InvalidArgumentError("results=[] is not allowed: give at least one")
    units: dict[tuple[str, str], Projection] = {}
    for result in results:
        if result.model is None or result.intervention is None:
            raise InvalidArgumentError("model=None is not allowed: this result was read without it; load it with it")
        name, layer = _named(result, task, type(result.model).__name__), _layer(result.site)
        place = f"ResidualStream(Layer-{layer},Token-{_token(name, token)})"
        for block, own in enumerate(result.variables):
            variable = check_name("variable of MIB", (variables or {}).get(own, own), TRACK[name]["variables"])
            key = (f"{name}_{type(result.model).__name__}_{variable}", place)
            if key in units:
                raise InvalidArgumentError(f"results are not allowed: two of them are {'/'.join(key)}")
            units[key] = projection_of(result.intervention, block if len(result.variables) > 1 else None)
            if not own_code:
                units[key].check_orthogonal("own_code=True writes it with a featurizer.py of its own")
    tasks = sorted({_named(result, task, type(result.model).__name__) for result in results})
    if own_code and len(tasks) > 1:
        raise InvalidArgumentError(f"own_code=True is not allowed for {', '.join(tasks)} at once: write one each")
    with new_folder(folder) as made:
        for (variable, place), projection in units.items():
            (made / variable).mkdir(exist_ok=True)
            _write(projection, made / variable / place, own_code)
        if own_code:
            write_text(made / "featurizer.py", FEATURIZER)
            write_text(made / "token_position.py", TOKEN_POSITION[tasks[0]].format(token=_token(tasks[0], token)))


def _named(result: "AlignmentResult", task: str | None, model: str) -> str:
    name = result.task if task is None else task
    if name not in TRACK:
        raise InvalidArgumentError(
            f"task={name!r} is not allowed: at the residual stream MIB asks {', '.join(TRACK)}; say which of them this "
            "is, as task=NAME"
        )
    if model not in TRACK[name]["models"]:
        raise InvalidArgumentError(
            f"model of type {model} is not allowed: MIB asks {name} of {', '.join(TRACK[name]['models'])}"
        )
    return name


def _token(task: str, token: str | None) -> str:
    return TRACK[task]["tokens"][0] if token is None else check_name("token of MIB", token, TRACK[task]["tokens"])


def _layer(site: Site) -> int:
    """The block whose output the site is."""
    if site == Site("block_output", site.layer):
        return site.layer
    if site == Site("block_input", site.layer) and site.layer > 0:
        return site.layer - 1
    raise InvalidArgumentError(
        f"site={str(site)!r} is not allowed: MIB names the residual stream after a block; align at 'block_output:LAYER'"
    )


def _write(projection: Projection, path: Path, own_code: bool) -> None:
    """The three files of a site."""
    if own_code:
        kinds, config = OBLIQUE, dict[str, Any]()
        state = {"columns": projection.columns.float(), "rows": projection.rows.float()}
    else:
        layer = rotation_layer(projection.basis().float())
        kinds = (SUBSPACE, SUBSPACE.replace("Featurizer", "InverseFeaturizer"))
        config = {"rotation_matrix": directions(layer).clone(), "requires_grad": True}
        state = {f"rotate.{name}": value.clone() for name, value in layer.state_dict().items()}
    info = {
        "featurizer_class": kinds[0],
        "inverse_featurizer_class": kinds[1],
        "n_features": projection.rank,
        "additional_config": config,
    }
    for part in PARTS[:2]:
        torch.save({"model_info": info, "state_dict": state}, path.with_name(path.name + part))
    # Not `write_json`: the track's verifier compares the first line with "null", its end included.
    write_text(path.with_name(path.name + PARTS[2]), "null")


def from_mib(folder: str | os.PathLike) -> list[MibAlignment]:
    """Read a submission, or one variable's folder of it.

    Checkpoints are read with `weights_only=True`, and no code of the submission is run. Indices are heeded: the
    exchange is of the features that they name.

    Raises:
        InvalidArgumentError: there is none, or it has a part that is missing, damaged or of a type that is not known.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidArgumentError(f"folder={str(folder)!r} is not allowed: there is no such folder")
    inner = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [
        _read(variable, path.name.removesuffix(PARTS[0]))
        for variable in inner
        for path in sorted(variable.glob(f"ResidualStream*{PARTS[0]}"))
        if not path.name.endswith(PARTS[1])
    ]
    if not found:
        raise InvalidArgumentError(
            f"folder={str(folder)!r} is not allowed: it holds no ResidualStream(Layer-L,Token-ID)_featurizer"
        )
    return found


def _read(folder: Path, unit: str) -> MibAlignment:
    named, parts = UNIT.fullmatch(unit), re.fullmatch(r"(.+?)_([A-Za-z0-9]+(?:LM|LMHeadModel))_(.+)", folder.name)
    if named is None or parts is None:
        raise InvalidArgumentError(
            f"{str(folder / unit)!r} is not allowed: it must be TASK_MODELCLASS_VARIABLE/"
            "ResidualStream(Layer-L,Token-ID)"
        )
    try:
        checkpoint = torch.load(folder / (unit + PARTS[0]), map_location="cpu", weights_only=True)
        indices = json.loads((folder / (unit + PARTS[2])).read_text(encoding="utf-8"))
        intervention = _intervention(checkpoint["model_info"], checkpoint["state_dict"], indices)
    except (
        OSError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
    ) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidArgumentError(f"{str(folder / unit)!r} is not allowed: it cannot be read ({said})") from error
    site = Site("block_output", int(named[1]))
    return MibAlignment(parts[1], parts[2], parts[3], site, named[2], intervention)


def _intervention(info: Mapping[str, Any], state: Mapping[str, Any], indices: list[int] | None) -> pv.Intervention:
    kind = info["featurizer_class"]
    if kind == SUBSPACE:
        layer = rotation_layer(info["additional_config"]["rotation_matrix"].float())
        layer.load_state_dict({name.removeprefix("rotate."): value for name, value in state.items()})
        basis = directions(layer)
    elif kind == IDENTITY:
        basis = torch.eye(int(info["n_features"]))
    else:
        raise InvalidArgumentError(
            f"featurizer_class={kind!r} is not allowed: {SUBSPACE} and {IDENTITY} are read; others need the code that "
            "came with them"
        )
    if indices is not None:
        if not indices:
            raise InvalidArgumentError("indices=[] is not allowed: nothing would be exchanged")
        basis = basis[:, indices]
    return low_rank_rotation(basis)
