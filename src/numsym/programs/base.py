"""What a program is, and the one mechanism that samples, traces and continues it.

A program is a symbolic algorithm over integer variables ([N] section 3): it consumes a token and updates its variables
(`update`), and it says which token comes next (`emit`). Running it without tokens samples sequences; running it over
given tokens traces its variables; running it from an edited state gives the counterfactual of an intervention. All
three are `unroll`, vectorised over the batch.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, NumsymError, check_name
from numsym.registry import Registry

State = dict[str, Tensor]
"""Every variable and plan of a program by name, each an `Int[Tensor, "batch"]`; `ended` is 1 where nothing follows."""

FULL = "full"
"""The name for all variables of a program together."""

PROGRAMS: Registry[type["Program"]] = Registry("program")
"""Programs by the name that recipes and `align(program=...)` use."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a task: their names in the order of their ids, and the id that fills rows up."""

    tokens: tuple[str, ...]
    pad: int = 0

    def __len__(self) -> int:
        return len(self.tokens)


class Program(ABC):
    """A symbolic algorithm: integer variables, a rule that updates them, a rule that emits the next token.

    `variables` are what an intervention may exchange. A state also holds plans (what is asked: the object target) and
    flags; `ended` is the one that every program has.
    """

    variables: tuple[str, ...]

    @abstractmethod
    def start(self, plan: State) -> State:
        """The state before the first token, given what is asked for (each entry of `plan`: (batch,) int64)."""

    @abstractmethod
    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """The state after consuming one token. The given state is left as it is."""

    @abstractmethod
    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The next token, and whether it follows from the tokens before it. Padding where the program has ended."""

    def block(self, variable: str) -> tuple[str, ...]:
        """The variables that exchanging `variable` exchanges: itself, or all of them for "full".

        Raises:
            UnknownNameError: the program has no such variable.
        """
        check_name("variable", variable, (*self.variables, FULL))
        return self.variables if variable == FULL else (variable,)

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Where the base may go on with these variables of the source; everywhere, if a program does not say.

        Interchange pairs are drawn only where this holds: not where a variable has no value yet, and not where the
        exchange leads to something that no trial of the task has (a sum beyond the largest number, say).
        """
        return torch.ones_like(base["ended"], dtype=torch.bool)

    def unit(self, variable: str) -> int:
        """What a difference of one is in the values of `variable`: more than 1 in programs that keep fractions."""
        return 1

    def word(self, variable: str, value: int) -> str:
        """A value of a variable as people say it, in whole units of it."""
        return str(value // self.unit(variable))


@dataclass(frozen=True)
class Unrolled:
    """What `unroll` gives: tokens, which of them were predictable, and the state after each.

    Attributes:
        tokens: (batch, pos) int64.
        predictable: (batch, pos) bool; `None` when the tokens were given, since then nothing was emitted.
        states: name -> (batch, pos) int64, the value after the token at that position was consumed.
    """

    tokens: Int[Tensor, "batch pos"]
    predictable: Bool[Tensor, "batch pos"] | None
    states: State


def unroll(
    program: Program,
    state: State,
    *,
    tokens: Int[Tensor, "batch pos"] | None = None,
    generator: torch.Generator | None = None,
    max_steps: int = 10_000,
) -> Unrolled:
    """Run `program` from `state`: over `tokens` where they are given, else over what it emits until all have ended.

    Raises:
        NumsymError: sequences have not ended after `max_steps` tokens.
        InvalidArgumentError: the state lacks what the program keeps; `program.start` gives a whole one.
    """
    if missing := [name for name in ("ended", *program.variables) if name not in state]:
        raise InvalidArgumentError(
            f"state with {', '.join(state) or 'nothing in it'} is not allowed: {type(program).__name__} keeps "
            f"{', '.join(missing)}, too (start gives a whole one)"
        )
    emitted, predictable, history = [], [], []
    steps = max_steps if tokens is None else tokens.shape[1]
    for step in range(steps):
        if tokens is None:
            if bool(state["ended"].all()):
                break
            token, follows = program.emit(state, generator)
            predictable.append(follows)
        else:
            token = tokens[:, step]
        state = program.update(state, token)
        emitted.append(token)
        history.append(state)
    else:
        if tokens is None and not bool(state["ended"].all()):
            raise NumsymError(f"a {type(program).__name__} sequence has not ended after max_steps={max_steps} tokens")
    empty = next(iter(state.values())).new_empty((next(iter(state.values())).shape[0], 0))

    def over_time(columns: list[Tensor], none: Tensor) -> Tensor:
        return torch.stack(columns, 1) if columns else none

    return Unrolled(
        tokens=over_time(emitted, empty),
        predictable=over_time(predictable, empty.bool()) if tokens is None else None,
        states={name: over_time([state[name] for state in history], empty) for name in state},
    )


def state_at(states: State, position: Int[Tensor, "batch"]) -> State:
    """The state after the token at `position` of each row, from the states that `unroll` gives."""
    return {name: values.gather(1, position[:, None])[:, 0] for name, values in states.items()}


def exchange(base: State, source: State, variables: tuple[str, ...]) -> State:
    """The base state with `variables` taken from the source state: the symbolic interchange intervention."""
    return {**base, **{name: source[name] for name in variables}}
