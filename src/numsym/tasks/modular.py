"""The task of [P] (section 2): what is a + b modulo p?"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_between, check_name
from numsym.programs import ModularProgram, ModularVocabulary, Program, State
from numsym.tasks.base import SPLITS, TASKS, Batch, Task

if TYPE_CHECKING:
    import datasets

POSITIONS = ("a", "b", "last")


@TASKS.register("modular_addition")
class ModularAddition(Task):
    """A trial is `a b c`, or `a b = c`, with c = (a + b) mod p: one of all p^2 pairs.

    Args:
        p: the modulus.
        fraction: the share of all pairs that training sees; the others are held out. 1 holds out none.
        seed: which pairs: a permutation drawn by `torch.Generator().manual_seed(seed)`.
        separate_vocabularies: give b its own p tokens.
        equals_sign: put `=` between b and the answer.
        intervene_at: where an interchange happens: at the token "a", at "b", or at the "last" one before the answer.

    Raises:
        InvalidArgumentError: `p` is below 2, `fraction` is outside 0..1 or leaves no pair for training, or
            `intervene_at` is unknown.
    """

    name = "modular_addition"
    programs = ("modular_sum", "modular_operands")

    def __init__(
        self,
        *,
        p: int = 59,
        fraction: float | int = 0.8,
        seed: int = 0,
        separate_vocabularies: bool = False,
        equals_sign: bool = False,
        intervene_at: str = "last",
    ):
        check_at_least("p", p, 2)
        check_between("fraction", fraction, 0, 1)
        check_name("intervene_at", intervene_at, POSITIONS)
        self.p, self.fraction, self.seed, self.intervene_at = p, fraction, seed, intervene_at
        self._vocabulary = ModularVocabulary.build(
            p, separate_vocabularies=separate_vocabularies, equals_sign=equals_sign
        )
        self._train_size = round(fraction * p**2)
        if self._train_size == 0:
            raise InvalidArgumentError(f"fraction={fraction!r} is not allowed: it leaves no pair of p={p} for training")
        self._order = torch.randperm(p**2, generator=torch.Generator().manual_seed(seed))

    @property
    def vocabulary(self) -> ModularVocabulary:
        """The tokens."""
        return self._vocabulary

    @property
    def has_held_out(self) -> bool:
        """Whether some pairs are kept out of training."""
        return self._train_size < self.p**2

    def pairs(self, split: str = "all") -> Int[Tensor, "pairs 2"]:
        """Every (a, b) of a split, each once, in the order of the draw ("all": the training pairs first).

        Raises:
            UnknownNameError: no such split.
            InvalidArgumentError: the split is empty.
        """
        check_name("split", split, SPLITS)
        if split == "held_out" and not self.has_held_out:
            raise InvalidArgumentError("split='held_out' is empty: fraction=1 holds out no pair")
        chosen = {
            "all": self._order,
            "train": self._order[: self._train_size],
            "held_out": self._order[self._train_size :],
        }[split]
        return torch.stack([chosen // self.p, chosen % self.p], 1)

    def whole(self, split: str = "all") -> Batch:
        """Every pair of a split, each once, with the trace of the generating program."""
        a, b = self.pairs(split).unbind(1)
        return self.sample(len(a), split=split, plan={"a": a, "b": b})

    def dataset(self, split: str = "all") -> "datasets.Dataset":
        """Every pair of a split as a Hugging Face dataset."""
        return self.whole(split).to_dataset()

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """`n` pairs of a split, uniform, with repetition: `{"a": (n,), "b": (n,)}`."""
        pairs = self.pairs(split)
        device = torch.device("cpu") if generator is None else generator.device
        index = torch.randint(len(pairs), (n,), generator=generator, device=device)
        a, b = pairs.to(device)[index].unbind(1)
        return {"a": a, "b": b}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The answer."""
        return (plan["a"] + plan["b"]) % self.p

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The one position that `intervene_at` names."""
        position = {"a": 0, "b": 1, "last": self.vocabulary.prompt_length - 1}[self.intervene_at]
        where = torch.arange(input_ids.shape[1], device=input_ids.device) == position
        return where.expand(input_ids.shape)

    def _build(self, program: type[Program]) -> ModularProgram:
        assert issubclass(program, ModularProgram)
        return program(self.vocabulary)
