"""Making the adapter of a recurrent network of one's own: what is found in one run, tried, and else said at once."""

import inspect
import logging
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from numsym._pyvene import frozen
from numsym.errors import ModelMismatchError
from numsym.models.own import Interface, RecurrentAdapter
from numsym.models.recurrences import Call, Recurrence, calls_of, candidates

logger = logging.getLogger(__name__)

ROWS, TOKENS = 3, 6
"""Of the runs that show where the recurrence is; they differ, so that rows are not taken for tokens."""


def has_recurrence(module: nn.Module) -> bool:
    """Whether one of torch's own recurrences is a part of a module."""
    return any(isinstance(part, nn.RNNBase | nn.RNNCellBase) for part in module.modules())


@torch.no_grad()
def adapt(module: nn.Module) -> RecurrentAdapter:
    """The adapter of a recurrent network, whose state is the site `state`; the network stays as it is.

    Its forward takes tokens, (batch, pos) or (pos, batch), and gives logits for each: a tensor, the first of a tuple,
    or what is called `logits`. What else it needs is given as None, and an `attention_mask` where it takes one.

    Args:
        module: around an `nn.RNN`, `nn.GRU` or `nn.LSTM`, or with a loop over a cell.

    Raises:
        ModelMismatchError: something is missing; all that is missing is said at once.
    """
    with frozen(module):
        interface, calls = _interface(module)
        found = candidates(module, calls, ROWS, TOKENS)
        complaints = _about_recurrences(module, calls, found) + _about_logits(module, interface, found[0])
        if complaints:
            raise ModelMismatchError(_sentence(module, complaints))
        for one in found:
            adapter = RecurrentAdapter(module, interface, one).eval()
            adapter.observe(_tokens(module))
            if _decides(adapter):
                return adapter
    adapter.whole = False
    logger.warning(
        "%s: the states of %s at one position do not decide all that follows it, so the network also carries something "
        "else; an exchange there is exact, but it is not an exchange of everything",
        type(module).__name__,
        ", ".join(repr(one.path) for one in adapter.recurrences),
    )
    return adapter


def _tokens(module: nn.Module, seed: int = 0) -> Int[Tensor, "batch pos"]:
    """Some tokens that the module knows: so few that every table of embeddings has them."""
    tables = [part.num_embeddings for part in module.modules() if isinstance(part, nn.Embedding)]
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(min([*tables, 1000]) if tables else 2, (ROWS, TOKENS), generator=generator)
    return ids.to(next(module.parameters()).device)


def _sentence(module: nn.Module, complaints: list[str]) -> str:
    return f"model of type {type(module).__name__} is not allowed: {'; '.join(complaints)}"


def _interface(module: nn.Module) -> tuple[Interface, dict[str, list[Call]]]:
    """How the module is called, and the calls of its parts in a run."""
    if next(module.parameters(), None) is None:
        raise ModelMismatchError(_sentence(module, ["it has no weights"]))
    taken = list(inspect.signature(module.forward).parameters.values())
    needed = tuple(p.name for p in taken[1:] if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, 3))
    masks = [torch.long, torch.bool] if any(p.name == "attention_mask" for p in taken) else [None]
    said: list[str] = []
    for mask in masks:
        nothing = tuple(name for name in needed if name != "attention_mask")
        interface = Interface(mask, "attention_mask" in needed, nothing)
        try:
            calls = _run(module, interface)
            if _time_first(module, calls):
                interface = replace(interface, time_first=True)
                calls = _run(module, interface)
            return interface, calls
        except ModelMismatchError as error:
            said.append(str(error).partition("not allowed: ")[2])
        except Exception as error:
            line = next(iter(str(error).strip().splitlines()), "")
            besides = f" and None as {', '.join(nothing)}" if nothing else ""
            said.append(
                f"its forward does not run on tokens alone, torch.long of shape {(ROWS, TOKENS)}{besides} "
                f"({type(error).__name__}: {line})"
            )
    raise ModelMismatchError(_sentence(module, [said[0], *_at_sight(module)]))


def _run(module: nn.Module, interface: Interface) -> dict[str, list[Call]]:
    ids = _tokens(module)
    with calls_of(module) as calls:
        interface(module, ids, torch.ones_like(ids, dtype=torch.bool))
    return calls


def _length(rnn: nn.RNNBase, call: Call) -> int:
    """Over how many tokens a call of a fused recurrence runs."""
    data, *rest = call.taken
    if data.ndim == 2 and rest and rest[0].ndim == 1:  # a packed sequence, and how many rows each step has
        return len(rest[0])
    return data.shape[1 if rnn.batch_first else 0]


def _time_first(module: nn.Module, calls: dict[str, list[Call]]) -> bool:
    """Whether what was given as rows was run over as tokens."""
    fused = [(module.get_submodule(path), own) for path, own in calls.items()]
    lengths = {_length(part, own[0]) for part, own in fused if isinstance(part, nn.RNNBase) and len(own) == 1}
    cells = candidates(module, calls, ROWS, TOKENS)[0]
    turned = candidates(module, calls, TOKENS, ROWS)[0]
    return lengths == {ROWS} if lengths else not cells and bool(turned)


