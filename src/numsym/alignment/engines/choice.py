"""Which route a search or a measurement takes through a model."""

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import ALIGNMENTS
from numsym.alignment.pairs import Pairs
from numsym.alignment.result import AlignmentResult
from numsym.alignment.search import Engine, correct
from numsym.errors import InvalidArgumentError, check_name
from numsym.models.site import Site

ENGINES = ("auto", "resumed", "pyvene")
FAST = (RecurrentEngine, TransformerEngine)


def engine_for(model: nn.Module, site: Site, interventions: list[pv.Intervention], name: str = "auto") -> Engine:
    """The engine of that name, or with "auto" the fastest that supports this model, site and interventions.

    Raises:
        InvalidArgumentError: the engine of that name does not support them.
    """
    check_name("engine", name, ENGINES)
    fast = [kind for kind in FAST if kind.supports(model, site, interventions)]
    if name == "resumed" and not fast:
        raise InvalidArgumentError(
            f"engine='resumed' is not allowed for {type(model).__name__} at {site.component!r} with "
            f"{', '.join(sorted({type(one).__name__ for one in interventions}))}: it runs RecurrentLM at 'state' and "
            f"TransformerLM at {', '.join(TransformerEngine.components)}, with the alignment functions "
            f"{', '.join(ALIGNMENTS)}; use engine='auto' or 'pyvene'"
        )
    kind = PyveneEngine if name == "pyvene" or not fast else fast[0]
    engine: Engine = kind(model, site, interventions)  # type: ignore[arg-type]
    return engine


def right(engine: Engine, index: int, pairs: Pairs) -> Bool[Tensor, "batch"]:
    """Which of some pairs one alignment of an engine gets right, on the CPU."""
    return correct(engine, index, engine.prepare(pairs), len(pairs))


@torch.no_grad()
def right_of(result: AlignmentResult, pairs: Pairs, engine: str = "auto") -> Bool[Tensor, "batch"]:
    """Which of some pairs a found alignment gets right, on the CPU: any pairs of its task, variable and split.

    The model is left without gradients, as `AlignmentResult.intervenable` leaves it.
    """
    result.model.eval()
    return right(engine_for(result.model, result.site, [result.intervention], engine), 0, pairs)
