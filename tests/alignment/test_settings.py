import pytest

from numsym.alignment.settings import SearchSettings


def test_the_rate_falls_from_the_first_step_to_the_last_as_half_a_cosine():
    settings = SearchSettings(max_steps=100, learning_rate=0.02, warm_up=0)
    rates = [settings.rate(step) for step in range(1, 101)]
    assert rates[0] == 0.02
    assert rates[50] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-5
    constant = SearchSettings(schedule="constant", learning_rate=0.02, warm_up=0)
    assert {constant.rate(step) for step in (1, 7, 500)} == {0.02}


def test_the_rate_first_rises_in_equal_steps():
    settings = SearchSettings(schedule="constant", learning_rate=0.6, warm_up=2)
    assert [settings.rate(step) for step in (1, 2, 3, 4)] == pytest.approx([0.2, 0.4, 0.6, 0.6])


def test_a_short_search_neither_rises_nor_remembers_for_more_than_a_tenth_of_its_steps():
    short = SearchSettings(schedule="constant", learning_rate=0.6, max_steps=20)
    assert [short.rate(step) for step in (1, 2, 3)] == pytest.approx([0.2, 0.4, 0.6])
    assert (short.memory, SearchSettings(max_steps=4).memory) == (0.5, 0.0)
    assert (SearchSettings(max_steps=100).memory, SearchSettings(average=0.5).memory) == (0.9, 0.5)


def test_without_a_rate_it_falls_with_the_width_beyond_fifty():
    assert [SearchSettings().at(width).learning_rate for width in (4, 20, 50)] == [0.03] * 3
    assert SearchSettings(warm_up=0).at(128).rate(1) == pytest.approx(0.03 * 50 / 128)
    assert SearchSettings(learning_rate=0.2).at(4096).learning_rate == 0.2
    assert SearchSettings(max_steps=7).at(100) == SearchSettings(max_steps=7, learning_rate=0.015)
