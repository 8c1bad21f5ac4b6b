import json

import pytest
import torch
from numsym.experiments.align import hypothesis, run

from numsym import recipes
from numsym.alignment import AlignmentResult
from numsym.errors import InvalidArgumentError, RunFolderError, UnknownNameError
from numsym.models import RecurrentLM

DAS, LAF = "pyvene.RotatedSpaceIntervention", "numsym.interventions.LinearAlignmentIntervention"


def recipe(kind, **search):
    return {
        "representations": [{"component": "state", "layer": 0, "unit": "pos", "intervention_type": kind}],
        "search": {"program": "up_down", "variable": "count", "subspace_dim": 4, **search},
    }


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return {
        "seed": 0,
        "device": "cpu",
        "tasks": {
            "name": "multi_object",
            "arguments": {"counts": [1, 4], "held_out": [3]},
            "model": {"cell": "gru", "hidden_size": 12},
            "training": {"steps": 200, "batch_size": 64, "learning_rate": 0.01},
        },
        "interventions": {"das": recipe(DAS), "laf": recipe(LAF)},
        "pairs": {"train": 200, "validation": 50, "test": 50},
        "search": {"max_steps": 4, "batch_size": 32, "check_every": 2, "engine": "auto"},
        "controls": ["floor", "ceiling"],
        "wandb": {"project": "numsym"},
    }


def test_a_run_leaves_everything_that_can_be_read_again(config, tmp_path):
    found = run(config, tmp_path / "run")
    model = RecurrentLM.from_pretrained(tmp_path / "run" / "model")
    for name, result in zip(("das", "laf"), found, strict=True):
        again = AlignmentResult.load(tmp_path / "run" / "alignments" / name, model)
        assert again.to_dict() == result.to_dict()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["alignments"]["laf"] == found[1].to_dict()
    assert 0 <= results["training"]["evaluation"]["accuracy"] <= 1
    assert (tmp_path / "run" / "iia_by_count.png").stat().st_size > 10_000
    stages = [json.loads(line)["stage"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert set(stages) == {"training", "das", "laf"}
    with pytest.raises(RunFolderError, match="holds a finished run"):
        run(config, tmp_path / "run")


def test_an_interrupted_run_ends_as_an_uninterrupted_one(config, tmp_path, monkeypatch):
    whole = run(config, tmp_path / "whole")

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numsym.experiments.searched.align_many", fail)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "broken")
    assert not (tmp_path / "broken" / "results.json").exists()
    weights = (tmp_path / "broken" / "model" / "model.safetensors").stat().st_mtime_ns
    resumed = run(config, tmp_path / "broken")
    assert (tmp_path / "broken" / "model" / "model.safetensors").stat().st_mtime_ns == weights
    assert [r.to_dict() for r in resumed] == [r.to_dict() for r in whole]


def test_a_bad_recipe_leaves_no_folder(config, tmp_path):
    config["interventions"]["laf"] = recipe(LAF, subspace_dim=99)
    with pytest.raises(InvalidArgumentError, match="subspace_dim=99 is not allowed"):
        run(config, tmp_path / "run")
    config["interventions"] = {"laf": recipe(LAF, variable="counts")}
    with pytest.raises(UnknownNameError, match="unknown variable 'counts'"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recipes_say_what_to_search_for():
    wanted, site = hypothesis(recipes.read("interventions", "phase_laf"), seed=3)
    assert (wanted.alignment, wanted.variable, wanted.subspace_dim, wanted.seed) == ("linear", "phase", 16, 3)
    assert (site.component, site.layer) == ("state", 0)
    general = recipes.read("interventions", "das")
    usual = {"program": "running_parity", "variable": "parity"}
    wanted, _ = hypothesis(general, 0, usual)
    assert (wanted.program, wanted.variable, wanted.alignment) == ("running_parity", "parity", "orthogonal")
    wanted, _ = hypothesis({**general, "search": {"variable": "full", "program": None}}, 0, usual)
    assert (wanted.program, wanted.variable) == ("running_parity", "full")
    with pytest.raises(InvalidArgumentError, match="VanillaIntervention is not allowed in a search: it learns Rotated"):
        hypothesis(recipe("pyvene.VanillaIntervention"), 0)
    with pytest.raises(UnknownNameError, match="unknown key of search 'k': choose one of program, subspace_dim"):
        hypothesis({**recipe(LAF), "search": {"k": 3}}, 0)
    two = recipe(LAF)
    two["representations"] *= 2
    with pytest.raises(InvalidArgumentError, match="representations has 2 entries"):
        hypothesis(two, 0)


@pytest.mark.cuda
def test_on_cuda_it_runs_as_on_the_cpu(config, tmp_path):
    config["device"] = "auto"
    result = run(config, tmp_path / "run")[1]
    assert next(result.model.parameters()).device.type == "cuda"
    assert torch.isfinite(torch.tensor(result.iia))


def test_a_transformer_is_trained_and_aligned_at_the_recipes_site(config, tmp_path):
    model = {"architecture": "transformer", "hidden_size": 8, "num_heads": 2, "num_layers": 1, "max_positions": 32}
    config["tasks"] = config["tasks"] | {"model": model, "site": "block_output:0"}
    config["tasks"]["training"] = {"steps": 2, "batch_size": 8}
    value = recipe(LAF, program="ctx_distr", variable="value")
    value["representations"][0]["component"] = "embeddings"
    config["interventions"] = config["interventions"] | {"value": value}
    found = run(config, tmp_path / "run")
    assert [result.site.component for result in found] == ["block_output", "block_output", "embeddings"]
    assert {result.engine for result in found} == {"resumed"}
    with pytest.raises(
        UnknownNameError, match=r"unknown component of TransformerLM .blocks.: choose one of .*block_in"
    ):
        run(config | {"site": "blocks:0"}, tmp_path / "other")
    assert not (tmp_path / "other").exists()
