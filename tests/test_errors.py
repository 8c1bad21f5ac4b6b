import pytest

from numsym.errors import InvalidArgumentError, UnknownNameError, check_at_least, check_between, check_name


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown program 'up': choose one of up_down, up_up"):
        check_name("program", "up", {"up_up", "up_down"})
    assert check_name("program", "up_up", ["up_up"]) == "up_up"


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_out_of_range_names_parameter_value_and_range(value):
    with pytest.raises(InvalidArgumentError, match=rf"void_prob={value!r} .*0\.\.1"):
        check_between("void_prob", value, 0, 1)


def test_errors_are_builtin_value_errors():
    with pytest.raises(ValueError, match=r"k=0 .*at least 1"):
        check_at_least("k", 0, 1)


@pytest.mark.parametrize("value", ["many", None])
def test_what_is_no_number_is_out_of_range(value):
    with pytest.raises(InvalidArgumentError, match=rf"steps={value!r} is not allowed: it must be at least 1"):
        check_at_least("steps", value, 1)
    with pytest.raises(InvalidArgumentError, match=rf"stop_at={value!r} is not allowed: it must lie in 0..1"):
        check_between("stop_at", value, 0, 1)
