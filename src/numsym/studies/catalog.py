"""What a study is: a function that the command knows by its name, `numsym experiment=NAME`."""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, overload

from numsym.checked import checked
from numsym.errors import options_of
from numsym.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])

STUDIES: Registry[Callable[..., Any]] = Registry("experiment")
"""Studies by the name that `experiment=` uses."""

OF_RECIPE = {"task", "model", "untrained", "make", "sides", "recipe"}
"""Arguments of a study that the command makes from the recipe of `tasks=`."""


def of_recipe(name: str, model: object = None) -> bool:
    """Whether a study takes anything of a recipe: the configuration of one that does not has a recipe for nothing.

    Args:
        name: of the study.
        model: what `model=` names, which is then not the recipe's.
    """
    taken = OF_RECIPE if model is None else OF_RECIPE - {"model"}
    return name not in STUDIES or bool(taken & signature(STUDIES[name]).parameters.keys())


@overload
def study(function: F) -> F: ...


@overload
def study(**presets: Any) -> Callable[[F], F]: ...


def study(function: Any = None, **presets: Any) -> Any:
    """Make a function a study: the keyword arguments that it states, with their defaults, are its settings.

    The command gives it what it asks for by the names of its arguments: `model` (the recipe's, trained, or the one that
    `model=` names), `untrained` (the recipe's), `task`, `hypotheses`, `site`, `search`, `pairs`, `controls`, `engine`,
    `seed`, `run`; see `numsym.lab.given`. All others are its own, `experiment.NAME`; their defaults must be plain. It
    checks its arguments before it first uses its `run`, and ends with `return run.show(result)`.

    Args:
        function: the study.
        presets: what the command takes where nothing else is named: recipes of `tasks` and `interventions`, a
            `variable`; any other is `experiment.NAME`, from which the command makes an argument (`networks`, say).
    """

    def file(made: F) -> F:
        guarded = checked(_over_own_defaults(made))
        guarded.presets = presets  # type: ignore[attr-defined]
        STUDIES.register(made.__name__)(guarded)
        return guarded

    return file if function is None else file(function)


def _over_own_defaults(function: F) -> F:
    """The same, where a mapping for settings has those fields that are not as the study's signature states them."""
    stated = signature(function)
    own = {name: one.default for name, one in stated.parameters.items() if is_dataclass(one.default)}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = stated.bind(*args, **kwargs)
        for name, settings in own.items():
            if isinstance(bound.arguments.get(name), Mapping):
                bound.arguments[name] = options_of(type(settings), bound.arguments[name], settings)
        return function(*bound.args, **bound.kwargs)

    return call  # type: ignore[return-value]