NO_RECURRENCE = (
    "no recurrence is found in it: an nn.RNN, nn.GRU or nn.LSTM, or a module that is called once a token with what its "
    "last call gave (a decoder of one's own has a `config` with its width, and a list of layers)"
)


def _at_sight(module: nn.Module) -> list[str]:
    """What is wrong with the recurrences of a module, as far as it need not run."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        kind = type(module).__name__
        return [f"it is an nn.{kind} alone: give the network that embeds tokens for it and decodes its states"]
    complaints = [] if has_recurrence(module) else [NO_RECURRENCE]
    for path, part in module.named_modules():
        if isinstance(part, nn.RNNBase) and part.bidirectional:
            complaints.append(
                f"its nn.{type(part).__name__} at {path!r} runs in both directions, so that its states depend on later "
                "tokens"
            )
    return complaints


def _about_recurrences(module: nn.Module, calls: dict[str, list[Call]], found: list[list[Recurrence]]) -> list[str]:
    """What is wrong with the recurrences of a module, as a run shows."""
    complaints = [one for one in _at_sight(module) if one != NO_RECURRENCE]
    for path, own in calls.items():
        part = module.get_submodule(path)
        steps = [_length(part, call) for call in own] if isinstance(part, nn.RNNBase) else [TOKENS]
        if steps not in ([TOKENS], [1] * TOKENS):
            runs = f"{len(own)} times, over {sum(steps)} steps, " if len(own) > 1 else f"over {steps[0]} steps "
            complaints.append(
                f"its nn.{type(part).__name__} at {path!r} runs {runs}for {TOKENS} tokens: it must run over each once"
            )
    if not found[0]:
        repeated = [path for path, own in calls.items() if len(own) > 1]
        several = ", ".join(f"{path!r} ({type(module.get_submodule(path)).__name__})" for path in repeated)
        cells = (
            f"; of it {several} run several times, but none once a token and with what its last call gave: make the "
            "whole step, from the state before to the state after, one module"
        )
        complaints.append(NO_RECURRENCE + (cells if repeated else ""))
    return complaints


def _about_logits(module: nn.Module, interface: Interface, recurrences: list[Recurrence]) -> list[str]:
    """What is wrong with what a module gives."""
    ids = _tokens(module)
    with calls_of(module) as calls:
        logits = interface(module, ids, None)
    if logits.ndim != 3 or logits.shape[:2] != ids.shape or not logits.is_floating_point():
        return [
            f"its forward gives {_shape(logits, interface)} for tokens {_shape(ids, interface)}: logits are "
            "(batch, pos, vocab), for each token those of the next"
        ]
    if states := [one.path for one in recurrences if _is_state(logits, calls[one.path][-1])]:
        return [
            f"its forward gives the states of {states[-1]!r} first, where logits may be a tensor, the first of a "
            "tuple, or `logits` of a dict or an object"
        ]
    complaints = []
    vocabulary = int(ids.max()) + 1
    later, others = ids.clone(), ids.clone()
    later[:, -1] = (later[:, -1] + 1) % vocabulary
    others[0] = (others[0] + 1) % vocabulary
    if not _close(interface(module, later, None)[:, :-1], logits[:, :-1]):
        complaints.append("its logits at a position depend on later tokens")
    if not _close(interface(module, others, None)[1:], logits[1:]):
        complaints.append("its logits in a row depend on other rows")
    return complaints


def _is_state(logits: Float[Tensor, "batch pos vocab"], call: Call) -> bool:
    """Whether what is given as logits is what the last call of a recurrence gave."""
    last = logits[:, -1]
    given = [value for value in call.given if isinstance(value, Tensor) and value.shape[-1:] == last.shape[-1:]]
    ends = [value if value.ndim == 2 else end for value in given for end in (value[:, -1], value[-1])]
    return any(end.shape == last.shape and torch.equal(end, last) for end in ends)


def _shape(tensor: Tensor, interface: Interface) -> tuple[int, ...]:
    return tuple((tensor.transpose(0, 1) if interface.time_first else tensor).shape)


def _close(one: Float[Tensor, "*any"], other: Float[Tensor, "*any"]) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * max(1.0, float(other.abs().max())))


def _decides(adapter: RecurrentAdapter) -> bool:
    """Whether with another run's states, in all layers, at one position of each row, what follows is that run's."""
    base, source = _tokens(adapter.module), _tokens(adapter.module, seed=1)
    rows, at = torch.arange(ROWS), torch.tensor([0, 2, TOKENS - 2])
    after = torch.arange(TOKENS) > at[:, None]
    base = torch.where(after.to(base.device), source, base)
    held: list[Tensor] = []

    def look(_: nn.Module, args: tuple, states: Tensor) -> None:
        held.append(states.clone())

    def exchange(_: nn.Module, args: tuple, states: Tensor) -> None:
        states[rows, at] = held.pop(0)[rows, at]

    logits = []
    for hook, ids in ((look, source), (exchange, base)):
        handles = [layer.sites[0].register_forward_hook(hook) for layer in adapter.layers]  # type: ignore[index, union-attr]
        try:
            logits.append(adapter(ids).logits[after])
        finally:
            for handle in handles:
                handle.remove()
    return _close(logits[1], logits[0])
