import json

import pytest
from numsym.experiments.modular_causal import ExchangePlan, exchange_table, run, table

from numsym.alignment import SearchSettings
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import ModularAddition
from numsym.training.modular import ModularTrainingSettings, build_adder, train_adder

QUICK = SearchSettings(max_steps=300, check_every=50, patience=4)


@pytest.fixture(scope="module")
def adder():
    task = ModularAddition(p=11, fraction=1)
    model = build_adder(task, alpha=0, hidden_size=32)
    train_adder(model, task, ModularTrainingSettings(epochs=400, log_every=400, weight_decay=0.5))
    return model


def test_an_operand_is_in_its_embedding_and_the_sum_is_not(adder, tmp_path):
    plan = ExchangePlan(
        variables=("sum", "first"),
        sites=("embeddings",),
        pairs=600,
        fraction=1,
        controls=("floor",),
        alignments=("linear",),
    )
    rows = exchange_table(adder, tmp_path / "out", plan=plan, settings=QUICK)
    assert [(row["variable"], row["position"], row["alignment"]) for row in rows] == [
        ("sum", "last", "linear"),
        ("first", "a", "linear"),
    ]
    assert rows[0]["iia"] < 0.5
    assert rows[1]["iia"] > 0.9
    assert all(row["floor"] < 0.3 for row in rows)
    assert json.loads((tmp_path / "out" / "exchanges.json").read_text()) == rows
    assert (tmp_path / "out" / "exchanges.md").read_text() == table(rows)


def test_the_sum_is_in_the_mlp_output(adder, tmp_path):
    plan = ExchangePlan(variables=("sum",), sites=("mlp_output",), alignments=("linear",), pairs=2000, controls=())
    row = exchange_table(adder, tmp_path / "out", plan=plan, settings=QUICK)[0]
    assert row["iia"] > 0.9
    assert row["position"] == "last"
    assert row["heldout_iia"] is not None


def test_a_plan_names_what_exists():
    with pytest.raises(UnknownNameError, match="unknown variable 'product'"):
        ExchangePlan(variables=("product",))
    with pytest.raises(UnknownNameError, match="unknown site 'logits'"):
        ExchangePlan(sites=("logits",))
    with pytest.raises(InvalidArgumentError, match=r"sites=\(\) is not allowed"):
        ExchangePlan(sites=())


def test_a_table_shows_percents():
    row = {"variable": "sum", "site": "mlp_output", "position": "last", "alignment": "linear", "iia": 0.9876}
    lines = table([row | {"heldout_iia": None}]).splitlines()
    assert lines[0] == "| variable | site | position | alignment | iia | heldout iia |"
    assert lines[2] == "| sum | mlp_output | last | linear | 98.8 |  |"


def test_the_command_reads_its_plan(composed, tmp_path):
    model = build_adder(ModularAddition(p=7), hidden_size=16)
    model.save_pretrained(tmp_path / "model")
    config = composed(
        "experiment=modular_causal",
        f"model_path={tmp_path / 'model'}",
        "exchange.variables=[sum]",
        "exchange.sites=[mlp_output]",
        "exchange.alignments=[linear]",
        "exchange.max_steps=20",
        "exchange.pairs=300",
        "exchange.subspace_dim=4",
    )
    rows = run(config, tmp_path / "run")
    assert [(row["variable"], row["site"], row["subspace_dim"], row["steps"]) for row in rows] == [
        ("sum", "mlp_output", 4, 20)
    ]
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == {"exchanges": rows}
    build_adder(ModularAddition(p=7), kind="A", hidden_size=8).save_pretrained(tmp_path / "linear")
    with pytest.raises(InvalidArgumentError, match="holds no transformer"):
        run(config | {"model_path": str(tmp_path / "linear")}, tmp_path / "other")
