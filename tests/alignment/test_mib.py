"""Submissions to MIB's causal-variable track, checked against its format as published and against their exchange."""

import ast
import dataclasses
import os
import pickle
import runpy
import sys
import types
from pathlib import Path

import pytest
import torch

from numsym.alignment import AlignmentResult, Site, align, from_mib, to_mib
from numsym.errors import InvalidArgumentError, RunFolderError, UnknownNameError
from numsym.models import load
from numsym.tasks import AdditionPrompts

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "models" / "hugging_face.py"))
EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "huggingface.py"), run_name="example")
QUICK = {"search": {"max_steps": 2, "check_every": 1}, "pairs": {"train": 40, "validation": 20, "test": 20}}
NAMED = {"task": "arithmetic", "variables": {"sum": "ones_carry"}}
UNIT = "ResidualStream(Layer-1,Token-last)"
FOLDER = "arithmetic_LlamaForCausalLM_ones_carry"


@pytest.fixture(scope="module")
def aligned():
    """From a function's name: an alignment of a small Llama, 32 wide."""
    task = AdditionPrompts(tokenizer=EXAMPLE["own_tokenizer"](), largest=4, shots=1, only_right=False)
    model = load(SMALL["small"]("llama"))

    def build(function, site="block_output:1"):
        return align(
            model, task, program="prompt_sum", variable="sum", site=site, alignment=function, subspace_dim=3,
            controls=(), **QUICK,
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def rotated(aligned):
    return aligned("orthogonal")


def exchanged(result, base, source):
    """What numsym's own intervention makes of states."""
    with torch.no_grad():
        return result.intervention(base.clone(), source.clone())


def check_format(folder, width, k):
    """The published format of a variable's folder, read with nothing of numsym; returns W (hidden, k)."""
    found = {}
    for part in ("featurizer", "inverse_featurizer"):
        read = torch.load(folder / f"{UNIT}_{part}", weights_only=True)
        assert set(read) == {"model_info", "state_dict"}
        info = read["model_info"]
        assert info["featurizer_class"] == "SubspaceFeaturizerModule"
        assert info["inverse_featurizer_class"] == "SubspaceInverseFeaturizerModule"
        assert info["n_features"] == k
        assert set(info["additional_config"]) == {"rotation_matrix", "requires_grad"}
        rotation = info["additional_config"]["rotation_matrix"]
        assert (rotation.shape, rotation.dtype) == ((width, k), torch.float32)
        torch.testing.assert_close(rotation.T @ rotation, torch.eye(k), atol=1e-5, rtol=0)
        # The track builds its module from the rotation, then loads the state: both must say the same.
        layer = torch.nn.Linear(k, width, bias=False)
        layer.weight.data.copy_(rotation)
        module = torch.nn.Module()
        module.rotate = torch.nn.utils.parametrizations.orthogonal(layer)
        module.load_state_dict(read["state_dict"])
        torch.testing.assert_close(module.rotate.weight, rotation, atol=1e-5, rtol=0)
        found[part] = rotation
    assert torch.equal(*found.values())
    assert (folder / f"{UNIT}_indices").read_text() == "null"  # with a line's end the track's verifier stumbles
    return rotation


def test_a_rotation_is_a_submission_whose_exchange_is_numsyms(rotated, tmp_path):
    rotated.to_mib(tmp_path / "mib", **NAMED)
    assert os.listdir(tmp_path / "mib") == [FOLDER]
    assert sorted(os.listdir(tmp_path / "mib" / FOLDER)) == [
        f"{UNIT}_featurizer", f"{UNIT}_indices", f"{UNIT}_inverse_featurizer",
    ]  # fmt: skip
    rotation = check_format(tmp_path / "mib" / FOLDER, 32, 3)
    base, source = torch.randn(2, 6, 32)
    features, error = source @ rotation, base - base @ rotation @ rotation.T
    torch.testing.assert_close(features @ rotation.T + error, exchanged(rotated, base, source), atol=1e-5, rtol=0)


def test_it_is_read_back(rotated, tmp_path):
    rotated.to_mib(tmp_path / "mib", **NAMED)
    for folder in (tmp_path / "mib", tmp_path / "mib" / FOLDER):
        (one,) = from_mib(folder)
        named = (one.task, one.model_class, one.variable, one.site, one.token)
        assert named == ("arithmetic", "LlamaForCausalLM", "ones_carry", Site("block_output", 1), "last")
        base, source = torch.randn(2, 6, 32)
        with torch.no_grad():
            got = one.intervention(base.clone(), source)
        torch.testing.assert_close(got, exchanged(rotated, base, source), atol=1e-5, rtol=0)


def test_several_layers_are_one_submission_and_an_input_is_the_output_before(rotated, aligned, tmp_path):
    to_mib([rotated, aligned("orthogonal", "block_input:1")], tmp_path / "mib", token="op2_last", **NAMED)
    assert [(one.site.layer, one.token) for one in from_mib(tmp_path / "mib")] == [(0, "op2_last"), (1, "op2_last")]
    with pytest.raises(InvalidArgumentError, match=r"two of them are arithmetic_LlamaForCausalLM_ones_carry/Residual"):
        to_mib([rotated, rotated], tmp_path / "twice", **NAMED)
    assert not (tmp_path / "twice").exists()


def test_indices_choose_features_and_all_of_a_state_is_the_identity(rotated, tmp_path):
    rotated.to_mib(tmp_path / "mib", **NAMED)
    unit = tmp_path / "mib" / FOLDER / UNIT
    rotation = check_format(unit.parent, 32, 3)
    base, source = torch.randn(2, 6, 32)
    unit.with_name(f"{UNIT}_indices").write_text("[2, 0]")
    with torch.no_grad():
        got = from_mib(tmp_path / "mib")[0].intervention(base.clone(), source)
        torch.testing.assert_close(got, base + (source - base) @ rotation[:, [2, 0]] @ rotation[:, [2, 0]].T)
        info = {"featurizer_class": "IdentityFeaturizerModule", "n_features": 32, "additional_config": {}}
        torch.save({"model_info": info, "state_dict": {}}, unit.with_name(f"{UNIT}_featurizer"))
        unit.with_name(f"{UNIT}_indices").write_text("null")
        torch.testing.assert_close(from_mib(tmp_path / "mib")[0].intervention(base.clone(), source), source)


def test_an_oblique_map_is_refused_with_the_reason_and_goes_with_code_of_its_own(aligned, tmp_path, monkeypatch):
    linear = aligned("linear")
    with pytest.raises(InvalidArgumentError, match=r"this exchange is oblique .* degrees apart.; own_code=True"):
        linear.to_mib(tmp_path / "mib", **NAMED)
    assert os.listdir(tmp_path) == []
    linear.to_mib(tmp_path / "mib", own_code=True, **NAMED)
    assert sorted(os.listdir(tmp_path / "mib")) == [FOLDER, "featurizer.py", "token_position.py"]
    featurizer = track_code(tmp_path / "mib" / "featurizer.py", monkeypatch)["ObliqueFeaturizer"]
    read = featurizer.load_modules(str(tmp_path / "mib" / FOLDER / UNIT))
    base, source = torch.randn(2, 6, 32)
    with torch.no_grad():
        got = read.inverse_featurizer(read.featurizer(source)[0], read.featurizer(base)[1])
    torch.testing.assert_close(got, exchanged(linear, base, source), atol=1e-4, rtol=1e-4)
    with pytest.raises(InvalidArgumentError, match="featurizer_class='ObliqueFeaturizerModule' is not allowed"):
        from_mib(tmp_path / "mib")


def track_code(path, monkeypatch):
    """What a file defines, where the track's own base class is one that keeps its arguments, as the published one."""

    class Featurizer:
        def __init__(self, featurizer, inverse_featurizer, *, n_features=None, id="null"):
            self.featurizer, self.inverse_featurizer, self.n_features = featurizer, inverse_featurizer, n_features

    for name in ("CausalAbstraction", "CausalAbstraction.neural", "CausalAbstraction.neural.featurizers"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["CausalAbstraction.neural.featurizers"].Featurizer = Featurizer
    return runpy.run_path(str(path))


@pytest.mark.parametrize("task", ["arithmetic", "4_answer_MCQA", "ARC_easy", "ravel_task"])
def test_the_code_says_what_the_verifier_looks_for(task):
    """It reads the files' syntax: a subclass of Featurizer, two modules, a list with a TokenPosition returned."""
    from numsym.alignment.mib_code import FEATURIZER, OBLIQUE, TOKEN_POSITION

    classes = {node.name: node.bases[0] for node in ast.walk(ast.parse(FEATURIZER)) if isinstance(node, ast.ClassDef)}
    assert [name for name, base in classes.items() if getattr(base, "id", "") == "Featurizer"] == ["ObliqueFeaturizer"]
    assert tuple(name for name, base in classes.items() if getattr(base, "attr", "") == "Module") == OBLIQUE
    tree = ast.parse(TOKEN_POSITION[task].format(token="last"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    (returned,) = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    assert (function.name, returned.elts[0].func.id) == ("get_token_positions", "TokenPosition")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"task": None},
            r"task='addition_prompts' is not allowed: at the residual stream MIB asks arithmetic, .* task=",
        ),
        ({"variables": None}, r"unknown variable of MIB 'sum': choose one of ones_carry"),
        ({"token": "middle"}, r"unknown token of MIB 'middle': choose one of last, op2_last"),
        ({"task": "4_answer_MCQA"}, r"unknown variable of MIB 'ones_carry': choose one of answer, answer_pointer"),
    ],
)
def test_what_the_track_has_no_name_for_is_refused(rotated, options, message, tmp_path):
    with pytest.raises((InvalidArgumentError, UnknownNameError), match=message):
        rotated.to_mib(tmp_path / "mib", **{**NAMED, **options})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("site", [Site("mlp_output", 1), Site("block_input", 0), Site("state")])
