import pytest

from numsym.errors import UnknownNameError
from numsym.registry import Registry


def test_names_resolve_and_unknown_ones_list_what_exists():
    table = Registry("shape")
    table.register("circle")(int)
    assert table["circle"] is int
    assert list(table) == ["circle"]
    assert "circle" in table
    with pytest.raises(UnknownNameError, match="unknown shape 'square': choose one of circle"):
        table["square"]


def test_a_name_is_given_once():
    table = Registry("shape")
    table.register("circle")(int)
    table.register("circle")(int)
    with pytest.raises(ValueError, match="'circle' is registered already"):
        table.register("circle")(float)
