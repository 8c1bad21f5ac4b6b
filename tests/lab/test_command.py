"""The command as a user types it, in processes of its own, from the checkout and from an installed wheel."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = runpy.run_path(str(ROOT / "tests" / "models" / "hugging_face.py"))
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "huggingface.py"), run_name="example")
TINY = [
    "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=16",
    "tasks.training.steps=100", "pairs.train=200", "pairs.validation=50", "pairs.test=50",
    "search.max_steps=4", "search.check_every=2",
]  # fmt: skip


def numsym(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "numsym_command.main", *arguments]
    env = {**os.environ, "WANDB_MODE": "disabled", "COLUMNS": "80", **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_it_trains_aligns_prints_and_writes(tmp_path):
    done = numsym("folder=run", *TINY, cwd=tmp_path, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("IIA in percent", "orthogonal", "linear", "ceiling", "permuted", "run folder   run"):
        assert text in done.stdout
    assert "…" not in done.stdout
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "config.yaml", "versions.json", "metrics.jsonl", "results.json", "model", "alignments", "iia_by_count.png",
        "table.csv", "wandb", "report.html", "report.json", "started.json",
    }  # fmt: skip
    again = numsym("folder=run", *TINY, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "finished before: run\n")
    other = numsym("folder=run", *TINY, "seed=1", cwd=tmp_path)
    assert other.returncode == 2
    assert "numsym: folder='run' holds a run with another configuration" in other.stdout


def test_wrong_input_is_one_sentence_and_leaves_nothing(tmp_path):
    done = numsym("folder=run", "tasks.arguments.void_prob=2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == "numsym: void_prob=2 is not allowed: it must lie in 0..1, below 1 so that trials end\n"
    assert done.stderr == ""
    assert not list(tmp_path.glob("run/*"))
    unknown = numsym("tasks=objects", cwd=tmp_path)
    assert unknown.returncode == 2
    assert unknown.stdout.startswith("numsym: tasks='objects' is not allowed: choose one of addition, ")
    assert unknown.stdout.count("\n") == 1
    assert unknown.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks=modular_addition"], "tasks='modular_addition' is not allowed in this experiment: its training has"),
        (["search.max_steps=0"], "max_steps=0 is not allowed: it must be at least 1"),
        (["experiment=collect"], "experiment.runs=??? is not allowed: it must be given, as experiment.runs=VALUE"),
    ],
)
def test_what_cannot_be_run_is_refused_before_training(arguments, message, tmp_path):
    done = numsym("folder=run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith(f"numsym: {message}")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert not list(tmp_path.glob("run/*"))


def test_without_a_network_a_model_of_the_hub_is_one_sentence(tmp_path):
    done = numsym("model=gpt2", "tasks=addition_prompts", "folder=run", cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert "numsym: model='gpt2' is not allowed: it is no folder" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert os.listdir(tmp_path) == []


def test_a_language_model_is_aligned_as_it_is(tmp_path):
    SMALL["small"]("gpt2").save_pretrained(tmp_path / "model")
    EXAMPLE["own_tokenizer"]().save_pretrained(tmp_path / "model")
    done = numsym(
        "model=model", "tasks=addition_prompts", "tasks.arguments.largest=4",
        "tasks.arguments.only_right=false", "site=block_output:1", "dtype=float32",
        "folder=run", "device=cpu", "search.max_steps=2", "pairs.train=100", "pairs.validation=30", "pairs.test=30",
        "controls=[floor]", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it does NOT do the task" in done.stdout
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(written["alignments"]) == {"das", "laf"}
    assert written["alignments"]["das"]["site"] == {
        "component": "block_output", "layer": 1, "head": None, "also": [],
    }  # fmt: skip
    assert 0 <= written["evaluation"]["accuracy"] < 0.5


@pytest.mark.parametrize("name", ["runs", "tasks", "search", "experiment", "launch"])
def test_folders_of_any_name_change_nothing(name, tmp_path):
    for folder in (name, f"{name}/multi_object"):
        (tmp_path / folder).mkdir()
    (tmp_path / name / "align.yaml").write_text("seed: 7\n")
    shown = numsym("--cfg", "job", "folder=out", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == numsym("--cfg", "job", "folder=out", cwd=tmp_path / name).stdout
    assert "seed: 0" in shown.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(built)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_an_installed_wheel_has_the_recipes_and_the_command(wheel, tmp_path):
    shown = numsym("--help", cwd=tmp_path, PYTHONPATH=str(wheel))
    assert shown.returncode == 0, shown.stderr
    for group in ("tasks", "interventions"):
        names = sorted(path.stem for path in (ROOT / group).glob("*.yaml"))
        assert f"{group}: {', '.join(names)}" in shown.stdout
    code = (
        "import numsym; from numsym import recipes; print(numsym.__file__); print(recipes.root());"
        "print(numsym.interventions.load_config('laf').representations[0].component)"
    )
    env = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    package, root, component = done.stdout.split()
    assert package.startswith(str(wheel))
    assert root == str(wheel / "numsym" / "_recipes")
    assert component == "state"
    composed = numsym("--cfg", "job", "tasks=same_object", cwd=tmp_path, PYTHONPATH=str(wheel))
    assert "name: same_object" in composed.stdout
