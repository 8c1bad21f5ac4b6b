import pytest

from numsym import recipes
from numsym.errors import InvalidArgumentError, UnknownNameError


def test_recipes_are_read_by_name_by_path_and_as_they_are(tmp_path):
    assert recipes.read("tasks", "multi_object")["name"] == "multi_object"
    (tmp_path / "mine.yaml").write_text("name: same_object\nwidth: ${name}\n")
    assert recipes.read("tasks", tmp_path / "mine.yaml") == {"name": "same_object", "width": "same_object"}
    assert recipes.read("tasks", {"name": "x"}) == {"name": "x"}


def test_unknown_ones_are_listed():
    with pytest.raises(UnknownNameError, match=r"unknown recipe in tasks 'objects': choose one of .*multi_object"):
        recipes.read("tasks", "objects")
    with pytest.raises(InvalidArgumentError, match=r"recipe 'no/such.yaml' is not allowed: there is no such file"):
        recipes.read("tasks", "no/such.yaml")
    with pytest.raises(InvalidArgumentError, match="recipe of type list is not allowed"):
        recipes.plain([1])
