"""What alignments of one network have to show: the question in plain words, and charts, of one or of several."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numsym.figures import charts

if TYPE_CHECKING:
    from altair import TopLevelMixin

    from numsym.alignment.result import AlignmentResult


def question(results: "Mapping[str, AlignmentResult]") -> str:
    """What was asked, in a sentence."""
    found = list(results.values())
    asked = dict.fromkeys(f"{' and '.join(one.variables)} of the program {one.program}" for one in found)
    sites = dict.fromkeys(str(one.site) for one in found)
    return (
        f"Does this network, which does the task {found[0].task}, hold {', or '.join(asked)} as a variable at "
        f"{', '.join(sites)}: exchanged between two trials, does it make what follows what the program says?"
    )


def pictures(results: "Mapping[str, AlignmentResult]") -> "dict[str, TopLevelMixin]":
    """IIA beside its controls, and by the numbers of the trials, as charts by their captions.

    Args:
        results: by name.
    """
    kept = sorted({n for one in results.values() if one.held_out for n in one.held_out.by_base_count})
    base = {n: dict(one.test.by_base_count) for n, one in results.items()}
    source = {n: dict(one.test.by_source_count) for n, one in results.items()}
    for name, one in results.items():
        if one.held_out is not None:
            base[name] = dict(sorted({**base[name], **one.held_out.by_base_count}.items()))
            source[name] = dict(sorted({**source[name], **one.held_out.by_source_count}.items()))
    apart = {n: one.test.by_difference for n, one in results.items()}
    hollow = "; hollow: numbers that training did not see" if kept else ""
    rows = [{"recipe": name, **one.rows()[0]} for name, one in results.items()]
    return {
        "Each alignment beside its controls": charts.beside_controls(rows, "recipe"),
        f"By the number of the base trial{hollow}": charts.by_group(base, kept, x="number of the base"),
        f"By the number of the source trial{hollow}": charts.by_group(source, kept, x="number of the source"),
        "By how far the exchanged values are apart": charts.by_group(apart, x="|source value - base value|"),
    }
