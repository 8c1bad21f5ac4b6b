"""Which route a search or a measurement takes through a model.

A new route is a file here, its test, and its line in this one: a class that the search can use (`Engine`) and that says
what it supports.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool
from torch import Tensor, nn

from numsym._pyvene import frozen, pv
from numsym.alignment.engines.pyvene import PyveneEngine, Whole
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.engines.stepped import SteppedEngine
from numsym.alignment.engines.suffix import SuffixEngine, WholeSuffix
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import ALIGNMENTS
from numsym.alignment.pairs import Pairs
from numsym.alignment.result import AlignmentResult
from numsym.alignment.search import Engine, right
from numsym.errors import InvalidArgumentError, check_name
from numsym.models.site import Site
from numsym.registry import Registry


@runtime_checkable
class Route(Engine, Protocol):
    """An engine that is chosen by what it supports.

    Attributes:
        order: the lowest that supports what is asked is taken.
        takes: which models at which sites, in words.

    With a true `at_tokens`, if it has one, it exchanges at all of the pairs' `base_places`, and not at `base_at` alone.
    """

    order: int
    takes: str

    def __init__(self, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> None: ...

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them."""


ENGINES: Registry[type[Route]] = Registry("engine")
"""Routes by name; several may be known to `engine=` by one, their own `name`: "resumed" is all the fast ones."""

ENGINES.register("recurrent")(RecurrentEngine)
ENGINES.register("transformer")(TransformerEngine)
ENGINES.register("stepped")(SteppedEngine)
ENGINES.register("suffix")(SuffixEngine)
ENGINES.register("pyvene")(PyveneEngine)


def engine_names() -> tuple[str, ...]:
    """What `engine=` may be."""
    return tuple(dict.fromkeys(["auto", *(ENGINES[name].name for name in ENGINES)]))


def engine_for(
    model: nn.Module, site: Site, interventions: list[pv.Intervention], name: str = "auto", at_tokens: bool = False
) -> Engine:
    """The first engine of that name, or with "auto" of all, that supports this model, site and interventions.

    Args:
        model: frozen.
        site: of its own.
        interventions: one per alignment.
        name: of the engine.
        at_tokens: whether pairs say at which tokens the model's values are exchanged.

    Raises:
        InvalidArgumentError: no engine of that name supports them.
    """
    check_name("engine", name, engine_names())
    known = sorted((ENGINES[key] for key in ENGINES), key=lambda kind: kind.order)
    named = [kind for kind in known if name in ("auto", kind.name)]
    for kind in named:
        if at_tokens and not getattr(kind, "at_tokens", False):
            continue
        if kind.supports(model, site, interventions):
            return kind(model, site, interventions)
    raise InvalidArgumentError(
        f"engine={name!r} is not allowed for {type(model).__name__} at {str(site)!r}"
        f"{' and tokens by index or name' if at_tokens else ''} with "
        f"{', '.join(sorted({type(one).__name__ for one in interventions}))}: it runs "
        f"{' and '.join(kind.takes for kind in named)}, with the alignment functions {', '.join(ALIGNMENTS)}; "
        "use engine='auto' or 'pyvene'"
    )


def right_whole(model: nn.Module, site: Site, pairs: Pairs, name: str = "auto") -> Bool[Tensor, "batch"]:
    """Which of some pairs are right when the whole site is exchanged, on the CPU.

    Args:
        model: frozen.
        site: of its own.
        pairs: of all variables, for which this is the ceiling.
        name: of the engine; all but decoders of transformers that can be run on from the site take pyvene.
    """
    stepped = SteppedEngine.supports(model, site, [])  # whose states no decoder is run on from
    fast = name in ("auto", SuffixEngine.name) and not stepped and SuffixEngine.supports(model, site, [])
    return right(WholeSuffix(model, site) if fast else Whole(model, [site]), 0, pairs)


def right_of(result: AlignmentResult, pairs: Pairs, engine: str = "auto") -> Bool[Tensor, "batch"]:
    """Which of some pairs a found alignment gets right, on the CPU: any pairs of its task, variable and split."""
    with frozen(result.model):
        at_tokens = pairs.base_tokens is not None
        return right(engine_for(result.model, result.site, [result.intervention], engine, at_tokens), 0, pairs)
