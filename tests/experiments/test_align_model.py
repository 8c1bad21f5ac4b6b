import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.align_model import run

ROOT = Path(__file__).parents[2]
SMALL = runpy.run_path(str(ROOT / "tests" / "models" / "hugging_face.py"))
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "huggingface.py"), run_name="example")
TINY = [
    "experiment=align_model", "experiment.task.arguments.largest=4", "device=cpu", "search.max_steps=2",
    "search.check_every=1", "pairs.train=100", "pairs.validation=30", "pairs.test=30", "controls=[floor]",
    "experiment.evaluated=20",
]  # fmt: skip


def test_a_folder_with_model_and_tokenizer_is_aligned(composed, tmp_path, capsys):
    SMALL["small"]("gpt2").save_pretrained(tmp_path / "model")
    EXAMPLE["own_tokenizer"]().save_pretrained(tmp_path / "model")
    config = composed(
        *TINY, f"experiment.model={tmp_path / 'model'}", "site=block_output:1", "experiment.dtype=float32"
    )
    found = run(config, tmp_path / "run")
    assert [(one.alignment, one.variables, one.site.layer) for one in found] == [
        ("orthogonal", ("sum",), 1),
        ("linear", ("sum",), 1),
    ]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(written["alignments"]) == {"das", "laf"}
    assert "it does NOT do the task" in capsys.readouterr().out


def test_what_cannot_be_read_leaves_no_folder(composed, tmp_path):
    for change, said in (
        ([], "experiment.model=null is not allowed"),
        (["experiment.model=./nowhere"], "model='./nowhere' is not allowed: there is no such folder"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            run(composed(*TINY, *change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_a_network_the_command_says_one_sentence(tmp_path):
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    command = [sys.executable, "-m", "numsym_command.main", "experiment=align_model", "experiment.model=gpt2"]
    done = subprocess.run(command, cwd=tmp_path, env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "numsym: model='gpt2' is not allowed: it is no folder" in said
    assert "Traceback" not in said
