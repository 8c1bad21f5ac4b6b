"""Programs for sums asked as text: the sum, its operands, and its digits with the carry, in a tokenizer's tokens."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary, exchange
from numsym.programs.numbers import NONE, Numbers, pick


@dataclass(frozen=True)
class SumPromptVocabulary(Vocabulary):
    """A tokenizer's tokens, and the one prompt in which two numbers and their sum are filled in.

    Attributes:
        before: the ids before the first number, shots included.
        between: the ids between the numbers.
        after: the ids between the second number and the answer.
        a, b, c: the ids of the numbers in each place.
        end: the id after the answer, where only that says that the answer is over; else None.
    """

    before: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    a: Numbers = NONE
    b: Numbers = NONE
    c: Numbers = NONE
    end: int | None = None

    def used(self) -> set[int]:
        """The ids that occur in trials."""
        fixed = {*self.before, *self.between, *self.after, *(() if self.end is None else (self.end,))}
        return fixed | self.a.used() | self.b.used() | self.c.used()


class SumPromptProgram(Program):
    """Reads a prompt in which a + b is asked, then says the answer, whose tokens alone are predictable.

    What is kept in between is for the subclass to say. A state also holds the plan (`a` and `b`, what is asked), `step`
    (the tokens consumed), and how far the present number is read (`node`, `taken`).

    Args:
        vocabulary: the tokens and the prompt.
    """

    def __init__(self, vocabulary: SumPromptVocabulary):
        self.vocabulary = vocabulary

    @abstractmethod
    def take(self, state: State, a: Bool[Tensor, "batch"], b: Bool[Tensor, "batch"], value: Tensor) -> State:
        """The variables where the first (`a`) or the second number (`b`) is now read as `value`."""

    @abstractmethod
    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """The sum, from the variables alone."""

    def start(self, plan: State) -> State:
        """Before the first token. `plan`: `a` and `b`, each (batch,) int64."""
        zero = torch.zeros_like(plan["a"])
        own = {name: zero for name in ("step", "ended", "node", "taken", "left", "right")}
        return {"a": plan["a"], "b": plan["b"], **own} | dict.fromkeys(self.variables, zero)

    def bounds(self, state: State) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Where each number of the prompt begins and what follows it begins, and where the answer begins."""
        v = self.vocabulary
        begin_a = torch.full_like(state["step"], len(v.before))
        end_a = begin_a + v.a.lengths(state["a"])
        begin_b = end_a + len(v.between)
        end_b = begin_b + v.b.lengths(state["b"])
        return begin_a, end_a, begin_b, end_b, end_b + len(v.after)

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Take in a number's token where one stands; after its last token the answer ends the trial."""
        v, step = self.vocabulary, state["step"]
        begin_a, end_a, begin_b, end_b, asked = self.bounds(state)
        a, b = (step >= begin_a) & (step < end_a), (step >= begin_b) & (step < end_b)
        fresh = (step == begin_a) | (step == begin_b)
        state = {**state, **{name: torch.where(fresh, 0, state[name]) for name in ("node", "taken")}}
        node = torch.where(a, v.a.read(state["node"], token), v.b.read(state["node"], token))
        value = torch.where(a, v.a.value(node), v.b.value(node))
        changed = self.take(state, a, b, value)
        read = {"node": torch.where(a | b, node, state["node"]), "taken": torch.where(a | b, value, state["taken"])}
        said = step - asked + 1
        if v.end is None:
            ended = said >= v.c.lengths(self.answer(state))
        else:
            ended = (said >= 1) & ((token == v.end) | (said > v.c.longest))
        return {**state, **read, **changed, "step": step + 1, "ended": torch.maximum(state["ended"], ended.long())}

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The prompt with the numbers as planned, then the answer, and where it needs one its end."""
        v, step = self.vocabulary, state["step"]
        begin_a, end_a, begin_b, end_b, asked = self.bounds(state)
        answer, said = self.answer(state), step - asked
        token = pick(v.before, step)
        token = torch.where(step >= begin_a, v.a.token(state["a"], step - begin_a), token)
        token = torch.where(step >= end_a, pick(v.between, step - end_a), token)
        token = torch.where(step >= begin_b, v.b.token(state["b"], step - begin_b), token)
        token = torch.where(step >= end_b, pick(v.after, step - end_b), token)
        token = torch.where(said >= 0, v.c.token(answer, said), token)
        if v.end is not None:
            token = torch.where(said >= v.c.lengths(answer), v.end, token)
        ended = state["ended"] == 1
        return token.masked_fill(ended, v.pad), (said >= 0) & ~ended

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Where one of them has a value in both trials, and the answer that follows is one that the task can have."""
        held = [self.holds(base, name) & self.holds(source, name) for name in names]
        answer, v = self.foreseen(exchange(base, source, names)), self.vocabulary
        return torch.stack(held).any(0) & (answer >= v.c.first) & (answer <= v.c.last)

    def holds(self, state: State, name: str) -> Bool[Tensor, "batch"]:
        """Where a variable has a value: once the first number is read, unless a subclass says otherwise."""
        return state["step"] >= self.bounds(state)[1]

    def foreseen(self, state: State) -> Int[Tensor, "batch"]:
        """The answer that a state leads to, with what is still to be read as planned."""
        begin_a, end_a, begin_b, end_b, _ = self.bounds(state)
        step, none = state["step"], torch.zeros_like(state["step"], dtype=torch.bool)
        for which, begin, end in (("a", begin_a, end_a), ("b", begin_b, end_b)):
            unread = step < end
            sides = (unread, none) if which == "a" else (none, unread)
            begun = {**state, "taken": torch.where(step > begin, state["taken"], 0)}
            state = {**state, **self.take(begun, *sides, state[which])}
        return self.answer(state)


