"""The protocol of results: what is written comes back, and what is shown is what was measured."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.results import Result, left_out, plain, rebuilt
from numsym.shares import Mean, Share


@dataclass(frozen=True)
class Part:
    share: Share
    by_count: dict[int, Share] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Whole(Result):
    parts: tuple[Part, ...]
    cells: dict[tuple[int, int], Share]
    path: Float[Tensor, "pos"]
    note: str | None = None
    limit: float = 1.0
    model: object = left_out(default=None)

    name: ClassVar[str] = "whole"

    @property
    def title(self):
        return "Parts & all"

    def rows(self):
        return [{"part": i, "iia": part.share, "mean": Mean.of([1.0, 2.0])} for i, part in enumerate(self.parts)]


def whole(**changes):
    share = Share.of_counts(3, 4)
    values = {
        "parts": (Part(share, {2: share}), Part(share)), "cells": {(1, -2): share}, "path": torch.tensor([1.0, 2.5]),
        "model": object(), **changes,
    }  # fmt: skip
    return Whole(**values)


def test_what_is_saved_is_loaded_but_for_what_is_left_out(tmp_path):
    one = whole()
    one.save(tmp_path / "w")
    again = Whole.load(tmp_path / "w")
    assert (again.parts, again.cells, again.note, again.model) == (one.parts, one.cells, None, None)
    assert torch.equal(again.path, one.path)
    with pytest.raises(InvalidArgumentError, match=r"there is no result\.json in it"):
        Whole.load(tmp_path)


def test_another_type_is_refused(tmp_path):
    @dataclass(frozen=True, repr=False)
    class Other(Result):
        n: int = 1

    Other().save(tmp_path / "o")
    with pytest.raises(InvalidArgumentError, match="it holds a Other, not a Whole"):
        Whole.load(tmp_path / "o")


def test_it_is_printed_in_a_few_lines_and_as_a_table_in_a_notebook():
    lines = repr(whole()).splitlines()
    assert lines[0] == "Parts & all"
    assert lines[1].split() == ["part", "iia", "mean"]
    assert "75.0 [30.1, 95.4]" in lines[2]
    assert len(lines) == 4
    assert "Parts &amp; all" in whole()._repr_html_()
    frame = whole().to_frame()
    assert list(frame.columns) == [
        "part", "iia", "iia_low", "iia_high", "iia_n", "mean", "mean_low", "mean_high", "mean_n",
    ]  # fmt: skip
    assert list(frame["iia_n"]) == [4, 4]


@given(st.dictionaries(st.integers(), st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text())))
def test_plain_and_rebuilt_are_inverse(value):
    assert rebuilt(dict[int, tuple[float, str]], plain(value)) == value


def test_json_has_no_nan():
    assert plain(Mean.of([0.5]))["low"] is None
    again = rebuilt(Mean, plain(Mean.of([0.5])))
    assert (again.value, again.n) == (0.5, 1)
    assert again.low != again.low
