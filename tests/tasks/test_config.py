import pytest

from numsym import recipes
from numsym.errors import UnknownNameError
from numsym.programs import FULL
from numsym.tasks import TASKS, load_task

OWN = [path for path in sorted((recipes.root() / "tasks").glob("*.yaml")) if not path.stem.endswith("prompts")]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_every_recipe_makes_its_task(path):
    read = recipes.read("tasks", path)
    read["arguments"] = {name: value for name, value in read["arguments"].items() if name != "seed"}  # the run's
    task = load_task(read)
    assert task.name == read["name"]
    program, variable = task.search
    assert task.program(program).block(variable) == (variable,) != (FULL,)


def test_every_task_has_a_recipe():
    named = {recipes.read("tasks", path)["name"] for path in (recipes.root() / "tasks").glob("*.yaml")}
    # Others may have come from plugins meanwhile.
    assert named <= set(TASKS)
    assert named >= {"multi_object", "arithmetic", "ripple_addition", "addition_prompts", "counting_prompts"}


def test_arguments_are_the_tasks_own():
    task = load_task({"name": "multi_object", "arguments": {"counts": [2, 5], "held_out": [3], "void_prob": 0.1}})
    assert (task.counts, task.held_out, task.void_prob) == ((2, 3, 4, 5), (3,), 0.1)
    with pytest.raises(UnknownNameError, match="unknown task 'objects': choose one of"):
        load_task({"name": "objects"})
