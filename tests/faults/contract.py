"""Wrong values for every public callable: what comes back must be numsym's error, or a right result.

One argument of a call that is otherwise right (`rightly`) is replaced by a generated value. A study is given a run in
which nothing is done, so it ends where its work would begin. `python tests/faults/contract.py 2000` tries as many and
prints what failed; `tests/test_contract.py` tries a few.
"""

import contextlib
import inspect
import io
import logging
import math
import signal
import sys
import tempfile
import warnings
from collections import OrderedDict
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rightly import Rightly

ROOMS = ("alignment", "circuits", "interventions", "models", "probes", "programs", "studies", "tasks", "training")
SECONDS = 10
"""After which a call is given up: a value that asks for much work is not wrong."""

LEFT_OUT = ("register", "study")
"""They change what is known of all models, and of all studies."""


def callables() -> dict[str, Any]:
    """Every function and class that a room of numsym exports, by name."""
    import numsym

    found = {f"numsym.{name}": getattr(numsym, name) for name in numsym.__all__}
    for room in ROOMS:
        module = getattr(numsym, room)
        found |= {f"{room}.{name}": getattr(module, name) for name in module.__all__ if name not in LEFT_OUT}
    kinds = (inspect.isclass, inspect.isfunction)
    usable = {name: one for name, one in found.items() if any(is_kind(one) for is_kind in kinds)}
    asked = {name: one for name, one in usable.items() if takes(one) and not inspect.isabstract(one)}
    # What a forward returns is none of the user's.
    return {name: one for name, one in asked.items() if not (inspect.isclass(one) and issubclass(one, OrderedDict))}


def takes(function: Any) -> list[str]:
    """The names of its parameters."""
    try:
        known = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    return [one.name for one in known if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]


def values() -> st.SearchStrategy[Any]:
    """What users give by mistake."""
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(-3, 70), st.sampled_from([2**70, -(2**70)]), st.text(max_size=4),
        st.floats(-2, 2), st.sampled_from([math.nan, math.inf, -math.inf, 2.5]), st.binary(max_size=3),
    )  # fmt: skip
    arrays = st.sampled_from(
        [
            torch.full((30, 4), math.nan), torch.tensor([1, 2]), torch.zeros(0, 3), torch.randn(2, 3).numpy(), object(),
            torch.nn.Linear(2, 2), int, print, range(0), {1, 2},
        ]
    )  # fmt: skip
    nested = st.one_of(st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=3), scalars, max_size=2))
    return st.one_of(scalars, nested, arrays)


def outcome(function: Any, arguments: dict[str, Any]) -> str:
    """What a call comes to: "refused", "right", "long", or what is wrong with it."""
    from numsym.errors import NumsymError
    from numsym.run import Rehearsal

    def stop(*args: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = function(**arguments)
    except NumsymError as error:
        return "refused" if "\n" not in str(error).strip() else f"a message of several lines: {error}"
    except Rehearsal.Ended:
        return "right"
    except TimeoutError:
        return "long"
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return "a result with NaN" if _nan(found) and not _nan(arguments) else "right"


def _nan(value: Any, depth: int = 3) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and bool(value.isnan().any())
    if depth and is_dataclass(value) and not isinstance(value, type):
        return any(_nan(getattr(value, one.name, None), depth - 1) for one in fields(value))
    if depth and isinstance(value, dict | list | tuple):
        return any(_nan(one, depth - 1) for one in (value.values() if isinstance(value, dict) else value))
    return False


def campaign(tries: int, rightly: Rightly | None = None) -> tuple[dict[str, int], dict[str, str]]:
    """Calls with wrong values: how many came to what, and the calls that failed."""
    known, counts, failed = callables(), dict[str, int](), dict[str, str]()
    logging.disable(logging.WARNING)
    rightly = rightly or Rightly(tempfile.mkdtemp())

    @settings(
        max_examples=tries, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(known)))
        parameter = data.draw(st.sampled_from(takes(known[name])))
        value = data.draw(values())
        arguments = rightly.arguments(name, known[name], takes(known[name]))
        came = outcome(known[name], {**arguments, parameter: value})
        if came not in ("refused", "right", "long"):
            failed.setdefault(f"{name}({parameter}={_short(value)})", came)
            came = "failed"
        counts[came] = counts.get(came, 0) + 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one()
    logging.disable(logging.NOTSET)
    return counts, failed


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return repr(value)[:50] if shape is None else f"<{type(value).__name__} {tuple(shape)}>"


def wrong_before(rightly: Rightly) -> dict[str, str]:
    """The callables whose own calls are not right, so that nothing is learnt of their arguments."""
    came = {name: outcome(one, rightly.arguments(name, one, takes(one))) for name, one in callables().items()}
    return {name: what for name, what in came.items() if what != "right"}


if __name__ == "__main__":
    usual = Rightly(tempfile.mkdtemp())
    print("not called rightly:", wrong_before(usual))
    made, wrong = campaign(int(sys.argv[1]), usual)
    print(made)
    for call, what in sorted(wrong.items()):
        print(f"{call}: {what}")
