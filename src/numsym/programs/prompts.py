"""Programs for prompts of text: the sum asked for, its operands, and the number of items, in a tokenizer's tokens."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary
from numsym.programs.modular_sum import ModularOperands, ModularProgram, ModularSum, ModularVocabulary


@dataclass(frozen=True)
class SumPromptVocabulary(ModularVocabulary):
    """A tokenizer's tokens, and the one prompt in which two numbers and their sum are filled in.

    Attributes:
        p: above every sum, so that none wraps.
        template: the ids of the whole trial, shots included, with some number in each place.
        places: the positions of the operands and of the answer, the last token.
        numbers: for each place, the ids of 0, 1, 2, ...
    """

    template: tuple[int, ...] = ()
    places: tuple[int, int, int] = (0, 0, 0)
    numbers: tuple[tuple[int, ...], ...] = ()

    @property
    def prompt_length(self) -> int:
        """The number of tokens before the answer."""
        return self.places[2]

    def read(self, place: int, token: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The number that a token is in a place (0 where it is none)."""
        return _index(self.numbers[place], token)

    def write(self, place: int, number: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The token of a number in a place."""
        return _pick(self.numbers[place], number)


class SumPromptProgram(ModularProgram):
    """Reads a prompt in which a + b is asked, then says the answer; what is kept is for the other base to say."""

    vocabulary: SumPromptVocabulary

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Take in an operand where one stands; the answer ends the trial."""
        v, step = self.vocabulary, state["step"]
        which = torch.where(step == v.places[0], 0, torch.where(step == v.places[1], 1, 2))
        changed = self.read(state, v.read(0, token), v.read(1, token), which)
        return {**state, **changed, "step": step + 1, "ended": (step >= v.prompt_length).long()}

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The prompt with the operands as planned, then the answer, which alone is predictable."""
        v, step = self.vocabulary, state["step"]
        token = _pick(v.template, step)
        for place, number in enumerate((state["a"], state["b"], self.answer(state))):
            token = torch.where(step == v.places[place], v.write(place, number), token)
        return token.masked_fill(state["ended"].bool(), v.pad), step == v.prompt_length


@PROGRAMS.register("prompt_sum")
class PromptSum(SumPromptProgram, ModularSum):
    """Keeps a running `sum`: a after the first operand, a + b after the second."""


@PROGRAMS.register("prompt_operands")
class PromptOperands(SumPromptProgram, ModularOperands):
    """Keeps the operands apart, `first` and `second`, and adds them only to answer."""


@dataclass(frozen=True)
class CountPromptVocabulary(Vocabulary):
    """A tokenizer's tokens, and the prompt in which a word stands as often as is to be counted.

    Attributes:
        before: the ids before the items, shots included.
        items: the id of each word.
        after: the ids between the last item and the answer.
        numbers: the ids of the answers 0, 1, 2, ...
    """

    before: tuple[int, ...] = ()
    items: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()


@PROGRAMS.register("prompt_count")
class PromptCount(Program):
    """Counts the items of a prompt, `count`, then says how many there were.

    The plan is `target`, how often the item stands, and `word`, which item. How many items have been shown belongs to
    the prompt, not to the count: after an exchange the list goes on as planned, and the answer is the exchanged count
    and what was still to come.
    """

    variables = ("count",)

    def __init__(self, vocabulary: CountPromptVocabulary):
        self.vocabulary = vocabulary

    def start(self, plan: State) -> State:
        """Before the first token. `plan`: `target` and `word`, each (batch,) int64."""
        zero = torch.zeros_like(plan["target"])
        kept = {"target": plan["target"], "word": plan["word"]}
        return {**kept, "step": zero, "shown": zero, "ended": zero, "count": zero}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """An item raises the count; the answer ends the trial."""
        v, step = self.vocabulary, state["step"]
        listing = (step >= len(v.before)) & (state["shown"] < state["target"])
        item = (listing & (token == _pick(v.items, state["word"]))).long()
        last = len(v.before) + state["target"] + len(v.after)
        return {
            **state,
            "step": step + 1,
            "shown": state["shown"] + item,
            "count": state["count"] + item,
            "ended": (step >= last).long(),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """What stands before the items, the items, what stands after them, and the answer, which is predictable."""
        v, step = self.vocabulary, state["step"]
        place = step - len(v.before) - state["target"]
        token = torch.where(step < len(v.before), _pick(v.before, step), _pick(v.items, state["word"]))
        token = torch.where((place >= 0) & (place < len(v.after)), _pick(v.after, place), token)
        answering = place == len(v.after)
        token = torch.where(answering, _pick(v.numbers, state["count"]), token)
        return token.masked_fill(state["ended"].bool(), v.pad), answering


def _pick(ids: tuple[int, ...], index: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """The ids at some places of a tuple; the nearest one where a place is outside."""
    if not ids:
        return torch.zeros_like(index)
    return torch.tensor(ids, device=index.device)[index.clamp(0, len(ids) - 1)]


def _index(ids: tuple[int, ...], token: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """The place of each token in a tuple of ids, 0 where it is not in it."""
    return (token[:, None] == torch.tensor(ids, device=token.device)).long().argmax(1)
