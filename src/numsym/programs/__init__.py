"""Symbolic algorithms: what a network that solves a task may be computing.

Here goes what is computed, over variables; what is asked, and with which tokens, is a task (`numsym.tasks`).
"""

from numsym.checked import border
from numsym.programs.addition import Addition, AdditionVocabulary
from numsym.programs.arithmetic import DeferredArithmetic, EagerArithmetic
from numsym.programs.base import FULL, PROGRAMS, Program, State, Unrolled, Vocabulary, exchange, state_at, unroll
from numsym.programs.composition import RunningParity, RunningProduct
from numsym.programs.counting import CountingProgram, CountingVocabulary, CtxDistr, UpDown, UpUp
from numsym.programs.groups import Group, group
from numsym.programs.increment import Decrement, Increment
from numsym.programs.modular_sum import ModularOperands, ModularProgram, ModularSum, ModularVocabulary
from numsym.programs.numbers import Numbers
from numsym.programs.prompts import CountPromptVocabulary, PromptCount, Successor, SuccessorVocabulary
from numsym.programs.ripple_carry import RippleCarry
from numsym.programs.sum_prompts import PromptCarry, PromptOperands, PromptSum, SumPromptVocabulary
from numsym.programs.transforms import TRANSFORMS
from numsym.programs.written_addition import CUTS, ChunkVocabulary, WrittenAddition

__all__ = [
    "CUTS",
    "FULL",
    "PROGRAMS",
    "TRANSFORMS",
    "Addition",
    "AdditionVocabulary",
    "ChunkVocabulary",
    "CountPromptVocabulary",
    "CountingProgram",
    "CountingVocabulary",
    "CtxDistr",
    "Decrement",
    "DeferredArithmetic",
    "EagerArithmetic",
    "Group",
    "Increment",
    "ModularOperands",
    "ModularProgram",
    "ModularSum",
    "ModularVocabulary",
    "Numbers",
    "Program",
    "PromptCarry",
    "PromptCount",
    "PromptOperands",
    "PromptSum",
    "RippleCarry",
    "RunningParity",
    "RunningProduct",
    "State",
    "Successor",
    "SuccessorVocabulary",
    "SumPromptVocabulary",
    "Unrolled",
    "UpDown",
    "UpUp",
    "Vocabulary",
    "WrittenAddition",
    "exchange",
    "group",
    "state_at",
    "unroll",
]

border(globals())
