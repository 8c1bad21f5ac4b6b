import pytest

from numsym.alignment.settings import SearchSettings


def test_the_rate_falls_from_the_first_step_to_the_last_as_half_a_cosine():
    settings = SearchSettings(max_steps=100, learning_rate=0.02)
    rates = [settings.rate(step) for step in range(1, 101)]
    assert rates[0] == 0.02
    assert rates[50] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-5
    assert {SearchSettings(schedule="constant", learning_rate=0.02).rate(step) for step in (1, 7, 500)} == {0.02}
