"""The command's front, in processes of its own."""

import os
import subprocess
import sys

import pytest

from numsym_command.main import plugins_of


def started(*arguments, cwd):
    command = [sys.executable, "-X", "importtime", "-m", "numsym_command.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("arguments", [["--help"], ["tasks=nope"], ["--cfg", "job"]])
def test_what_needs_no_model_imports_none(arguments, tmp_path):
    done = started(*arguments, cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "pyvene", "numsym", "matplotlib", "wandb", "pandas"}
    assert os.listdir(tmp_path) == []


def test_plugins_are_known_before_anything_is_composed():
    assert plugins_of(["seed=1", "plugins=[a,b.c]"]) == ("a", "b.c")
    assert plugins_of(["plugins=mine"]) == ("mine",)
    assert plugins_of(["seed=1"]) == ()
