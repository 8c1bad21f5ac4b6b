import subprocess
import sys

from numsym.lab import started


def test_it_names_the_command_the_date_and_the_commit(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["my study.py", "--fast"])
    said = started.facts(by_command=False)
    assert said["command"] == "python 'my study.py' --fast"
    assert said["date"].endswith(" UTC")
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode == 0:
        assert said["commit"].removesuffix("-dirty") == commit.stdout.strip()


def test_without_a_repository_it_names_none(tmp_path):
    assert started._commit(tmp_path) == ""


def test_it_says_on_what_and_by_how_many_threads(monkeypatch):
    import torch

    said = started.facts(by_command=False)["machine"]
    assert said["threads"] == torch.get_num_threads()
    assert said["processor"]
    assert said["blas"] in torch.__config__.show()
