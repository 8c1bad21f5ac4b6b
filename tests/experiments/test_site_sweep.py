import json

import pytest

from numsym.errors import UnknownNameError
from numsym.experiments.site_sweep import run

TINY = (
    "experiment=site_sweep",
    "tasks.arguments.counts=[1,4]",
    "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=16",
    "tasks.model.num_heads=2",
    "tasks.training.steps=3",
    "interventions.count_laf.search.subspace_dim=4",
    "interventions.phase_laf.search.subspace_dim=4",
    "interventions.full_laf.search.subspace_dim=4",
    "pairs.train=60",
    "pairs.validation=20",
    "pairs.test=30",
    "search.max_steps=2",
    "search.check_every=2",
    "controls=[floor]",
)


def test_an_interrupted_sweep_goes_on_site_by_site(composed, tmp_path, monkeypatch):
    from numsym.experiments import searched

    config, search, asked = composed(*TINY), searched.align_many, []

    def broken_at_the_third_site(*args, **options):
        asked.append(str(options["site"]))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return search(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(searched, "align_many", broken_at_the_third_site)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run")
        assert not (tmp_path / "run" / "results.json").exists()
        found = run(config, tmp_path / "run")
    assert asked == ["block_input:0", "block_output:0", "block_output:1", "block_output:1"]
    written = json.loads((tmp_path / "run" / "results.json").read_text())["sweep"]
    assert written == found.to_dict() == json.loads((tmp_path / "run" / "iia_map.json").read_text())
    assert [row["site"] for row in written["rows"]][::3] == asked[:3]
    assert (tmp_path / "run" / "iia_map.png").stat().st_size > 10_000


def test_a_site_that_is_not_there_leaves_no_folder(composed, tmp_path):
    with pytest.raises(UnknownNameError, match=r"layer=5 is not allowed"):
        run(composed(*TINY, "sweep.sites=[block_output:5]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
