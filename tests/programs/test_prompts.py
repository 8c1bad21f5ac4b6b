import torch

from numsym.programs import CountPromptVocabulary, PromptCount, PromptOperands, PromptSum, SumPromptVocabulary, unroll
from numsym.programs.base import state_at

# "<s> A + B = C" with 1 = <s>, 2 = +, 3 = "=", operands 10.. and 20.., sums 30..
SUMS = SumPromptVocabulary(
    tuple(map(str, range(40))),
    pad=0,
    p=5,
    template=(1, 10, 2, 20, 3, 30),
    places=(1, 3, 5),
    numbers=((10, 11, 12), (20, 21, 22), (30, 31, 32, 33, 34)),
)
# "<s> : W .. W =" with words 10, 11 and numbers 30..
COUNTS = CountPromptVocabulary(
    tuple(map(str, range(40))), pad=0, before=(1, 2), items=(10, 11), after=(3,), numbers=tuple(range(30, 36))
)


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


def test_items_are_counted_and_the_list_goes_on_as_planned():
    program = PromptCount(COUNTS)
    plan = {"target": torch.tensor([1, 3]), "word": torch.tensor([1, 0])}
    run = unroll(program, program.start(plan))
    assert run.tokens.tolist() == [[1, 2, 11, 3, 31, 0, 0], [1, 2, 10, 10, 10, 3, 33]]
    assert run.states["count"].tolist() == [[0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 2, 3, 3, 3]]
    assert run.predictable.nonzero().tolist() == [[0, 4], [1, 6]]
    state = state_at(run.states, torch.tensor([2, 3])) | {"count": torch.tensor([5, 4])}
    follows = unroll(program, state)
    # The second list still has one item to come, which the answer has on top of the exchanged count.
    assert follows.tokens.tolist() == [[3, 35, 0], [10, 3, 35]]
