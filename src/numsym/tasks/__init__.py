"""What is asked of a network: vocabularies, samples, splits. How it may be solved is a program (`numsym.programs`)."""

from numsym.checked import border
from numsym.tasks.addition import AdditionTask
from numsym.tasks.addition_prompts import AdditionPrompts
from numsym.tasks.arithmetic import Arithmetic
from numsym.tasks.base import TASKS, Batch, Task
from numsym.tasks.composition import Composition
from numsym.tasks.config import load_task
from numsym.tasks.corpus import Corpus, labelled_corpus
from numsym.tasks.counting import CountingTask, MultiObject, SameObject, SingleObject
from numsym.tasks.counting_prompts import CountingPrompts
from numsym.tasks.modular import ModularAddition
from numsym.tasks.parity import Parity
from numsym.tasks.ripple import RippleAddition
from numsym.tasks.successor_prompts import SuccessorPrompts
from numsym.tasks.transformed import Mod, Round, Square
from numsym.tasks.written_addition import WrittenAdditionTask

__all__ = [
    "TASKS",
    "AdditionPrompts",
    "AdditionTask",
    "Arithmetic",
    "Batch",
    "Composition",
    "Corpus",
    "CountingPrompts",
    "CountingTask",
    "Mod",
    "ModularAddition",
    "MultiObject",
    "Parity",
    "RippleAddition",
    "Round",
    "SameObject",
    "SingleObject",
    "Square",
    "SuccessorPrompts",
    "Task",
    "WrittenAdditionTask",
    "labelled_corpus",
    "load_task",
]

border(globals())
