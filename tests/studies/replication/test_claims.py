import json
from pathlib import Path

import pytest

from numsym.studies.collect import Run
from numsym.studies.over_training import OverTraining
from numsym.studies.replication.claims import CLAIMS, cells, verdicts

COUNTS = range(1, 10)


def share(value, n=1000):
    return {"value": value, "low": max(0.0, value - 0.02), "high": min(1.0, value + 0.02), "n": n}


def measured(iia, slope=0.0):
    graded = {str(c): share(min(1.0, iia - slope * (c - 5))) for c in COUNTS}
    return {"iia": share(iia), "by_base_count": graded, "by_source_count": graded, "by_difference": graded}


def alignment(program, variable, function, iia, slope=0.0, **controls):
    return {
        "program": program, "variables": [variable], "alignment": function, "test": measured(iia, slope),
        "controls": {name: share(value) for name, value in controls.items()},
    }  # fmt: skip


def run(network, task, seed, *alignments):
    found = {"alignments": {str(i): one for i, one in enumerate(alignments)}}
    return Run(Path("run"), "finished", "", {"network": network, "tasks.name": task, "seed": seed}, {}, found)


def grid(same=0.6, das=0.96, slope=0.02, up_up=(0.2, 0.8)):
    """A world in which everything is as [N] has it, unless changed."""
    runs = []
    for network in ("gru_20", "lstm_128"):
        for task in ("multi_object", "single_object", "same_object"):
            for seed in (0, 1):
                level = same if task == "same_object" else 0.95
                ups = [
                    alignment("up_down", v, f, level * (das if f == "orthogonal" else 1.0), slope, neurons=0.1)
                    for v in ("count", "phase", "full") for f in ("orthogonal", "linear")
                ]  # fmt: skip
                more = [alignment("up_up", "demo_count", f, up_up[f == "linear"]) for f in ("orthogonal", "linear")]
                runs.append(run(network, task, seed, *ups, *more))
    return runs


def found(runs):
    return {verdict.claim: verdict for verdict in verdicts(runs)}


def test_a_world_like_the_papers_reproduces_what_it_can_say():
    said = [verdict.verdict for verdict in verdicts(grid())]
    assert len(said) == len(CLAIMS) + 1
    assert said == ["reproduced"] * 5 + ["not measured"] + ["reproduced"] * 3 + ["not measured"] * 3


def test_cells_are_means_over_seeds():
    runs = [
        run("gru_20", "multi_object", seed, alignment("up_down", "count", "linear", iia))
        for seed, iia in ((0, 0.8), (1, 1.0))
    ]
    (cell,) = cells(runs)
    assert (cell.iia.value, cell.iia.n) == (pytest.approx(0.9), 2)
    assert cell.graded("by_base_count")[3].n == 2000
    assert cell.control("floor") is None


def test_each_claim_can_fail():
    same, as_high, rescues = (
        "Same-Object GRUs less",
        "LAF is at least as high as OAF",
        "LAF rescues cases where OAF fails",
    )
    assert found(grid(same=0.95))[same].verdict == "not reproduced"
    assert found(grid(das=1.05))[as_high].verdict == "different"
    assert found(grid(up_up=(0.2, 0.3)))[rescues].verdict == "not reproduced"
    assert found(grid(same=0.96, up_up=(0.6, 0.9)))[rescues].verdict == "not measured"
    flat = found(grid(slope=0.0))
    assert flat["IIA is lower for larger counts (of the base trial)"].verdict == "not reproduced"
    assert flat["IIA is lower for larger count differences"].verdict == "not reproduced"
    high = "GRUs on Multi-Object and Single-Object align with Up-Down at high IIA"
    assert found(grid())[high].numbers.startswith("6 of 6 cells; from 95 (gru_20, multi_object, ")


def test_transformers_have_claims_of_their_own():
    ups = [alignment("up_down", "full", f, 0.1, floor=0.08, ceiling=0.09) for f in ("orthogonal", "linear")]
    fits = alignment("ctx_distr", "value", "linear", 0.5)
    fits["test"]["changed"] = share(0.97, 500)
    said = found([run("transformer_128", "multi_object", 0, *ups, fits)])
    assert said["Shallow transformers fail Up-Down"].verdict == "reproduced"
    assert said["Shallow transformers fit Ctx-Distr"].verdict == "reproduced"
    idle = "Replacing the whole residual state at one position does not change what follows"
    assert said[idle].verdict == "reproduced"
    moved = [alignment("up_down", "full", f, 0.1, floor=0.08, ceiling=0.6) for f in ("orthogonal", "linear")]
    assert found([run("transformer_128", "multi_object", 0, *moved)])[idle].verdict == "not reproduced"


def test_iia_over_training_comes_from_its_own_runs():
    config = {"tasks.name": "multi_object", "seed": 0}
    curve = {"axis": "optimiser steps", "correlation": {"count": 0.9, "phase": None}}
    claim = "IIA rises with training in step with task accuracy"
    said = found([Run(Path("run"), "finished", "", config, {}, curve)])[claim]
    assert said.verdict == "different"
    assert "1 of 2 cells" in said.numbers
    kept = json.loads(json.dumps(OverTraining("optimiser steps", (), {"phase": 0.8}).to_dict()))
    assert found([Run(Path("run"), "finished", "", config, {}, kept)])[claim].verdict == "reproduced"
    widths = Run(Path("run"), "finished", "", config, {}, {**curve, "axis": "width"})
    assert found([widths])[claim].verdict == "not measured"
