import json

import pytest
import torch

from numsym.circuits import Adder, circuit_metrics, circuit_report, circularity


def test_hand_built_networks_get_their_names(clock, pizza):
    assert circuit_metrics(clock(), triples="all").verdict == "Clock"
    assert circuit_metrics(pizza()).verdict == "Pizza"


def test_published_verdicts(model_a, model_b):
    assert circuit_report(model_a).line.startswith("Pizza: accuracy 100.00 %, gradient symmetricity 99.37 %")
    assert circuit_report(model_b).line.startswith("Clock: accuracy 100.00 %, gradient symmetricity 33.36 %")


def test_a_network_that_does_not_add_gets_no_verdict(clock):
    right = clock()
    wrong = Adder(right.embed_a, right.embed_b, lambda a, b: right.logits(a, b).roll(1, 1))
    assert circuit_metrics(wrong).verdict == "does not add"


def test_scrambled_tokens_are_not_circular(clock):
    right = clock()
    order = [(t**3) % 23 for t in range(23)]
    # A lookup undoes the scrambling, so the network still adds.
    table = right.embed_a[order]

    def logits(embed_a, embed_b):
        nearest = [torch.cdist(e, table).argmin(1) for e in (embed_a, embed_b)]
        return right.logits(right.embed_a[nearest[0]], right.embed_a[nearest[1]])

    assert Adder(table, table, logits).accuracy() == 1.0
    assert circularity(Adder(table, table, logits)) < 0.95


def test_a_report_goes_into_json(pizza):
    report = circuit_report(pizza())
    read = json.loads(json.dumps(report.as_dict()))
    assert read["verdict"] == "Pizza"
    assert [row["frequency"] for row in read["circles"]] == [fit.circle.frequency for fit in report.circles]
    assert read["circles"][0]["pizza"] == pytest.approx(1.0)
