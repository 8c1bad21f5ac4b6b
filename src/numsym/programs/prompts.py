"""Programs for prompts of text: the number of items in a list, and the next number, in a tokenizer's tokens."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary
from numsym.programs.numbers import NONE, Numbers, pick


@dataclass(frozen=True)
class CountPromptVocabulary(Vocabulary):
    """A tokenizer's tokens, and the prompt in which a word stands as often as is to be counted.

    Attributes:
        before: the ids before the items, shots included.
        items: the id of each word.
        after: the ids between the last item and the answer.
        numbers: the ids of the answers.
        end: the id after the answer, where only that says that the answer is over; else None.
    """

    before: tuple[int, ...] = ()
    items: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    numbers: Numbers = NONE
    end: int | None = None


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
        item = (listing & (token == pick(v.items, state["word"]))).long()
        said = step + 1 - len(v.before) - state["target"] - len(v.after)
        if v.end is None:
            ended = said >= v.numbers.lengths(state["count"])
        else:
            ended = (said >= 1) & ((token == v.end) | (said > v.numbers.longest))
        return {
            **state,
            "step": step + 1,
            "shown": state["shown"] + item,
            "count": state["count"] + item,
            "ended": torch.maximum(state["ended"], ended.long()),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """What stands before the items, the items, what stands after them, and the answer, which is predictable."""
        v, step = self.vocabulary, state["step"]
        place = step - len(v.before) - state["target"]
        token = torch.where(step < len(v.before), pick(v.before, step), pick(v.items, state["word"]))
        token = torch.where((place >= 0) & (place < len(v.after)), pick(v.after, place), token)
        said = place - len(v.after)
        token = torch.where(said >= 0, v.numbers.token(state["count"], said), token)
        if v.end is not None:
            token = torch.where(said >= v.numbers.lengths(state["count"]), v.end, token)
        ended = state["ended"] == 1
        return token.masked_fill(ended, v.pad), (said >= 0) & ~ended


@dataclass(frozen=True)
class SuccessorVocabulary(Vocabulary):
    """A tokenizer's tokens, and the one prompt in which numbers follow each other.

    Attributes:
        before: the ids before the sequence, shots included.
        lead: the ids before each number, if any.
        numbers: the ids of the numbers, wherever they stand.
        length: how many are given.
        end: the id after the answer, where only that says that the answer is over; else None.
    """

    before: tuple[int, ...] = ()
    lead: tuple[int, ...] = ()
    numbers: Numbers = NONE
    length: int = 1
    end: int | None = None


@PROGRAMS.register("successor")
class Successor(Program):
    """Keeps the `number` read last, and says the one after it.

    The plan is `first`, the number that the sequence begins with. A state also holds how many numbers are `seen`, and
    the place `at` which the present one is read or said, its lead included.
    """

    variables = ("number",)

    def __init__(self, vocabulary: SuccessorVocabulary):
        self.vocabulary = vocabulary

    def start(self, plan: State) -> State:
        """Before the first token. `plan`: `first`, (batch,) int64."""
        zero = torch.zeros_like(plan["first"])
        own = dict.fromkeys(("step", "ended", "node", "seen", "number"), zero)
        return {"first": plan["first"], **own, "at": zero - len(self.vocabulary.before)}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """A token of a number is read; after the answer's the trial ends."""
        v, at, lead = self.vocabulary, state["at"], len(self.vocabulary.lead)
        listing = state["seen"] < v.length
        given = (at >= lead) & listing
        node = v.numbers.read(torch.where(at == lead, 0, state["node"]), token)
        over = listing & (at + 1 >= lead + v.numbers.lengths(state["first"] + state["seen"]))
        said = at + 1 - lead
        if v.end is None:
            ended = said >= v.numbers.lengths(state["number"] + 1)
        else:
            ended = (said >= 1) & ((token == v.end) | (said > v.numbers.longest))
        return {
            **state,
            "step": state["step"] + 1,
            "node": torch.where(given, node, state["node"]),
            "number": torch.where(given, v.numbers.value(node), state["number"]),
            "seen": state["seen"] + over.long(),
            "at": torch.where(over, 0, at + 1),
            "ended": torch.maximum(state["ended"], (ended & ~listing).long()),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """What stands before, the numbers as planned, then the answer, and where it needs one its end."""
        v, said, answering = (
            self.vocabulary,
            state["at"] - len(self.vocabulary.lead),
            state["seen"] >= self.vocabulary.length,
        )
        number = torch.where(answering, state["number"] + 1, state["first"] + state["seen"])
        token = torch.where(state["at"] < 0, pick(v.before, state["step"]), pick(v.lead, state["at"]))
        token = torch.where(said >= 0, v.numbers.token(number, said), token)
        if v.end is not None:
            token = torch.where(answering & (said >= v.numbers.lengths(number)), v.end, token)
        ended = state["ended"] == 1
        return token.masked_fill(ended, v.pad), answering & (said >= 0) & ~ended

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Where both have read a number, and the task has the one that then follows."""
        read = (base["seen"] + base["node"] > 0) & (source["seen"] + source["node"] > 0)
        return read & (source["number"] < self.vocabulary.numbers.last)
