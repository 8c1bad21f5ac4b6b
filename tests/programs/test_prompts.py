import torch

from numsym.programs import CountPromptVocabulary, Numbers, PromptCount, Successor, SuccessorVocabulary, unroll
from numsym.programs.base import state_at

# "<s> : W .. W =" with words 10, 11 and numbers 30..
COUNTS = CountPromptVocabulary(
    tuple(map(str, range(40))),
    pad=0,
    before=(1, 2),
    items=(10, 11),
    after=(3,),
    numbers=Numbers(tuple((30 + n,) for n in range(6))),
)
# "<s> , 8 , 9 , 1 0 <end>": digits are 10..19, the numbers 8..12.
DIGITS = Numbers(((18,), (19,), (11, 10), (11, 11), (11, 12)), 8)
NEXT = SuccessorVocabulary(tuple(map(str, range(40))), pad=0, before=(1,), lead=(2,), numbers=DIGITS, length=2, end=5)


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


def test_a_number_of_several_tokens_is_read_and_its_successor_said():
    program, plan = Successor(NEXT), {"first": torch.tensor([8, 9])}
    run = unroll(program, program.start(plan))
    assert run.tokens.tolist() == [[1, 2, 18, 2, 19, 2, 11, 10, 5, 0], [1, 2, 19, 2, 11, 10, 2, 11, 11, 5]]
    assert run.predictable.nonzero().tolist() == [[0, 6], [0, 7], [0, 8], [1, 7], [1, 8], [1, 9]]
    assert run.states["number"][:, 5].tolist() == [9, 10]
    state = state_at(run.states, torch.tensor([4, 5])) | {"number": torch.tensor([11, 8])}
    assert unroll(program, state).tokens.tolist() == [[2, 11, 12, 5], [2, 19, 5, 0]]
    at = state_at(run.states, torch.tensor([4, 5]))
    assert program.admits(at, at | {"number": torch.tensor([11, 12])}, ("number",)).tolist() == [True, False]


def test_where_no_number_begins_another_nothing_follows_the_answer():
    short = SuccessorVocabulary(NEXT.tokens, pad=0, numbers=Numbers(((18,), (19,), (11, 10)), 8), length=1)
    run = unroll(Successor(short), Successor(short).start({"first": torch.tensor([8, 9])}))
    assert run.tokens.tolist() == [[18, 19, 0], [19, 11, 10]]
