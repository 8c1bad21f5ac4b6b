"""What a composed configuration says, looked at before a study is given anything of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from numsym.alignment.baselines import BASELINES
from numsym.alignment.functions import ALIGNMENTS
from numsym.alignment.pairs import Positions
from numsym.checked import checked
from numsym.errors import InvalidArgumentError, check_name
from numsym.interventions import load_config


@checked
def settings(
    *,
    seed: int,
    experiment: Mapping[str, Any],
    tasks: Mapping[str, Any],
    device: str = "auto",
    threads: str | int | None = "auto",
    folder: str | None = None,
    site: str | Sequence[str] | None = None,
    variable: str | Sequence[str] | None = None,
    program: str | None = None,
    subspace_dim: int | None = None,
    interventions: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    pairs: Mapping[str, Any] | None = None,
    controls: bool | Sequence[str] | None = None,
    model: str | None = None,
    dtype: str | None = None,
    plugins: Sequence[str] = (),
    wandb: Mapping[str, Any] | None = None,
    **others: Any,
) -> None:
    """Check the types of the command's own settings; those of a study are checked by it.

    Raises:
        WrongTypeError: one of them has another type, or is missing.
    """
    if interventions is not None and not interventions:
        raise InvalidArgumentError("interventions=[] is not allowed: name at least one")


def positions_of(value: Any) -> Positions | None:
    """Where to intervene, from a configuration.

    Raises:
        InvalidArgumentError: it is neither a list of tokens nor values of variables.
    """
    if value is None:
        return None
    if isinstance(value, list) and value and all(isinstance(one, int | str) for one in value):
        return value
    if isinstance(value, Mapping) and all(
        isinstance(one, int) or (isinstance(one, list) and len(one) == 2 and all(isinstance(end, int) for end in one))
        for one in value.values()
    ):
        return {name: (one[0], one[1]) if isinstance(one, list) else one for name, one in value.items()}
    raise InvalidArgumentError(
        f"positions={value!r} is not allowed: give tokens of every trial, such as [2,last], or values of variables, "
        "each one or the lowest and highest, such as {phase: 1, count: [1, 10]}"
    )


def function_of(recipe: Mapping[str, Any]) -> str:
    """The name of the alignment function of a recipe in `interventions/`.

    Raises:
        InvalidArgumentError: it has several representations, or an intervention type that is not searched for.
    """
    config = load_config(recipe)
    if len(config.representations) != 1:
        raise InvalidArgumentError(
            f"representations has {len(config.representations)} entries, which is not allowed here: a search has one"
        )
    kind = config.representations[0].intervention_type
    names = [name for name in ALIGNMENTS if ALIGNMENTS[name].kind is kind]
    if not names:
        known = ", ".join(ALIGNMENTS[name].kind.__name__ for name in ALIGNMENTS)
        raise InvalidArgumentError(f"intervention_type {kind.__name__} is not allowed in a search: it learns {known}")
    search = recipe.get("search") or {}
    for key in search:
        check_name("key of search", key, ("subspace_dim", "condition", "baseline", "dictionary"))
    if search.get("baseline") is not None:
        return check_name("baseline", str(search["baseline"]), BASELINES)
    return names[0]
