from dataclasses import replace

import pytest
import torch

from numsym import Run, align_many
from numsym.alignment import Hypothesis
from numsym.errors import InvalidArgumentError
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.storage import read_json
from numsym.studies import width
from numsym.studies.width import Widths
from numsym.tasks import MultiObject, Parity

TASK = MultiObject(counts=range(1, 5), held_out=(3,))
ASKED = {name: Hypothesis(alignment=kind) for name, kind in (("LAF", "linear"), ("low_rank", "low_rank"))}
OPTIONS = {
    "search": {"max_steps": 2, "check_every": 2}, "pairs": {"train": 120, "validation": 40, "test": 50},
    "controls": ("floor",),
}  # fmt: skip


def maker(task=TASK):
    """Gives untrained models, and notes which."""
    asked = []

    def make(hidden_size=8):
        asked.append(hidden_size)
        torch.manual_seed(0)
        return RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=hidden_size)).eval()

    return make, asked


def test_there_is_a_point_for_each_width_and_each_k():
    make, made = maker()
    found = width(make, TASK, ASKED, widths=(6, 8), dimensions=(1, 3), **OPTIONS)
    assert [point.x for point in found.by_width.points] == [6, 8]
    assert [point.x for point in found.by_k.points] == [1, 3]
    assert found.by_width.axis == "width"
    assert found.by_k.axis == "coordinates exchanged (k), width 8"
    # The one whose k is varied is also the one of its width.
    assert made == [8, 6]
    alone = align_many(make(hidden_size=6), TASK, ASKED, **OPTIONS)
    assert [found.by_width.points[0].iia[name] for name in ASKED] == [result.test.iia for result in alone]
    fewer = {name: replace(one, subspace_dim=3) for name, one in ASKED.items()}
    for name, result in zip(ASKED, align_many(make(), TASK, fewer, **OPTIONS), strict=True):
        assert found.by_k.points[1].iia[name] == result.test.iia
    assert {row["axis"] for row in found.rows()} == {"width", found.by_k.axis}


def test_a_run_keeps_every_alignment_and_is_read_the_second_time(tmp_path):
    def measure():
        run = Run(tmp_path / "run", track=False, quiet=True)
        return width(maker()[0], TASK, ASKED, widths=(6, 8), dimensions=(1, 3), run=run, **OPTIONS)

    found = measure()
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("result.json")}
    assert len(parts) == 8
    assert measure() == found
    assert all(path.stat().st_mtime_ns == time for path, time in parts.items())
    assert Widths.from_dict(read_json(tmp_path / "run" / "results.json")) == found
    assert (tmp_path / "run" / "width.png").stat().st_size > 10_000


def test_another_task_is_searched_for_what_it_names():
    task = Parity(counts=range(1, 9))
    pairs = {"train": 40, "validation": 10, "test": 10}
    found = width(maker(task)[0], task, widths=(4,), dimensions=(1,), **{**OPTIONS, "pairs": pairs})
    assert found.by_width.names == found.by_k.names == ["parity"]


def test_wrong_arguments_are_refused_before_the_first_search(tmp_path):
    for changes, message in (
        ({"dimensions": (9,)}, "subspace_dim=9 is not allowed"),
        ({"widths": ()}, r"widths=\(\) is not allowed: give at least one"),
        ({"widths": (0,)}, "widths=0 is not allowed: it must be at least 1"),
        ({"site": "state:1"}, "layer=1 is not allowed"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            run = Run(tmp_path / "run", track=False, quiet=True)
            width(maker()[0], TASK, ASKED, **{"widths": (6,), "dimensions": (1,), "run": run, **OPTIONS, **changes})
    assert not (tmp_path / "run").exists()
