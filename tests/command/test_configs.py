from hydra import compose, initialize_config_dir

from numsym import recipes
from numsym_command.configs import CONFIGS, help_text, recipe_folders, store
from numsym_command.signatures import studies


def composed(*overrides):
    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return recipes.plain(compose("config", overrides=["folder=unused", *overrides]))


def test_every_study_and_every_recipe_composes():
    known = store()
    for name in known["experiment"]:
        needed = ["experiment.runs=[x]"] if name in ("collect", "phase_diagram") else []
        found = composed(f"experiment={name}", *needed)
        assert found["experiment"]["name"] in studies()
    for task in known["tasks"]:
        assert composed(f"tasks={task}")["tasks"]["name"]
    assert list(composed("interventions=[low_rank,das]")["interventions"]) == ["low_rank", "das"]


def test_a_study_brings_its_own_search():
    plain, graded = composed(), composed("experiment=graded")
    assert plain["controls"] is True
    assert graded["controls"] == ["floor"]
    assert graded["experiment"] == {"name": "graded", "measured": 20_000}
    assert composed("search.max_steps=3")["search"]["max_steps"] == 3


def test_a_recipe_changes_nothing_but_its_own_group(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "evil.yaml").write_text(
        "name: parity\nhydra:\n  callbacks:\n    x: {_target_: os.system}\nseed: 9\nmodel: {}\ntraining: {}\n"
    )
    monkeypatch.setenv("NUMSYM_RECIPES", str(tmp_path))
    assert recipe_folders()[-1] == tmp_path
    found = composed("tasks=evil")
    assert found["seed"] == 0
    assert found["tasks"]["hydra"]["callbacks"]["x"]["_target_"] == "os.system"  # a value like any other, never called


def test_the_help_has_a_line_for_each_study():
    text = help_text(studies(), store())
    for name, study in studies().items():
        assert any(line.split()[:1] == [name] and line.endswith(study.line) for line in text.splitlines()), name
