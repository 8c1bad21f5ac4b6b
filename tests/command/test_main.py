"""The command's front, in processes of its own."""

import os
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from numsym.lab.sweeps import RunFailedError
from numsym_command.configs import CONFIGS, store
from numsym_command.main import plugins_of, replaced_in, sentences


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


@pytest.mark.parametrize("study", ["markov", "cross_model"])
def test_a_mapping_of_a_study_is_replaced_by_what_is_given_whole(study):
    """Hydra alone puts a mapping into the one that is there, and refuses a list."""
    for given, found in (("{a: {seed: 3}, b: {}}", {"a": {"seed": 3}, "b": {}}), ("[gru]", ["gru"])):
        options = [f"experiment={study}", f"experiment.networks={given}"]
        assert replaced_in(options) == ("networks",)
        store(replaced=replaced_in(options))
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            assert compose("config", overrides=options).experiment.networks == found
    assert replaced_in(["experiment.networks.gru.training.steps=5", "+experiment.networks={a: 1}", "seed=0,1"]) == ()
    assert replaced_in(["experiment.networks=[gru],[lstm]"]) == ("networks",)
    store()


@pytest.mark.parametrize(
    ("fails", "said", "code"),
    [
        (lambda: os.mkdir(f"{__file__}/x"), f"numsym: Not a directory: {__file__}/x\n", 2),
        (lambda: OmegaConf.create({"a": "${b}"}).a, "numsym: Interpolation key 'b' not found (a)\n", 2),
        (lambda: _raise(ConfigCompositionException("one\ntwo")), "numsym: one\n", 2),
        (lambda: _raise(RunFailedError("runs/a: why")), "numsym: runs/a: why\n", 1),
    ],
)
def test_what_a_sweep_fails_at_is_one_sentence(fails, said, code, capsys, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as ended, sentences():
        fails()
    assert (ended.value.code, capsys.readouterr().out) == (code, said)


def test_an_error_of_numsym_itself_and_what_is_asked_for_whole_are_tracebacks(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(ZeroDivisionError), sentences():
        _raise(ZeroDivisionError())
    with pytest.raises(NotADirectoryError), sentences():  # set now
        os.mkdir(f"{__file__}/x")


def _raise(error):
    raise error
