"""The place that keeps nothing, and the one where a study is only called to see what it refuses."""

import pytest

from numsym.run import NO_RUN, Rehearsal, rehearse


def read(path):
    pytest.fail(f"{path} was never written")


def test_nothing_is_kept_and_everything_is_made(tmp_path):
    made = []
    parts = NO_RUN.keep_all(["a", "b"], lambda names: {n: made.append(n) or n.upper() for n in names}, read)
    assert parts == {"a": "A", "b": "B"}
    assert NO_RUN.keep("a", lambda: 3, read) == 3
    assert NO_RUN.within("x") is NO_RUN
    with NO_RUN.stage("s", 2) as stage:
        stage.to(1, loss=0.5)
        stage.record("s", {"step": 1})
    NO_RUN.say("nothing")
    NO_RUN.note(fact=1)
    assert NO_RUN.show("result") == "result"
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_ends_where_there_would_be_work_and_passes_on_what_is_refused():
    def study(n, run=NO_RUN):
        if n < 0:
            raise ValueError("n=-1 is not allowed")
        return run.keep("x", lambda: pytest.fail("this is work"), read)

    rehearse(study, 1)
    with pytest.raises(ValueError, match="n=-1"):
        rehearse(study, -1)
    for used in (lambda run: run.show(None), lambda run: run.stage("s", 1).__enter__()):
        rehearse(lambda run, used=used: used(run))
    assert isinstance(Rehearsal(), type(NO_RUN))
