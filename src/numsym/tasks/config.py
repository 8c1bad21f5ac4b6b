"""Tasks from recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym import recipes
from numsym.tasks.base import TASKS, Task


def load_task(recipe: str | Path | Mapping[str, Any]) -> Task:
    """The task of a recipe in `tasks/`: by name, by path, or already read. `counts` there is [lowest, highest].

    Raises:
        UnknownNameError: no such recipe, or no such task.
        InvalidArgumentError: an argument of the task is not allowed.
    """
    read = recipes.read("tasks", recipe)
    arguments = dict(read.get("arguments") or {})
    if "counts" in arguments:
        low, high = arguments["counts"]
        arguments["counts"] = range(low, high + 1)
    return TASKS[read["name"]](**arguments)
