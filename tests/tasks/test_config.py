import pytest

from numsym import recipes
from numsym.errors import UnknownNameError
from numsym.programs import FULL
from numsym.tasks import TASKS, load_task


@pytest.mark.parametrize("path", sorted((recipes.root() / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_makes_its_task(path):
    task = load_task(path.stem)
    read = recipes.read("tasks", path)
    assert task.name == read["name"]
    variable = read["search"]["variable"]
    assert task.program(read["search"]["program"]).block(variable) == (variable,) != (FULL,)


def test_every_task_has_a_recipe():
    named = {recipes.read("tasks", path)["name"] for path in (recipes.root() / "tasks").glob("*.yaml")}
    # Prompts are asked of a given model with a tokenizer, and nothing is trained.
    assert named == {name for name in TASKS if not name.endswith("prompts")}


def test_arguments_are_the_tasks_own():
    task = load_task({"name": "multi_object", "arguments": {"counts": [2, 5], "held_out": [3], "void_prob": 0.1}})
    assert (task.counts, task.held_out, task.void_prob) == ((2, 3, 4, 5), (3,), 0.1)
    with pytest.raises(UnknownNameError, match="unknown task 'objects': choose one of"):
        load_task({"name": "objects"})
