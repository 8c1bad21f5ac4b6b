import pytest
import torch

from numsym.programs import PROGRAMS, ModularVocabulary, exchange, state_at, unroll

PLAN = {"a": torch.tensor([3, 6, 0]), "b": torch.tensor([5, 6, 2])}


def program(name, **options):
    return PROGRAMS[name](ModularVocabulary.build(7, **options))


@pytest.mark.parametrize("name", ["modular_sum", "modular_operands"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("equals", [False, True])
def test_trials_are_operands_then_their_sum(name, separate, equals):
    one = program(name, separate_vocabularies=separate, equals_sign=equals)
    run = unroll(one, one.start(PLAN))
    offset = 7 * separate
    sign = [7 * (1 + separate)] * equals
    expected = [[3, 5 + offset, *sign, 1], [6, 6 + offset, *sign, 5], [0, 2 + offset, *sign, 2]]
    assert run.tokens.tolist() == expected
    assert run.predictable.tolist() == [[False] * (2 + equals) + [True]] * 3


def test_what_each_program_knows_when():
    run = unroll(program("modular_sum"), program("modular_sum").start(PLAN))
    assert run.states["sum"].tolist() == [[3, 1, 1], [6, 5, 5], [0, 2, 2]]
    run = unroll(program("modular_operands"), program("modular_operands").start(PLAN))
    assert run.states["first"].tolist() == [[3, 3, 3], [6, 6, 6], [0, 0, 0]]
    assert run.states["second"].tolist() == [[0, 5, 5], [0, 6, 6], [0, 2, 2]]


@pytest.mark.parametrize(
    ("name", "variables", "answers"),
    [
        ("modular_sum", ("sum",), [2, 1]),
        ("modular_operands", ("first",), [(0 + 5) % 7, (3 + 2) % 7]),
        ("modular_operands", ("second",), [(3 + 2) % 7, (0 + 5) % 7]),
        ("modular_operands", ("first", "second"), [2, 1]),
    ],
)
def test_an_exchange_before_the_answer_changes_it(name, variables, answers):
    one = program(name)
    plan = {"a": torch.tensor([3, 0]), "b": torch.tensor([5, 2])}
    run = unroll(one, one.start(plan))
    base = state_at(run.states, torch.tensor([1, 1]))
    source = {key: value.flip(0) for key, value in base.items()}
    after = unroll(one, exchange(base, source, variables))
    assert after.tokens.tolist() == [[answer] for answer in answers]


def test_an_exchanged_first_operand_meets_the_planned_second_one():
    one = program("modular_sum")
    run = unroll(one, one.start(PLAN))
    base = state_at(run.states, torch.zeros(3, dtype=torch.long))
    after = unroll(one, exchange(base, {"sum": torch.tensor([4, 4, 4])}, ("sum",)))
    assert after.tokens.tolist() == [[5, (4 + 5) % 7], [6, (4 + 6) % 7], [2, 6]]


def test_names_of_tokens():
    vocabulary = ModularVocabulary.build(3, separate_vocabularies=True, equals_sign=True)
    assert vocabulary.tokens == ("0", "1", "2", "0'", "1'", "2'", "=")
    assert ModularVocabulary.build(3).tokens == ("0", "1", "2")
