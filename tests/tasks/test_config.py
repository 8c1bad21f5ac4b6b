import pytest

from numsym import recipes
from numsym.errors import UnknownNameError
from numsym.tasks import load_task


@pytest.mark.parametrize("path", sorted((recipes.root() / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_makes_its_task(path):
    task = load_task(path.stem)
    assert task.name == recipes.read("tasks", path)["name"]


def test_arguments_are_the_tasks_own():
    task = load_task({"name": "multi_object", "arguments": {"counts": [2, 5], "held_out": [3], "void_prob": 0.1}})
    assert (task.counts, task.held_out, task.void_prob) == ((2, 3, 4, 5), (3,), 0.1)
    with pytest.raises(UnknownNameError, match="unknown task 'objects': choose one of"):
        load_task({"name": "objects"})
