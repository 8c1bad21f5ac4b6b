"""The tutorials: notebooks in docs/tutorials, with their outputs, as pages of the site; and how they are executed.

Run: python -m website.notebooks [--write] [NAME...]   executes them, by default all, each in an empty folder; with
--write the outputs are kept in the notebook, which is how those in the repository were made.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SECONDS = 300
"""After which a cell is given up."""
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def pages(folder: Path = TUTORIALS) -> dict[str, str | bytes]:
    """Every notebook as Markdown, and the pictures in it: path beside the notebooks -> content."""
    made: dict[str, str | bytes] = {}
    for path in sorted(folder.glob("*.ipynb")):
        given = {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["language_info"] = {"name": "python"}  # what its code is coloured as
        text, resources = MarkdownExporter().from_notebook_node(notebook, resources=given)
        made[f"{path.stem}.md"] = f"{text}\n\n[This page as a notebook]({path.name})\n"
        made |= resources["outputs"]
    return made


def execute(path: Path) -> nbformat.NotebookNode:
    """A notebook with the outputs of a run in an empty folder.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"kernelspec": KERNEL}
    # `!numsym` in a cell is the command of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.setdefault("WANDB_MODE", "disabled")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False)
        client.execute(cwd=folder)
    for cell in notebook.cells:  # a bar of progress says nothing once it is full
        if cell.cell_type == "code":
            cell.outputs = [
                one for one in cell.outputs if not (one.get("name") == "stderr" or WIDGET in one.get("data", ()))
            ]
    return notebook


def main(*arguments: str) -> None:
    """Execute the notebooks that are named, or all."""
    names = [name for name in arguments if name != "--write"]
    for path in [TUTORIALS / f"{name}.ipynb" for name in names] or sorted(TUTORIALS.glob("*.ipynb")):
        begun = time.monotonic()
        notebook = execute(path)
        if "--write" in arguments:
            nbformat.write(notebook, path)
        print(f"{path.stem}: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
