"""What a task is: a vocabulary, a program that generates it, and the programs that are hypotheses about it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.programs import PROGRAMS, Program, State, Unrolled, Vocabulary, unroll
from numsym.registry import Registry
from numsym.shares import Share

if TYPE_CHECKING:
    import datasets

SPLITS = ("all", "train", "held_out")

TASKS: Registry[type["Task"]] = Registry("task")
"""Tasks by the name that recipes use."""


@dataclass(frozen=True)
class Batch:
    """Trials of a task, padded on the right to a common length.

    Attributes:
        input_ids: (batch, pos) int64.
        predictable: (batch, pos) bool; the token there follows from the tokens before it.
        mask: (batch, pos) bool; `False` on padding.
        plan: name -> (batch,) int64, what each trial asks for.
        states: name -> (batch, pos) int64, every variable (and plan) of the generating program after each token.
        counts: (batch,) int64, the number that each trial is about: results are shown by it.
        variables: the names in `states` that are variables of the generating program.
    """

    input_ids: Int[Tensor, "batch pos"]
    predictable: Bool[Tensor, "batch pos"]
    mask: Bool[Tensor, "batch pos"]
    plan: State
    states: State
    counts: Int[Tensor, "batch"]
    variables: tuple[str, ...]

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """The number of tokens of each trial, without padding."""
        return self.mask.sum(1)

    def to(self, device: torch.device | str) -> "Batch":
        """The same trials on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def rows(self, index: slice | Tensor) -> "Batch":
        """Some of the trials, cut to the longest of them."""
        picked = self._map(lambda tensor: tensor[index])
        longest = int(picked.lengths.max())
        return picked._map(lambda tensor: tensor[:, :longest] if tensor.ndim > 1 else tensor)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(
            input_ids=function(self.input_ids),
            predictable=function(self.predictable),
            mask=function(self.mask),
            plan={name: function(values) for name, values in self.plan.items()},
            states={name: function(values) for name, values in self.states.items()},
            counts=function(self.counts),
            variables=self.variables,
        )

    def to_dataset(self) -> "datasets.Dataset":
        """As a Hugging Face dataset: tokens, masks, the count, and one column a variable (its value by position)."""
        import datasets

        columns = {
            "input_ids": self.input_ids,
            "attention_mask": self.mask.long(),
            "predictable": self.predictable,
            "counts": self.counts,
            **{name: self.states[name] for name in self.variables},
        }
        return datasets.Dataset.from_dict({name: column.cpu().numpy() for name, column in columns.items()})


class Task(ABC):
    """A family of trials. A task is data: it has no parameters to learn and knows no model.

    Attributes:
        name: the name in the registry and in recipes.
        programs: names of the programs that are hypotheses about it; the first one generates it.
    """

    name: str
    programs: tuple[str, ...]
    only_right: bool = False
    """Whether studies use only trials that their model answers rightly (`numsym.training.rightly`)."""

    @property
    def answered(self) -> Share | None:
        """The share of trials that a model answers rightly, where only those are drawn."""
        return None

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The tokens."""

    @abstractmethod
    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Plans for `n` trials of a split, each entry (n,) int64."""

    @abstractmethod
    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The number that each trial is about."""

    @abstractmethod
    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The positions at which an interchange may happen."""

    def places(self, input_ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        """What kind of position each is: an interchange is between positions of one kind. All are one, by default.

        For tasks in which a variable means something only at the same step of both trials.
        """
        return torch.zeros_like(input_ids)

    def landmarks(self, input_ids: Int[Tensor, "batch pos"]) -> dict[str, Int[Tensor, "batch"]]:
        """Positions that have a name, in each trial, such as an operand's: by default none has."""
        return {}

    @property
    @abstractmethod
    def has_held_out(self) -> bool:
        """Whether some trials are kept out of training."""

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return len(self.vocabulary.tokens)

    @property
    def search(self) -> tuple[str, str]:
        """The program and its variable that are searched for where none is named: by default the first of the first."""
        return self.programs[0], self.program().variables[0]

    def asked(self) -> dict[str, Any]:
        """What the task is, as plain values: its name and its settings."""
        kinds = (bool, int, float, str, tuple, list, range)
        own = {name: value for name, value in vars(self).items() if name[0] != "_" and isinstance(value, kinds)}
        return {"name": self.name, **{name: list(v) if isinstance(v, tuple | range) else v for name, v in own.items()}}

    def program(self, name: str | None = None) -> Program:
        """A program that is a hypothesis about this task, by name; the generating one by default.

        Raises:
            UnknownNameError: not one of this task's programs.
        """
        name = self.programs[0] if name is None else name
        return self.build(PROGRAMS[check_name(f"program of {self.name}", name, self.programs)])

    def build(self, program: type[Program]) -> Program:
        """A program of this task, with what it needs to know of it: the hook to override; by default the vocabulary."""
        made: Any = program
        return made(self.vocabulary)

    def sample(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        split: str = "all",
        plan: State | None = None,
    ) -> Batch:
        """`n` trials with the trace of the generating program.

        Args:
            n: how many.
            generator: the source of randomness; its device is where the tensors are made.
            split: "train" (without the held-out numbers), "held_out" (only those), or "all".
            plan: what to ask for, instead of drawing it; each entry (n,) int64.

        Raises:
            InvalidArgumentError: `n` is below 1, or the split is empty.
        """
        check_at_least("n", n, 1)
        check_name("split", split, SPLITS)
        if split == "held_out" and not self.has_held_out:
            raise InvalidArgumentError(f"split='held_out' is empty: nothing is held out of {self.name}")
        program = self.program()
        plan = self.draw(n, split, generator) if plan is None else plan
        run = unroll(program, program.start(plan), generator=generator)
        assert run.predictable is not None
        return Batch(
            input_ids=run.tokens,
            predictable=run.predictable,
            mask=run.tokens != self.vocabulary.pad,
            plan=plan,
            states=run.states,
            counts=self.number(plan),
            variables=program.variables,
        )

    def trace(self, program: str | Program, batch: Batch) -> Unrolled:
        """Every variable of another program over the same tokens."""
        program = self.program(program) if isinstance(program, str) else program
        return unroll(program, program.start(batch.plan), tokens=batch.input_ids)

    def text(self, input_ids: Int[Tensor, "pos"]) -> str:
        """One row of tokens as their names, without padding."""
        names = self.vocabulary.tokens
        return " ".join(names[i] for i in input_ids.tolist() if i != self.vocabulary.pad)
