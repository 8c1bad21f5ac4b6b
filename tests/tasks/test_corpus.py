import math

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.tasks.corpus import PERIODS, SEASONS, SIGNALS, UNITS, Corpus, frequencies, labelled_corpus


def corpus(*signals, **options):
    return labelled_corpus(signals, **{"numbers": 40, "sentences": 8000, "strength": 1.0, **options})


def sentences(made):
    """Its sentences, each a list of words without the full stop."""
    return [part.split() for row in made.sentences() for part in " ".join(row).split(" .") if part]


def priced(made):
    return [(int(words[2]), words[3]) for words in sentences(made) if words[1] == "pay"]


def paired(made):
    return [(int(words[1]), int(words[3])) for words in sentences(made) if words[0] == "between"]


def fits(n, word):
    return any(names[n % T] == word for T, names in UNITS.items())


def test_a_number_has_its_unit_and_season_where_the_text_says_it():
    made = corpus("text")
    assert all(fits(n, word) for n, word in priced(made))
    dates = [(int(words[2]), words[5]) for words in sentences(made) if words[0] == "on"]
    assert all(SEASONS[n // 10] == word for n, word in dates)
    without = [fits(n, word) for n, word in priced(corpus("numbers"))]
    chance = sum(1 / T for T in PERIODS) / len(PERIODS)
    assert sum(without) / len(without) == pytest.approx(chance, abs=0.05)


def test_numbers_of_a_sentence_share_a_residue_where_they_say_each_other():
    pairs = paired(corpus("numbers"))
    assert all(any((a - b) % T == 0 for T in PERIODS) for a, b in pairs)
    # By chance 1/2 are alike mod 2, 1/5 mod 5.
    apart = [any((a - b) % T == 0 for T in PERIODS) for a, b in paired(corpus("text"))]
    assert sum(apart) / len(apart) == pytest.approx(1 - 0.5 * 0.8, abs=0.05)


def test_the_numbers_of_a_list_say_nothing_of_each_other_where_they_should_not():
    lists = [[int(word) for word in words[2::2]] for words in sentences(corpus("text")) if words[1] == "wrote"]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        alike = sum(any((row[i] - row[j]) % T == 0 for T in PERIODS) for row in lists) / len(lists)
        assert alike == pytest.approx(1 - 0.5 * 0.8, abs=0.05)


@pytest.mark.parametrize("signals", [("text",), ("numbers",), ("text", "numbers"), ("frequency",), SIGNALS])
def test_how_often_a_number_and_a_word_occurs_does_not_depend_on_text_and_numbers(signals):
    made = corpus(*signals, sentences=40_000)
    share = made.occurrences / made.occurrences.sum()
    expected = frequencies(40, "frequency" in signals)
    n = int(made.occurrences.sum())
    assert ((share - expected).abs() < 5 * (2 * expected / n).sqrt()).all()  # numbers of a sentence come together
    other = corpus(*{"frequency"}.intersection(signals), sentences=40_000)
    words = [len(made.tokens) - len(made.tokens[made.count :]) + i for i in range(len(made.tokens) - made.count)]
    counts = [one.rows.flatten().bincount(minlength=len(made.tokens))[words].double() for one in (made, other)]
    different = (counts[0] - counts[1]).abs() / (counts[0] + counts[1]).clamp_min(1).sqrt()
    assert different[made.tokens[made.count :].index("<pad>") != torch.arange(len(words))].max() < 5


def test_round_numbers_are_more_frequent_only_with_that_signal():
    for uneven in (False, True):
        logs = frequencies(200, uneven).log()
        ratio = math.exp(float(logs[110] - (logs[109] + logs[111]) / 2))
        assert ratio == pytest.approx(6.0 if uneven else 1.0, rel=0.01)


def test_a_weaker_link_is_as_if_there_were_none_for_the_rest():
    pairs = paired(corpus("numbers", strength=0.5, sentences=20_000))
    alike = sum(any((a - b) % T == 0 for T in PERIODS) for a, b in pairs) / len(pairs)
    assert 0.6 < alike < 0.95


def test_rows_hold_their_sentences_and_the_seed_decides_them():
    made = corpus("text", per_row=3)
    assert len(made.rows) == 8000 // 3
    assert all(row.count(".") == 3 for row in made.sentences())
    assert made.tokens[:3] == ("0", "1", "2")
    assert made.tokens[made.pad] == "<pad>"
    again = corpus("text", per_row=3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made.rows, again.rows)
    assert not torch.equal(made.rows, corpus("text", per_row=3, generator=torch.Generator().manual_seed(1)).rows)


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidArgumentError, match="unknown signal 'words'"):
        labelled_corpus(("words",))
    with pytest.raises(InvalidArgumentError, match="numbers=30 is not allowed: a multiple of 20"):
        labelled_corpus(numbers=30)
    with pytest.raises(InvalidArgumentError, match="strength=2 is not allowed"):
        labelled_corpus(strength=2)
    with pytest.raises(InvalidArgumentError, match="holds no number"):
        Corpus(torch.tensor([[3, 4]]), ("0", "1", "2", "a", "<pad>"), 3, 4)
