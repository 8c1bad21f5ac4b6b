"""Pieces brought from outside: each found by name, in the library and by the command, without a line in numsym."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = [
    "tasks=running_maximum", "tasks.model.hidden_size=12", "tasks.training.steps=60", "pairs.train=100",
    "pairs.validation=40", "pairs.test=40",
]  # fmt: skip


@pytest.fixture(scope="module")
def outside():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import outside

        yield outside
    finally:
        sys.path.remove(str(EXAMPLES))


def test_the_task_and_its_program_say_the_largest_digit(outside):
    from numsym.tasks import TASKS

    task = TASKS["running_maximum"](digits=5, counts=range(1, 6), held_out=())
    batch = task.sample(50, generator=torch.Generator().manual_seed(0))
    for row in range(50):
        tokens = task.text(batch.input_ids[row]).split()
        digits, answer = tokens[1 : tokens.index("=")], tokens[-2]
        assert int(answer) == max(map(int, digits))
        assert (tokens[0], tokens[-1]) == ("B", "E")
    assert task.search == ("running_maximum", "maximum")


def test_function_engine_and_study_are_found_by_name(outside):
    import numsym
    from numsym.studies import STUDIES

    task = numsym.tasks.TASKS["running_maximum"](counts=range(1, 5), held_out=())
    model = numsym.models.RecurrentLM(numsym.models.RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))
    found = numsym.align(
        model, task, alignment="shifted", subspace_dim=2, engine="mine", search={"max_steps": 2, "check_every": 2},
        pairs={"train": 60, "validation": 20, "test": 20}, controls=("floor",),
    )  # fmt: skip
    assert (found.alignment, found.engine, found.program) == ("shifted", "mine", "running_maximum")
    assert isinstance(found.intervention, outside.ShiftedIntervention)
    floors = STUDIES["floors"](model, task, pairs=numsym.alignment.PairCounts(60, 20, 20))
    assert set(floors.floors) == {"validation", "test"}


def command(*arguments, cwd):
    env = {**os.environ, "WANDB_MODE": "disabled", "PYTHONPATH": f"{EXAMPLES}:{os.environ.get('PYTHONPATH', '')}"}
    whole = [sys.executable, "-m", "numsym_command.main", "plugins=[outside]", *arguments]
    return subprocess.run(whole, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_the_command_finds_them_too(tmp_path):
    assert "  floors" in command("--help", cwd=tmp_path).stdout
    done = command("experiment=floors", "folder=run", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (found["study"], set(found["floors"])) == ("floors", {"validation", "test"})


def test_the_guides_look_at_the_task_is_as_it_says(outside, capsys):
    text = (EXAMPLES.parent / "docs" / "extending.md").read_text()
    (code,) = (part for part in re.findall(r"    ```python\n(.*?)    ```", text, re.DOTALL) if "outside" in part)
    exec(textwrap.dedent(code), {})
    trial, counterfactuals = capsys.readouterr().out.strip().split("\n")
    assert trial.startswith("B ")
    assert trial.endswith(" E")
    assert counterfactuals.count("=") == 3
