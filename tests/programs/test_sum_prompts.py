import pytest
import torch

from numsym.programs import Numbers, PromptCarry, PromptOperands, PromptSum, SumPromptVocabulary, unroll
from numsym.programs.base import exchange, state_at


def single(start, n):
    return Numbers(tuple((start + i,) for i in range(n)))


# "<s> A + B = C" with 1 = <s>, 2 = +, 3 = "=", operands 10.. and 20.., sums 30..
NAMES = tuple(map(str, range(40)))
SUMS = SumPromptVocabulary(
    NAMES, pad=0, before=(1,), between=(2,), after=(3,), a=single(10, 3), b=single(20, 3), c=single(30, 5)
)


def digits(first, last):
    return Numbers(tuple(tuple(10 + int(digit) for digit in str(number)) for number in range(first, last + 1)), first)


# Numbers in decimal digits 10..19, and 4 ends an answer.
WHOLE = {"before": (1,), "between": (2,), "after": (3,)}
DECIMAL = SumPromptVocabulary(NAMES, pad=0, **WHOLE, a=digits(0, 99), b=digits(0, 99), c=digits(0, 198), end=4)
PLAN = {"a": torch.tensor([8, 95, 47]), "b": torch.tensor([1, 27, 5])}


def test_the_prompt_is_written_with_its_sum_and_only_that_is_predictable():
    plan = {"a": torch.tensor([2, 0]), "b": torch.tensor([1, 2])}
    for kind in (PromptSum, PromptOperands):
        run = unroll(kind(SUMS), kind(SUMS).start(plan))
        assert run.tokens.tolist() == [[1, 12, 2, 21, 3, 33], [1, 10, 2, 22, 3, 32]]
        assert run.predictable.tolist() == [[False] * 5 + [True]] * 2
    assert unroll(PromptSum(SUMS), PromptSum(SUMS).start(plan)).states["sum"].tolist() == [
        [0, 2, 2, 3, 3, 3],
        [0, 0, 0, 2, 2, 2],
    ]


def test_variables_are_read_from_the_tokens_not_from_the_plan():
    plan = {"a": torch.tensor([0]), "b": torch.tensor([0])}
    program = PromptOperands(SUMS)
    read = unroll(program, program.start(plan), tokens=torch.tensor([[1, 11, 2, 22, 3, 33]])).states
    assert (read["first"][0, -1], read["second"][0, -1]) == (1, 2)


def test_after_an_exchange_the_prompt_goes_on_and_the_answer_follows_the_variable():
    plan = {"a": torch.tensor([1, 1]), "b": torch.tensor([2, 2])}
    for kind, name, wanted in ((PromptSum, "sum", [32, 34]), (PromptOperands, "first", [32, 34])):
        program = kind(SUMS)
        run = unroll(program, program.start(plan))
        state = state_at(run.states, torch.tensor([1, 1])) | {name: torch.tensor([0, 2])}
        follows = unroll(program, state)
        assert follows.tokens[:, :-1].tolist() == [[2, 22, 3]] * 2
        assert follows.tokens[:, -1].tolist() == wanted


@pytest.mark.parametrize("kind", [PromptSum, PromptOperands, PromptCarry])
def test_numbers_of_several_tokens_and_an_end_that_is_predicted(kind):
    program = kind(DECIMAL)
    run = unroll(program, program.start(PLAN))
    for row, text in enumerate(["8+1=9.", "95+27=122.", "47+5=52."]):
        ids = [1, *({"+": 2, "=": 3, ".": 4}.get(one) or 10 + int(one) for one in text)]
        assert run.tokens[row].tolist() == ids + [0] * (run.tokens.shape[1] - len(ids))
        assert run.predictable[row].sum() == len(text.split("=")[1])
    again = unroll(program, program.start(PLAN), tokens=run.tokens)
    assert all(torch.equal(again.states[name], run.states[name]) for name in program.variables)


def test_columns_are_added_as_on_paper():
    program = PromptCarry(DECIMAL)
    run = unroll(program, program.start(PLAN))
    at = torch.tensor([3, 5, 4])  # the last token of b
    state = state_at(run.states, at)
    assert [state[name].tolist() for name in program.variables] == [[0, 1, 1], [9, 2, 2], [0, 11, 4]]
    for variable, answers in (("carry", [19, 112, 42]), ("ones", [1, 124, 54])):
        values = {"carry": torch.tensor([1, 0, 0]), "ones": torch.tensor([1, 4, 4])}[variable]
        follows = unroll(program, state | {variable: values})
        for row, answer in enumerate(answers):
            said = [10 + int(digit) for digit in str(answer)]
            assert follows.tokens[row, 1 : 2 + len(said)].tolist() == [*said, 4]


def test_what_has_no_value_yet_or_leads_out_of_the_task_is_not_exchanged():
    few = SumPromptVocabulary(NAMES, pad=0, **WHOLE, a=digits(0, 9), b=digits(0, 9), c=digits(0, 9))
    plan, other = {"a": torch.tensor([3]), "b": torch.tensor([5])}, {"a": torch.tensor([6]), "b": torch.tensor([1])}
    for kind, name, at, admitted in (
        (PromptSum, "sum", 0, False), (PromptSum, "sum", 1, False), (PromptSum, "sum", 3, True),
        (PromptOperands, "first", 1, False), (PromptOperands, "second", 1, False), (PromptOperands, "second", 3, True),
        (PromptCarry, "carry", 1, False), (PromptCarry, "carry", 4, True),
    ):  # fmt: skip
        program = kind(few)
        base, source = (
            state_at(unroll(program, program.start(one)).states, torch.tensor([at])) for one in (plan, other)
        )
        assert program.admits(base, source, (name,)).item() == admitted, (name, at)
        if admitted:
            assert int(program.foreseen(exchange(base, source, (name,)))) <= 9


def test_a_model_that_says_something_else_ends_all_the_same():
    program = PromptSum(DECIMAL)
    state = state_at(unroll(program, program.start(PLAN)).states, torch.tensor([4, 6, 5]))
    for steps, token in ((1, 4), (4, 17)):
        said = dict(state)
        for _ in range(steps):
            assert not said["ended"].any()
            said = program.update(said, torch.full((3,), token))
        assert said["ended"].all()
