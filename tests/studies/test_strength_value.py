import json

import pytest
import torch

from numsym.errors import InvalidArgumentError, ModelMismatchError, RunFolderError
from numsym.lab.run import Run
from numsym.lab.runner import run_study
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM
from numsym.studies import strength_value
from numsym.studies.strength_value import KINDS, kinds
from numsym.tasks import MultiObject, Parity, SameObject

TASK = MultiObject(counts=range(1, 5), void_prob=0.3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return TransformerLM(TransformerConfig(hidden_size=12, num_layers=2, num_heads=3)).eval()


@pytest.mark.parametrize("margin", [False, True])
def test_the_terms_sum_to_the_ends_logit(model, margin):
    found = strength_value(model, TASK, trials=20, margin=margin)
    assert set(found.strength) == set(KINDS)
    assert found.error < 1e-4
    assert found.of == ("end - response" if margin else "the end's logit")
    batch = TASK.sample(20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(batch.input_ids[:, :-1]).logits[batch.predictable[:, 1:]]
    v = TASK.vocabulary
    want = logits[:, v.eos] - (logits[:, v.response] if margin else 0)
    total = sum(found.rest.values()) + float(found.contribution.sum()) / len(want)
    assert total == pytest.approx(want.mean().item(), abs=1e-4)


def test_a_run_is_found_again_and_not_mixed_with_another(model, tmp_path):
    found = strength_value(model, TASK, trials=20, run=Run(tmp_path / "run", track=False, quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["strength"]["response"] == found.strength["response"].tolist()
    assert (tmp_path / "run" / "strength_value.png").stat().st_size > 10_000
    again = strength_value(model, TASK, trials=20, run=Run(tmp_path / "run", track=False, quiet=True))
    assert torch.equal(again.contribution, found.contribution)
    with pytest.raises(RunFolderError, match="was made with trials=20"):
        strength_value(model, TASK, trials=21, run=Run(tmp_path / "run", track=False, quiet=True))


def test_a_demonstration_token_after_the_trigger_is_a_response():
    task = SameObject(counts=(2,), held_out=())
    batch = task.sample(1)
    names = [KINDS[i] for i in kinds(task, batch)[0].tolist()]
    assert names[:6] == ["begin", "demonstration", "demonstration", "trigger", "response", "response"]


def test_what_is_refused_leaves_no_folder(model, tmp_path):
    run = Run(tmp_path / "run", track=False, quiet=True)
    with pytest.raises(ModelMismatchError, match="model of type RecurrentLM is not allowed here"):
        strength_value(RecurrentLM(RecurrentConfig(hidden_size=4)), TASK, run=run)
    with pytest.raises(InvalidArgumentError, match="task='parity' is not allowed here: it must be counting"):
        strength_value(model, Parity(), run=run)
    with pytest.raises(InvalidArgumentError, match="trials=0 is not allowed"):
        strength_value(model, TASK, trials=0, run=run)
    assert not (tmp_path / "run").exists()


def test_the_command_trains_a_transformer(tmp_path, monkeypatch):
    from hydra import compose, initialize_config_dir

    from numsym import recipes
    from numsym_command.configs import CONFIGS, store

    monkeypatch.setenv("WANDB_MODE", "disabled")
    tiny = [
        "experiment=strength_value", "folder=unused", "device=cpu", "experiment.trials=20",
        "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=8",
        "tasks.model.num_layers=1", "tasks.model.num_heads=2", "tasks.training.steps=2", "tasks.training.batch_size=8",
    ]  # fmt: skip
    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = recipes.plain(compose("config", overrides=tiny))
        gru = recipes.plain(
            compose("config", overrides=["experiment=strength_value", "tasks=multi_object", "folder=u"])
        )
    found = run_study("strength_value", config, tmp_path / "run")
    assert list(found.strength) == list(KINDS)
    assert found.weight.shape[:2] == (1, 2)
    with pytest.raises(ModelMismatchError, match="it must be a TransformerLM"):
        run_study("strength_value", gru, tmp_path / "gru")
    assert not (tmp_path / "gru").exists()
