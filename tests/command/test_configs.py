import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from numsym import recipes
from numsym.errors import InvalidArgumentError
from numsym.tasks import load_task
from numsym_command.configs import CONFIGS, help_text, recipe_folders, short, store
from numsym_command.signatures import studies

NEEDED = {
    "collect": ["experiment.runs=[x]"], "phase_diagram": ["experiment.runs=[x]"], "from_text": ["experiment.text=x"],
}  # fmt: skip


def composed(*overrides):
    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return recipes.plain(compose("config", overrides=["folder=unused", *overrides]))


def test_every_study_and_every_recipe_composes():
    known = store()
    for name in known["experiment"]:
        needed = NEEDED.get(name, [])
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


def test_grants_search_is_a_recipe_that_a_value_can_still_change():
    found = composed("search=grant", "search.patience=5")["search"]
    assert (found["starts"], found["learning_rate"], found["schedule"], found["patience"]) == (
        "random", 1e-3, "constant", 5,
    )  # fmt: skip
    assert set(found) == set(composed()["search"])
    replicated = composed("experiment=replicate", "search=grant")["search"]
    assert replicated["max_steps"] == found["max_steps"]


def test_settings_of_training_that_are_a_studys_own_are_given_by_field():
    """They are a dataclass in the signature; elsewhere `training` is what the task's recipe says."""
    own = composed("experiment=fourier_causal", "experiment.training.steps=300")["experiment"]
    assert own["training"] == {
        "steps": 300, "batch_size": 128, "learning_rate": 3e-3, "weight_decay": 0.03, "checks": 60, "stop_at": 0.998,
    }  # fmt: skip
    assert own["strongest"] == [1, 2, 4, 8, 12, 16, 20]
    assert composed("experiment=routes")["experiment"]["training"]["steps"] == 4000
    assert "training" not in composed("experiment=over_training")["experiment"]


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


def test_a_long_sweep_has_short_folders_that_differ():
    long = ",".join(f"tasks.training.setting_{i}={i}" for i in range(15))
    made = {short(long), short(long + "0"), short(long.replace("setting_14", "setting_x"))}
    assert len(made) == 3
    assert all(len(name) < 100 and name.startswith("tasks.training.setting_0=0,") for name in made)
    assert short("seed=1") == "seed=1"
    path = "experiment.runs=[/tmp/a],seed=1"  # one folder, and not one in the other
    assert short(path).startswith("experiment.runs=[_tmp_a],seed=1,")
    assert short(path) != short(path.replace("/", "_"))
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=["folder=unused"], return_hydra_config=True)
    OmegaConf.update(config, "hydra.job.override_dirname", long)
    assert config.hydra.sweep.subdir == short(long)


def test_a_recipe_changes_nothing_of_hydra(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    called = "{hydra: {callbacks: {evil: {_target_: os.system, command: x}}}, name: parity}"
    (tmp_path / "tasks" / "evil.yaml").write_text(f"# @package _global_\n{called}\n")
    monkeypatch.setenv("NUMSYM_RECIPES", str(tmp_path))
    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=["folder=unused", "tasks=evil"], return_hydra_config=True)
    assert config.hydra.callbacks == {}
    with pytest.raises(InvalidArgumentError, match="unknown key of a task recipe 'hydra'"):
        load_task(OmegaConf.to_container(config.tasks))
