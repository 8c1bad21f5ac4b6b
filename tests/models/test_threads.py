import logging

import pytest
import torch
from torch import nn

from numsym.models import threads


def test_a_small_model_takes_one_thread_and_a_large_one_the_free_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    large = nn.Linear(2000, 2000)
    for load, free in ((0.2, 8), (3.4, 5), (20.0, 1)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0, 0))
        assert threads.threads_for(nn.Linear(4, 4)) == 1
        assert threads.threads_for(large) == threads.free_cores() == free


def test_a_system_that_knows_no_load_gives_all_cores(monkeypatch):
    def unknown():
        raise OSError

    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr("os.getloadavg", unknown)
    assert threads.free_cores() == 3


def test_it_is_said_once_and_nothing_is_changed(caplog, monkeypatch):
    monkeypatch.setattr(threads, "_advised", set())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with caplog.at_level(logging.INFO, logger="numsym"):
            for _ in range(2):
                threads.advise(nn.Linear(4, 4))
            threads.advise(nn.Identity())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [record.getMessage() for record in caplog.records] == [
        "torch.set_num_threads(1) would likely be faster than the present 2 threads"
    ]


@pytest.mark.cuda
def test_nothing_is_said_of_a_model_on_a_gpu(caplog):
    with caplog.at_level(logging.INFO, logger="numsym"):
        threads.advise(nn.Linear(4, 4, device="cuda"))
    assert not caplog.records
