import pytest

from numsym.errors import InvalidArgumentError
from numsym.probes import ppmi_svd, residue
from numsym.run import NO_RUN
from numsym.studies.learners import Readers, check_learners
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


def test_what_is_unknown_is_named():
    for learners, optimiser, message in (
        ((), "adamw", "number of learners=0 is not allowed"),
        (("rnn",), "adamw", "unknown learner 'rnn'"),
        (("gru",), "sgd", "unknown optimiser 'sgd'"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            check_learners(learners, optimiser)
