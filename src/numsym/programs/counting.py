"""The programs of the counting tasks ([N] section 3 and appendix): Up-Down, Up-Up and Ctx-Distr.

They differ in the numbers they keep, not in the trial they describe, so the trial is written once.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import check_at_least
from numsym.programs.base import PROGRAMS, Program, State, Vocabulary, exchange
from numsym.programs.transforms import TRANSFORMS

DEMONSTRATION, RESPONSE = -1, 1


@dataclass(frozen=True)
class CountingVocabulary(Vocabulary):
    """The tokens of a counting task. `response` is one of `demonstration` in the Same-Object task."""

    demonstration: tuple[int, ...] = ()
    response: int = 0
    bos: int = 1
    eos: int = 2
    trigger: int = 3
    void: int = 4

    def is_demonstration(self, token: Int[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Where `token` is a demonstration token (in the Same-Object task: or a response token)."""
        return (token >= self.demonstration[0]) & (token <= self.demonstration[-1])

    def is_item(self, token: Int[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Where `token` counts for something: a demonstration or response token, at which [N] intervenes."""
        return self.is_demonstration(token) | (token == self.response)


class CountingProgram(Program):
    """A trial `B D..D T R..R E`: demonstrate until the object target, then answer as often as was counted.

    The plan is `target`, the number of demonstration tokens. A demonstration token counts only in the demonstration
    phase and a response token only in the response phase, which is what tells them apart in the Same-Object task.

    Args:
        vocabulary: the tokens.
        void_prob: how often a demonstration step is void.
        transform: how many responses a count asks for (`TRANSFORMS`). It is applied when the trigger arrives, so a
            phase that an exchange turns does without it.
        highest: the largest number of objects that a trial has.

    Raises:
        InvalidArgumentError: `highest` is below 1.
    """

    def __init__(
        self,
        vocabulary: CountingVocabulary,
        *,
        void_prob: float | int = 0.0,
        transform: str = "identity",
        highest: int = 20,
    ):
        check_at_least("highest", highest, 1)
        self.vocabulary = vocabulary
        self.void_prob = void_prob
        self.transformed = TRANSFORMS[transform]
        self.highest = highest
        self.longest = int(self.transformed(torch.arange(highest + 1)).max())

    @property
    @abstractmethod
    def numbers(self) -> tuple[str, ...]:
        """The names of the numbers kept, all 0 at the start."""

    @abstractmethod
    def demonstrated(self, state: State) -> Int[Tensor, "batch"]:
        """How many objects have been counted: compared with the target in the demonstration phase."""

    @abstractmethod
    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """How many responses are still due: the end comes at 0 or below."""

    @abstractmethod
    def count(self, state: State, demonstration: Int[Tensor, "batch"], response: Int[Tensor, "batch"]) -> State:
        """The numbers after a step in which `demonstration` and `response` are 1 where such a token was consumed."""

    def turn(self, state: State) -> State:
        """The numbers that the trigger changes; none, where the answer is the count itself."""
        return {}

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Not where the answer would be longer than any that a trial has.

        A count of responses that is exchanged into a demonstration is transformed there once more: with squares.
        """
        edited = exchange(base, source, names)
        return (edited["phase"] == RESPONSE) | (self.transformed(self.demonstrated(edited)) <= self.longest)

    def word(self, variable: str, value: int) -> str:
        """The phases have names."""
        names = {DEMONSTRATION: "demonstration", RESPONSE: "response"} if variable == "phase" else {}
        return names.get(value) or super().word(variable, value)

    def start(self, plan: State) -> State:
        """Before `B`: demonstration phase, all numbers 0. `plan["target"]`: (batch,) the number of objects."""
        target = plan["target"]
        zero = torch.zeros_like(target)
        return {
            "target": target,
            "begun": zero,
            "ended": zero,
            "phase": zero + DEMONSTRATION,
            **dict.fromkeys(self.numbers, zero),
        }

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """The state after `token`; tokens that mean nothing in the present phase leave it as it is."""
        v = self.vocabulary
        answering = state["phase"] == RESPONSE
        demonstration = v.is_demonstration(token) & ~answering
        response = (token == v.response) & answering
        triggered = (token == v.trigger) & ~answering
        turned = {name: torch.where(triggered, value, state[name]) for name, value in self.turn(state).items()}
        return {
            **state,
            **self.count({**state, **turned}, demonstration.long(), response.long()),
            "phase": torch.where(token == v.trigger, RESPONSE, state["phase"]),
            "begun": torch.where(token == v.bos, 1, state["begun"]),
            "ended": torch.where(token == v.eos, 1, state["ended"]),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """`B`, demonstrations (each drawn uniformly, or void) up to the target, `T`, responses, `E`, then padding."""
        v, target = self.vocabulary, state["target"]
        answering = (state["phase"] == RESPONSE) & (state["ended"] == 0)
        token = self._demonstration(target, generator)
        token = torch.where(self.demonstrated(state) >= target, v.trigger, token)
        token = torch.where(answering, torch.where(self.remaining(state) > 0, v.response, v.eos), token)
        token = torch.where(state["begun"] == 0, v.bos, token)
        token = torch.where(state["ended"] == 1, v.pad, token)
        return token, answering & (state["begun"] == 1)

    def _demonstration(self, like: Int[Tensor, "batch"], generator: torch.Generator | None) -> Int[Tensor, "batch"]:
        low, high = self.vocabulary.demonstration[0], self.vocabulary.demonstration[-1] + 1
        token = torch.randint(low, high, like.shape, generator=generator, device=like.device)
        if self.void_prob == 0:
            return token
        void = torch.rand(like.shape, generator=generator, device=like.device) < self.void_prob
        return torch.where(void, self.vocabulary.void, token)


@PROGRAMS.register("up_down")
class UpDown(CountingProgram):
    """One count: +1 at a demonstration token, -1 at a response token; the end comes at 0 ([N] section 3)."""

    variables = ("phase", "count")
    numbers = ("count",)

    def demonstrated(self, state: State) -> Int[Tensor, "batch"]:
        """The count itself."""
        return state["count"]

    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """The count itself."""
        return state["count"]

    def turn(self, state: State) -> State:
        """The count becomes the number of responses due."""
        return {"count": self.transformed(state["count"])}

    def count(self, state: State, demonstration: Int[Tensor, "batch"], response: Int[Tensor, "batch"]) -> State:
        """Up in the demonstration, down in the response."""
        return {"count": state["count"] + demonstration - response}


@PROGRAMS.register("up_up")
class UpUp(CountingProgram):
    """Two counts, one a phase, both rising; the end comes when they are equal ([N] section 3)."""

    variables = ("phase", "demo_count", "resp_count")
    numbers = ("demo_count", "resp_count")

    def demonstrated(self, state: State) -> Int[Tensor, "batch"]:
        """The count of the demonstration."""
        return state["demo_count"]

    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """By how much the responses fall short of the demonstrations."""
        return state["demo_count"] - state["resp_count"]

    def turn(self, state: State) -> State:
        """The demonstration's count becomes the number of responses due."""
        return {"demo_count": self.transformed(state["demo_count"])}

    def count(self, state: State, demonstration: Int[Tensor, "batch"], response: Int[Tensor, "batch"]) -> State:
        """Each phase raises its own count."""
        return {
            "demo_count": state["demo_count"] + demonstration,
            "resp_count": state["resp_count"] + response,
        }


@PROGRAMS.register("ctx_distr")
class CtxDistr(CountingProgram):
    """No count is kept: each token has a value, and every step sums the values of the whole context ([N] appendix).

    `value` is that of the token just consumed: +1 of a demonstration token, -1 of a response token, 0 of any other. It
    is the only variable. What the tokens before it sum to (`rest`) is the context, which an exchange at one token does
    not reach; with the sum = rest + value, exchanging `value` is the counterfactual of that one token's value. The end
    comes when the sum is 0 or below after the trigger. So the program is anti-Markovian: what follows is decided by
    all of the tokens, none of which holds the sum. While nothing is exchanged it emits what Up-Down does.

    The values are only +1 and -1 where an exchange may happen, so about half of all interchange pairs exchange equal
    values and change nothing: `Measurement.changed` is the IIA on the others.
    """

    variables = ("value",)
    numbers = ("rest", "value")

    def demonstrated(self, state: State) -> Int[Tensor, "batch"]:
        """The sum over the context."""
        return state["rest"] + state["value"]

    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """The sum over the context."""
        return state["rest"] + state["value"]

    def turn(self, state: State) -> State:
        """The context's sum becomes the number of responses due."""
        return {"rest": self.transformed(state["rest"] + state["value"]), "value": torch.zeros_like(state["value"])}

    def count(self, state: State, demonstration: Int[Tensor, "batch"], response: Int[Tensor, "batch"]) -> State:
        """The last token joins the context, the new one has its value."""
        return {"rest": state["rest"] + state["value"], "value": demonstration - response}
