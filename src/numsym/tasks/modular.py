"""The task of [P] (section 2): what is a + b modulo p?"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import check_at_least, check_name
from numsym.programs import ModularVocabulary, State
from numsym.tasks.base import TASKS
from numsym.tasks.operands import OperandTask

POSITIONS = ("a", "b", "last")


@TASKS.register("modular_addition")
class ModularAddition(OperandTask):
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
        check_name("intervene_at", intervene_at, POSITIONS)
        super().__init__(p, fraction, seed)
        self.p, self.intervene_at = p, intervene_at
        self._vocabulary = ModularVocabulary.build(
            p, separate_vocabularies=separate_vocabularies, equals_sign=equals_sign
        )

    @property
    def vocabulary(self) -> ModularVocabulary:
        """The tokens."""
        return self._vocabulary

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The answer."""
        return (plan["a"] + plan["b"]) % self.p

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The one position that `intervene_at` names."""
        position = self.landmarks(input_ids)[self.intervene_at][:, None]
        return torch.arange(input_ids.shape[1], device=input_ids.device) == position

    def landmarks(self, input_ids: Int[Tensor, "batch pos"]) -> dict[str, Int[Tensor, "batch"]]:
        """The operands "a" and "b", and the "last" token before the answer."""
        return {name: torch.full_like(input_ids[:, 0], at) for name, at in self._named().items()}

    def _named(self) -> dict[str, int]:
        return {"a": 0, "b": 1, "last": self.vocabulary.prompt_length - 1}
