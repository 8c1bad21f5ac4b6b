"""What is allowed, in words."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch

from numsym.checked.words import SHOWN, shown, words


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (int, "a whole number"),
        (int | float, "a number"),
        (str | None, "text or None"),
        (bool | Sequence[str], "true or false or a list of texts"),
        (Mapping[str, int], "a mapping from text to a whole number"),
        (tuple[int, int], "(a whole number, a whole number)"),
        (Callable[[int], int], "a function"),
        (type[torch.nn.Module], "a class of a PyTorch module"),
        (slice, "a slice"),
        (Sequence[slice], "a list of slices"),
    ],
)
def test_types_in_words(hint, said):
    assert words(hint) == said


def test_values_are_shown_short():
    assert shown(torch.zeros(2, 3)) == "<Tensor of shape (2, 3), float32>"
    assert shown(torch.nn.Linear(1, 1)) == "<Linear>"
    assert len(shown("x" * 1000)) == SHOWN
    assert shown("a\nb") == r"'a\nb'"
