"""Tasks from recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym import recipes
from numsym.errors import InvalidArgumentError, check_name
from numsym.tasks.base import TASKS, Task

KEYS = ("name", "arguments", "model", "training", "site", "search")
"""What a task recipe may say."""


def load_task(recipe: str | Path | Mapping[str, Any]) -> Task:
    """The task of a recipe in `tasks/`: by name, by path, or already read. `counts` there is [lowest, highest].

    Raises:
        UnknownNameError: no such recipe, or no such task.
        InvalidArgumentError: an argument of the task is not allowed.
    """
    read = recipes.read("tasks", recipe)
    for key in read:
        check_name("key of a task recipe", key, KEYS)
    if not isinstance(read.get("name"), str):
        raise InvalidArgumentError(f"name={read.get('name')!r} of a task recipe is not allowed: {_known()}")
    arguments = read.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        raise InvalidArgumentError(f"arguments={arguments!r} is not allowed: it must be a mapping")
    arguments = {str(name): value for name, value in arguments.items()}
    if "counts" in arguments:
        arguments["counts"] = _counts(arguments["counts"])
    return TASKS[read["name"]](**arguments)


def _known() -> str:
    return f"choose one of {', '.join(sorted(TASKS))}"


def _counts(given: Any) -> range:
    ends = given if isinstance(given, list | tuple) else ()
    if len(ends) != 2 or not all(isinstance(one, int) and not isinstance(one, bool) for one in ends):
        raise InvalidArgumentError(f"counts={given!r} is not allowed: give [lowest, highest]")
    return range(ends[0], ends[1] + 1)