@PROGRAMS.register("prompt_sum")
class PromptSum(SumPromptProgram):
    """Keeps a running `sum`: a after the first operand, a + b after the second."""

    variables = ("sum",)

    def take(self, state: State, a: Bool[Tensor, "batch"], b: Bool[Tensor, "batch"], value: Tensor) -> State:
        """What is read is added, less what of the same number was read before."""
        return {"sum": torch.where(a | b, state["sum"] + value - state["taken"], state["sum"])}

    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """The sum."""
        return state["sum"]


@PROGRAMS.register("prompt_operands")
class PromptOperands(SumPromptProgram):
    """Keeps the operands apart, `first` and `second`, and adds them only to answer."""

    variables = ("first", "second")

    def take(self, state: State, a: Bool[Tensor, "batch"], b: Bool[Tensor, "batch"], value: Tensor) -> State:
        """Keep each operand as it comes."""
        return {"first": torch.where(a, value, state["first"]), "second": torch.where(b, value, state["second"])}

    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """Their sum."""
        return state["first"] + state["second"]

    def holds(self, state: State, name: str) -> Bool[Tensor, "batch"]:
        """Each once it is read."""
        return state["step"] >= self.bounds(state)[1 if name == "first" else 3]


@PROGRAMS.register("prompt_carry")
class PromptCarry(SumPromptProgram):
    """Adds column by column, as in the arithmetic task of MIB: `ones`, the `carry` out of them, and `tens`.

    Of a + b, `ones` is (a + b) mod 10, `carry` is 1 where the last digits of a and b make 10 or more, and `tens` is
    what the other digits make without it. The answer is 10 (tens + carry) + ones, so that an exchanged carry changes it
    by 10 and an exchanged `ones` leaves the carry. They are had from the last token of b on.

    MIB: Mueller et al. 2025, arXiv 2504.13151.
    """

    variables = ("carry", "ones", "tens")

    def take(self, state: State, a: Bool[Tensor, "batch"], b: Bool[Tensor, "batch"], value: Tensor) -> State:
        """Keep the first operand; add the second to it, column by column."""
        left, right = torch.where(a, value, state["left"]), torch.where(b, value, state["right"])
        column = left % 10 + right % 10
        made = {"carry": column // 10, "ones": column % 10, "tens": left // 10 + right // 10}
        return {"left": left, "right": right} | {name: torch.where(b, new, state[name]) for name, new in made.items()}

    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """What the columns make."""
        return 10 * (state["tens"] + state["carry"]) + state["ones"]

    def holds(self, state: State, name: str) -> Bool[Tensor, "batch"]:
        """Once both numbers are read."""
        return state["step"] >= self.bounds(state)[3]