def test_a_site_that_the_track_has_no_name_for_is_refused(rotated, site, tmp_path):
    with pytest.raises(InvalidArgumentError, match=rf"site='{site}' is not allowed: MIB names the residual stream"):
        dataclasses.replace(rotated, site=site).to_mib(tmp_path / "mib", **NAMED)
    assert os.listdir(tmp_path) == []


def test_a_model_that_the_track_has_not_and_none_at_all_are_refused(rotated, tmp_path):
    other = dataclasses.replace(rotated, model=load(SMALL["small"]("qwen2")))
    with pytest.raises(InvalidArgumentError, match="Qwen2ForCausalLM is not allowed: MIB asks arithmetic of Gemma2"):
        other.to_mib(tmp_path / "mib", **NAMED)
    rotated.save(tmp_path / "found")
    with pytest.raises(InvalidArgumentError, match="model=None is not allowed"):
        AlignmentResult.load(tmp_path / "found").to_mib(tmp_path / "mib", **NAMED)
    with pytest.raises(InvalidArgumentError, match=r"results=\[\] is not allowed"):
        to_mib([], tmp_path / "mib")
    assert os.listdir(tmp_path) == ["found"]


def test_nothing_is_overwritten(rotated, tmp_path):
    (tmp_path / "mib").mkdir()
    with pytest.raises(RunFolderError, match="exists already"):
        rotated.to_mib(tmp_path / "mib", **NAMED)
    assert os.listdir(tmp_path / "mib") == []


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_is_damaged_hostile_or_missing_is_one_sentence(rotated, tmp_path):
    rotated.to_mib(tmp_path / "mib", **NAMED)
    unit = tmp_path / "mib" / FOLDER / f"{UNIT}_featurizer"
    whole = unit.read_bytes()
    for bad in (whole[: len(whole) // 2], b"", b"{}", pickle.dumps(Runs(tmp_path / "ran"))):
        unit.write_bytes(bad)
        with pytest.raises(InvalidArgumentError, match=r"is not allowed: it cannot be read") as caught:
            from_mib(tmp_path / "mib")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    unit.write_bytes(whole)
    indices = unit.with_name(f"{UNIT}_indices")
    for bad, message in (("[9]", "cannot be read"), ("[]", "nothing would be exchanged"), ("what", "cannot be read")):
        indices.write_text(bad)
        with pytest.raises(InvalidArgumentError, match=message):
            from_mib(tmp_path / "mib")
    indices.unlink()
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        from_mib(tmp_path / "mib")
    unit.parent.rename(tmp_path / "mib" / "other")
    with pytest.raises(InvalidArgumentError, match="it must be TASK_MODELCLASS_VARIABLE"):
        from_mib(tmp_path / "mib")
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        from_mib(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match=r"it holds no ResidualStream"):
        from_mib(tmp_path / "empty")
