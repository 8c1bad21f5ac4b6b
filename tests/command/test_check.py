import pytest

from numsym_command.check import RefusedError, check
from numsym_command.configs import store


@pytest.fixture(scope="module")
def known():
    return store()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search.max_steps=1.5"], "search.max_steps=1.5 is not allowed: it must be a whole number"),
        (["search.learning_rate=fast"], "search.learning_rate='fast' is not allowed: it must be a number"),
        (["seed=abc"], "seed='abc' is not allowed: it must be a whole number"),
        (["seed=null"], "seed=None is not allowed: it must be a whole number"),
        (["device=null"], "device=None is not allowed: it must be text"),
        (["serch.max_steps=3"], "serch.max_steps is not a setting here: did you mean search.max_steps?"),
        (["tasks.model.hidden_sized=3"], "did you mean tasks.model.hidden_size?"),
        (["tasks=foo"], "tasks='foo' is not allowed: choose one of addition, addition_prompts, arithmetic"),
        (
            ["interventions=[das,foo]"],
            "interventions='foo' is not allowed: choose one of boundless, conditional, das",
        ),
        (["experiment=nope"], "experiment='nope' is not allowed: choose one of align"),
        (["seed=0,1"], "seed=0,1 is not allowed without -m: several values are a sweep"),
        (["folder"], "'folder' is not allowed: give KEY=VALUE, such as seed=1"),
        (["-m", "seed=0,x"], "seed='x' is not allowed: it must be a whole number"),
        (["-m", "tasks=parity,foo"], "tasks='foo' is not allowed"),
        (["-m", "seed=0,1", "--cfg", "job"], "-m is not allowed with --cfg"),
        (["tasks=[mod,round]"], "tasks=[mod,round] is not allowed: give one; several are a sweep, numsym -m tasks=A,B"),
        (["interventions=[]"], "interventions=[] is not allowed: name at least one"),
        (["search=null"], "search=null is not allowed: name at least one, or leave it away"),
        (["pairs.train=1.5"], "pairs.train=1.5 is not allowed: it must be a whole number"),
        (["folder=null"], "folder=None is not allowed: it must be text"),
        (["folder="], "folder='' is not allowed: name one, such as folder=runs/mine"),
        (["model_path=3"], "model_path is not a setting here: did you mean model?"),
        (["hydra.foo=3"], "hydra.foo=3 is not allowed: Could not override 'hydra.foo'"),
        (["hydra/launcher=foo"], "hydra/launcher=foo is not allowed: In 'hydra/config'"),
        (["+experiment=3"], "+experiment=3 is not allowed"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, message, known):
    with pytest.raises(RefusedError) as raised:
        check(arguments, known)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--cfg", "job"],
        ["seed=3", "tasks=same_object", "interventions=laf", "search.max_steps=500", "controls=[floor]"],
        ["-m", "seed=0,1,2", "tasks.model.hidden_size=8,16", "hydra.sweep.dir=x"],
        ["-m", "seed=range(3)", "launch=joblib"],
        ["experiment=replicate", "seed=3,4"],
        ["positions={phase: 1, count: [1, 10]}"],
        ["experiment=markov", "experiment.networks=[gru]", "positions=[2,last]"],
        ["subspace_dim=8", "variable=[count,phase]", "site=state", "+new=3", "~plugins"],
        ["folder=runs/${seed}"],
        ["experiment=phase_diagram", "experiment.runs=[a,b]"],
        ["experiment=fourier_causal", "experiment.training.learning_rate=1", "experiment.period=7"],
    ],
)
def test_what_is_right_passes(arguments, known):
    check(arguments, known)


def test_a_folder_that_cannot_be_is_named(known, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="/file is a file; give a new or empty folder"):
        check([f"folder={tmp_path}/file/run"], known)
    monkeypatch.setattr("os.access", lambda *args: False)
    with pytest.raises(RefusedError, match="cannot be written to"):
        check([f"folder={tmp_path}/run"], known)
