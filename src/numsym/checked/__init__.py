"""The border of numsym: what its public callables are given is looked at once, and refused in one sentence.

A signature says what is allowed, and beartype holds values against it; nothing is said twice. Every room puts a border
around what it exports. Where numsym itself calls, methods and what holds findings or data ask nothing again; functions
and settings do, since what a user gave as a mapping arrives there (`train(model, task, **recipe)`). The weights of a
model are looked at once. beartype is imported with the first call, so that importing numsym costs no more.

| not allowed, beside what does not fit its type | because |
| --- | --- |
| true or false where a number is meant | Python takes them for 1 and 0 |
| NaN, and infinity where that is not the default | every number that comes of them is NaN |
| a tensor of floats, or a model, with NaN or infinity in it | likewise |
| whole numbers of more than 64 bits | PyTorch has none |
| a device that is not here | it would be missed only after the work has begun |

Scalars of NumPy are taken as the numbers that they are, and lists as tuples.
"""

import builtins
import inspect
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cached_property, wraps
from types import FrameType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy
import torch
from jaxtyping import jaxtyped
from torch import Tensor, nn

from numsym.checked.places import check_device
from numsym.checked.words import options, shown, words
from numsym.errors import WrongTypeError

F = TypeVar("F", bound=Callable[..., Any])

_within: ContextVar[bool] = ContextVar("within", default=False)
"""Whether numsym called: then a model's weights have been looked at."""

MARK = "__checked__"
"""An attribute of what is checked already."""

BITS = 1 << 63

INSIDE = {"numsym", "torch", "transformers", "pyvene"}
"""Packages whose calls come from inside."""

BETWEEN = {"dataclasses", "jaxtyping"}
"""What calls for its caller: `replace`, and the checks of shapes under pytest."""


def border(room: dict[str, Any]) -> None:
    """Check what is given to the functions, classes and methods that a room exports, its `__all__`.

    Args:
        room: the names of the module, `globals()`.
    """
    for name in room["__all__"]:
        one = room[name]
        if inspect.isclass(one):
            if not issubclass(one, OrderedDict):  # what a forward returns is none of the user's
                _check_class(one)
        elif inspect.isfunction(one) or hasattr(one, "cache_info"):
            room[name] = checked(one)


def checked(function: F, *, inside: bool = True) -> F:
    """A function whose arguments are held against its signature.

    Args:
        function: any.
        inside: whether it is checked where numsym calls it, too.

    Raises:
        WrongTypeError: by the function: an argument does not fit its type, is not known, or is missing.
    """
    if hasattr(function, MARK) or hasattr(function, "__isabstractmethod__"):
        return function
    signature = _Signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not inside and _numsym_calls(sys._getframe(1)):
            return function(*args, **kwargs)
        args, kwargs = signature.held(args, kwargs)
        outer = _within.set(True)
        try:
            return function(*args, **kwargs)
        finally:
            _within.reset(outer)

    setattr(call, MARK, True)
    return call  # type: ignore[return-value]


def _numsym_calls(frame: FrameType | None) -> bool:
    """Whether a call comes from inside, by the module of its caller; the lab hands on what a configuration says.

    What PyTorch, transformers and pyvene call (a `forward`), they call for numsym, too.
    """
    while frame is not None and _place(frame)[0] in BETWEEN:
        frame = frame.f_back
    return frame is not None and _place(frame)[0] in INSIDE and _place(frame)[1:2] != ["lab"]


def _place(frame: FrameType) -> list[str]:
    return str(frame.f_globals.get("__name__")).split(".", 2)


def _found(kind: type) -> bool:
    """Whether a class holds findings or data, with a field that has no default, and no settings."""
    if not is_dataclass(kind):
        return False
    return any(one.default is MISSING and one.default_factory is MISSING for one in fields(kind))


def _check_class(kind: type) -> None:
    for base in kind.__mro__:
        if not base.__module__.startswith("numsym.") or getattr(base, "_is_protocol", False):
            continue
        for name, one in list(vars(base).items()):
            inner = one.__func__ if isinstance(one, classmethod | staticmethod) else one
            if inspect.isfunction(inner) and (name == "__init__" or name[0] != "_"):
                wrapped = checked(inner, inside=name == "__init__" and not _found(base))
                setattr(base, name, wrapped if inner is one else type(one)(wrapped))


