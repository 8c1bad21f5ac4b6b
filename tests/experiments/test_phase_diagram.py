import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.phase_diagram import draw, run


def write(folder, **row):
    folder.mkdir(parents=True)
    full = {
        "seed": 0,
        "hidden_size": 8,
        "first_epoch_right": None,
        "gradient_symmetricity": 0.98765,
        "distance_irrelevance": 0.2,
        "circularity": 0.99,
        "verdict": "Pizza",
    }
    (folder / "modular_adder.json").write_text(json.dumps(full | row))


def test_runs_become_a_figure_and_a_table(tmp_path):
    write(tmp_path / "runs" / "1", alpha=1.0, verdict="Clock", first_epoch_right=500)
    write(tmp_path / "runs" / "2", alpha=0.0)
    rows = draw([tmp_path / "runs"], tmp_path / "out")
    assert [row["alpha"] for row in rows] == [0.0, 1.0]
    lines = (tmp_path / "out" / "runs.md").read_text().splitlines()
    assert lines[0].startswith("| alpha | hidden size | seed | first epoch right |")
    assert lines[2] == "| 0 | 8 | 0 |  | 0.988 | 0.2 | 0.99 | Pizza |"
    assert lines[3] == "| 1 | 8 | 0 | 500 | 0.988 | 0.2 | 0.99 | Clock |"
    assert json.loads((tmp_path / "out" / "runs.json").read_text()) == rows
    assert (tmp_path / "out" / "phase_diagram.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_leaves_nothing_behind(tmp_path):
    with pytest.raises(InvalidArgumentError, match="hold no modular_adder"):
        draw([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_draws_what_it_finds(composed, tmp_path):
    write(tmp_path / "runs" / "1", alpha=0.5)
    rows = run(composed("experiment=phase_diagram", f"runs=[{tmp_path / 'runs'}]"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == {"runs": rows}
    assert (tmp_path / "out" / "phase" / "phase_diagram.png").exists()
