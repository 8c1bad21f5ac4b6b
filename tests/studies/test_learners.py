import pytest

from numsym.errors import InvalidArgumentError
from numsym.probes import ppmi_svd, residue
from numsym.run import NO_RUN
from numsym.studies.learners import Cell, Readers, check_learners, read, told
from numsym.studies.periods import Periods
from numsym.tasks.corpus import labelled_corpus
from numsym.training import AdderTraining

MADE = labelled_corpus(("text",), numbers=40, sentences=600)


def test_each_learner_reads_the_corpus_and_is_measured_as_it_is():
    training = AdderTraining(steps=2, checks=1, batch_size=4)
    readers = Readers(("counts", "ppmi", "gru"), 8, 1, "adamw", training, Periods(40, 3, 3, 0.01), "cpu")
    counts, ppmi, gru = readers.cells(MADE, "text", 5, {}, NO_RUN)
    assert [cell.learner for cell in (counts, ppmi, gru)] == ["counts", "ppmi", "gru"]
    assert {cell.seed for cell in (counts, ppmi, gru)} == {5}
    own = residue(MADE.occurrences.double().log1p()[:, None], (2, 3), 3, baseline=True)
    assert counts.kappa == own.kappa
    assert counts.above == {T: own.baseline(T).high for T in (2, 3)}
    assert ppmi.kappa == residue(ppmi_svd(iter(MADE.sentences()), range(40), width=8), (2, 3), 3).kappa
    assert (len(counts.records), len(ppmi.records), len(gru.records)) == (0, 0, 2)
    assert gru.records[-1]["kappa_2"] == pytest.approx(gru.kappa[2])


@pytest.mark.parametrize(
    ("kappa", "start", "expected"),
    [
        (12.0, None, [2]),  # counted: there is no start
        (9.0, None, []),
        (12.0, 0.5, [2]),
        (12.0, -40.0, [2]),  # smooth first vectors have a kappa far below 0, and take nothing off the bar
        (9.0, -40.0, []),
        (12.0, 6.0, []),  # above shuffled numbers and above its start, but half of it is the start's
        (17.0, 6.0, [2]),
        (12.0, 12.0, []),  # nothing was learnt
    ],
)
def test_a_period_is_read_above_shuffled_numbers_and_above_the_networks_own_start(kappa, start, expected):
    records = [] if start is None else [{"step": 0, "kappa_2": start}, {"step": 9, "kappa_2": kappa}]
    assert read([Cell("gru", "whole", 0, {2: kappa}, {2: 10.0}, {2: 0.1}, records)]) == expected


def test_a_period_is_read_with_every_seed_and_one_seed_is_no_finding():
    seeds = [
        Cell("gru", "whole", i, {2: high, 5: 30.0}, {2: 10.0, 5: 10.0}, {}, []) for i, high in enumerate((20.0, 5.0))
    ]
    assert read(seeds) == [5]
    assert told(seeds) == "5"
    assert told(seeds[:1]) == "2, 5 (one seed: no finding)"
    assert told(seeds[1:]) == "5 (one seed: no finding)"
    assert told([Cell("gru", "whole", 0, {2: 1.0}, {2: 10.0}, {}, [])]) == "none"


def test_what_is_unknown_is_named():
    for learners, optimiser, message in (
        ((), "adamw", "number of learners=0 is not allowed"),
        (("rnn",), "adamw", "unknown learner 'rnn'"),
        (("gru",), "sgd", "unknown optimiser 'sgd'"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            check_learners(learners, optimiser)