class _Names(dict[str, Any]):
    """The names of a module; one that only type checkers import may be anything."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


@dataclass
class _Signature:
    """What a function takes."""

    function: Callable[..., Any]

    @cached_property
    def known(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @cached_property
    def hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.function, localns=_Names(inspect.unwrap(self.function).__globals__))
        except AttributeError:  # of a module that only type checkers import
            found = inspect.get_annotations(self.function)
            return {name: hint for name, hint in found.items() if not isinstance(hint, str)}

    @cached_property
    def name(self) -> str:
        return self.function.__qualname__.removesuffix(".__init__")

    @cached_property
    def finite(self) -> bool:
        """Whether no argument may be NaN: what was found may be, and what is asked for may not."""
        owner = inspect.unwrap(self.function).__globals__.get(self.name)
        return not (inspect.isclass(owner) and _found(owner))

    def held(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, held against their types."""
        try:
            bound = self.known.bind(*args, **kwargs)
        except TypeError as error:
            raise WrongTypeError(self._unbound(args, kwargs, error)) from None
        given, changed = bound.arguments, False
        with jaxtyped("context") if any(isinstance(one, Tensor) for one in given.values()) else nullcontext():
            for name, value in given.items():
                if name in self.hints:
                    held = self._held(name, value)
                    changed |= held is not value
                    given[name] = held
        return (bound.args, bound.kwargs) if changed else (args, kwargs)

    def _held(self, name: str, value: Any) -> Any:
        kind, hint = self.known.parameters[name].kind, self.hints[name]
        if kind is inspect.Parameter.VAR_KEYWORD:
            return {key: self._one(key, inner, hint) for key, inner in value.items()}
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(self._one(name, inner, hint) for inner in value)
        return self._one(name, value, hint)

    def _one(self, name: str, value: Any, hint: Any) -> Any:
        if not fits(value, hint):
            plain = value.item() if isinstance(value, numpy.generic) else value
            plain = tuple(plain) if isinstance(plain, list) else plain
            if plain is value or not fits(plain, hint):
                raise WrongTypeError(f"{name}={shown(value)} is not allowed: it must be {words(hint)}")
            value = plain
        usual = self.known.parameters[name].default if name in self.known.parameters else None
        for place, inner, wrong in unusable(name, value, usual, finite=self.finite):
            raise WrongTypeError(f"{' '.join(place.split())}={shown(inner)} is not allowed: {wrong}")
        if value is not None and torch.device in options(hint):
            check_device(value)
        return value

    def _unbound(self, args: Sequence[Any], kwargs: Mapping[str, Any], error: TypeError) -> str:
        taken = [name for name in self.known.parameters if name != "self"]
        open_ended = any(one.kind is one.VAR_KEYWORD for one in self.known.parameters.values())
        if not open_ended and (unknown := [name for name in kwargs if name not in taken]):
            near = get_close_matches(unknown[0], taken, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(taken) or 'nothing'}"
            return f"{unknown[0]}={shown(kwargs[unknown[0]])} is not allowed in {self.name}: {hint}"
        return f"{self.name} is not called rightly: {error}; it takes {', '.join(taken) or 'nothing'}"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; of a container every element is."""
    return any(_fits(value, option) for option in options(hint))


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if isinstance(hint, type) and get_origin(hint) is None:
        return isinstance(value, hint)
    if isinstance(value, bytes) or not _bearable(value, hint):  # bytes are a sequence of numbers, and meant as none
        return False
    # beartype looks at one element of a container.
    origin, inner = get_origin(hint), get_args(hint)
    if not inner or not isinstance(origin, type) or isinstance(value, range):
        return True
    if isinstance(value, str):  # a sequence of its letters, and meant as none
        return False
    if isinstance(value, Mapping) and issubclass(origin, Mapping):
        return all(fits(key, inner[0]) and fits(of, inner[1]) for key, of in value.items())
    if isinstance(value, tuple) and origin is tuple and inner[-1] is not Ellipsis:
        return len(inner) == len(value) and all(map(fits, value, inner))
    if not isinstance(value, Sequence | Set):
        return True
    # Of a long text one word stands for all: what a plain class allows depends on the class alone.
    plain = all(isinstance(option, type) and not get_args(option) for option in options(inner[0]))
    return all(fits(one, inner[0]) for one in ({type(one): one for one in value}.values() if plain else value))


def _bearable(value: Any, hint: Any) -> bool:
    from beartype.door import is_bearable
    from beartype.roar import BeartypeException

    try:
        return is_bearable(value, hint)
    except BeartypeException:  # an annotation that only type checkers understand
        return True


def unusable(name: str, value: Any, usual: Any = None, *, finite: bool = True) -> Iterator[tuple[str, Any, str]]:
    """What is of no use in a value of the right type: its name, itself, and why."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from unusable(f"{name}.{key}", inner, finite=finite)
    elif isinstance(value, list | tuple):
        kinds = set(map(type, value))
        for inner in () if kinds <= {str} else (min(value), max(value)) if kinds == {int} else value:
            yield from unusable(name, inner, finite=finite)
    elif isinstance(value, int):
        if not -BITS <= value < BITS:
            yield name, value, "a whole number has at most 64 bits"
    elif finite and (wrong := _not_finite(value, usual)):
        yield name, value, wrong


def _not_finite(value: Any, usual: Any) -> str:
    if isinstance(value, float):
        return "" if math.isfinite(value) or value == usual else "it must be finite"
    if isinstance(value, Tensor):
        return "" if _whole(value) else _broken_rows(value)
    if isinstance(value, nn.Module) and not _within.get():
        bad = (one for one, weight in value.named_parameters() if not _whole(weight))
        return next((f"its weights {one} are not all finite" for one in bad), "")
    return ""


def _broken_rows(value: Tensor) -> str:
    finite = torch.isfinite(value if value.ndim > 1 else value.reshape(-1, 1)).flatten(1)
    rows = (~finite.all(1)).nonzero().flatten()
    return f"it holds NaN or infinite values in {len(rows)} of {len(finite)} rows (the first is row {int(rows[0])})"


def _whole(value: Tensor) -> bool:
    """Whether all values are finite, in one pass: their sum is only if they are."""
    real = type(value) in (Tensor, nn.Parameter) and value.is_floating_point() and value.device.type != "meta"
    with torch.no_grad():
        return not real or bool(value.sum(dtype=torch.float64).isfinite()) or bool(torch.isfinite(value).all())
