"""Whether a model that is run on from a site does what it does as a whole: one comparison of a few rows."""

from contextlib import ExitStack
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.alignment.engines.suffix_hooks import See, seeing
from numsym.alignment.engines.suffix_model import CutModel
from numsym.models.logits import model_inputs
from numsym.models.site import Site

ROWS = ((24, 11), (17, 15), (21, 4))
"""Tokens, and the position of the exchange."""

SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "image_token_id", "image_token_index", "audio_token_id")


_KNOWN: "WeakKeyDictionary[nn.Module, dict[tuple[object, ...], str | None]]" = WeakKeyDictionary()
"""What was found of a model: a sweep asks again at each token."""


def reason_against(model: nn.Module, site: Site) -> str | None:
    """Why a model cannot be run on from a site; None where it can.

    Args:
        model: in any mode; it is left as it was.
        site: one of its own.
    """
    known, first = _KNOWN.setdefault(model, {}), next(model.parameters())
    key = site, first.dtype, first.device, getattr(getattr(model, "config", None), "_attn_implementation", None)
    if key not in known:
        known[key] = _reason(model, site)
    return known[key]


def _reason(model: nn.Module, site: Site) -> str | None:
    modes = [(part, part.training) for part in model.modules()]
    try:
        model.eval()
        return _difference(CutModel(model, site))
    except Exception as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
    finally:
        for part, training in modes:
            part.training = training


@torch.no_grad()
def _difference(cut: CutModel) -> str | None:
    """What differs between the model as a whole and cut, with the same values put in at the site."""
    ids, mask, at = _rows(cut.model)
    values = cut.values(ids, at[:, None])
    unchanged, own = _whole(cut, ids, mask, at, None)
    plain, _ = _whole(cut, ids, mask, at, values.roll(1, 0))
    lengths = mask.sum(1)
    steps = lengths - at
    where = torch.arange(int(steps.max())) < steps[:, None]
    tokens = ids.gather(1, (at[:, None] + torch.arange(where.shape[1])).clamp(max=ids.shape[1] - 1))
    kept = cut.keep(ids, at, steps)
    found = cut.resume([(kept, torch.arange(len(ids)))], tokens, where, lambda _, place: values.roll(1, 0)[:, place])
    effect, difference = (plain - unchanged).norm(), (found - plain).norm()
    eps = torch.finfo(plain.dtype).eps
    close = 3e-4 if eps < 1e-5 else 0.15
    if not torch.allclose(values, own, rtol=close, atol=close * float(own.abs().mean())):
        return "the site's value depends on what follows it"
    if not difference <= close * effect + 4 * eps * plain.norm():
        return f"its logits then differ from the whole model's by {difference / plain.norm():.1e} of their size"
    return None


def _whole(
    cut: CutModel,
    ids: Int[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch pos"],
    at: Int[Tensor, "batch"],
    values: Float[Tensor, "batch place token site"] | None,
) -> tuple[Float[Tensor, "tokens vocab"], Float[Tensor, "batch place token site"]]:
    """The whole model's logits from `at` on, with these values at the site's places; and those that it has there."""
    rows, seen = torch.arange(len(ids)), {}

    def put(place: int) -> See:
        features = cut.shape.features[place]

        def see(value: Tensor) -> Tensor | None:
            seen[place] = value[rows, at][:, features].clone()
            if values is not None:
                value = value.clone()
                value[rows, at, features] = values[:, place, 0].to(value.device)
            return value

        return see

    with ExitStack() as stack:
        for place, (module, hook) in enumerate(cut.points):
            stack.enter_context(seeing(module, hook, put(place)))
        output = cut.model(**model_inputs(cut.model, ids.to(cut.device), mask.to(cut.device)))
    where = mask & (torch.arange(mask.shape[1]) >= at[:, None])
    own = torch.stack([seen[place].to(seen[0].device) for place in range(len(seen))], 1)[:, :, None]
    return output["logits"][where.to(output["logits"].device)], own


def _rows(model: nn.Module) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"], Int[Tensor, "batch"]]:
    """Tokens at random, of several lengths, that the model can take; with the position of the exchange in each."""
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    longest = min(ROWS[0][0], getattr(config, "max_position_embeddings", None) or ROWS[0][0])
    lengths, at = (torch.tensor(side) * longest // ROWS[0][0] for side in zip(*ROWS, strict=True))
    special = {getattr(config, name, None) for name in SPECIAL}
    known = torch.tensor([token for token in range(min(config.vocab_size, 1000)) if token not in special])
    generator = torch.Generator().manual_seed(0)
    ids = known[torch.randint(len(known), (len(ROWS), longest), generator=generator)]
    return ids, torch.arange(longest) < lengths[:, None], at
