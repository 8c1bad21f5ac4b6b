import json

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import Adder, CircuitMetrics, CircuitReport, circuit_metrics, circuit_report, circularity


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


def test_a_report_is_saved_and_read(pizza, tmp_path):
    report = circuit_report(pizza())
    report.save(tmp_path / "saved")
    written = json.loads((tmp_path / "saved" / "result.json").read_text())
    assert (written["line"], written["metrics"]["verdict"]) == (report.line, "Pizza")
    read = CircuitReport.load(tmp_path / "saved")
    assert read == report
    assert [row["frequency"] for row in read.rows()] == [fit.circle.frequency for fit in report.circles]
    assert read.rows()[0]["pizza"] == read.circles[0].fve["pizza"] == pytest.approx(1.0)
    assert list(read.tables()) == [
        "Clock or Pizza",
        "share of the logits' variance that each formula explains, of the circle alone",
        "share of the logits' variance that each formula explains, of the difference that the circle makes",
    ]
    assert CircuitMetrics.from_dict(written["metrics"]) == report.metrics
    assert repr(report.metrics).splitlines()[0] == "Clock or Pizza"


def test_the_metrics_are_a_point_of_the_plane(clock):
    metrics = circuit_metrics(clock())
    figure = metrics.figure()
    (point,) = figure.axes[0].lines
    assert point.get_xydata().tolist() == [[metrics.distance_irrelevance, metrics.gradient_symmetricity]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["Pizza", "Clock"]
    plt.close(figure)


def test_a_report_without_circles_has_no_figure():
    noise = torch.randn(23, 16)
    report = circuit_report(Adder(noise, noise, lambda a, b: (a + b) @ noise.T), triples=5)
    assert (report.rows(), report.figure(), list(report.tables())) == ([], None, ["Clock or Pizza"])
