"""Intervening on a period: exchange, ablate or rotate the subspace in which numbers repeat every T."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym._pyvene import pv
from numsym.errors import InvalidArgumentError, NumsymError, check_at_least, check_name

OPERATIONS = ("exchange", "ablate", "rotate")
PYVENE_FIELDS = (*pv.RepresentationConfig._fields, "use_fast", "embed_dim", "keep_last_dim")


class FourierSubspaceIntervention(
    pv.TrainableIntervention, pv.SourcelessIntervention, pv.DistributedRepresentationIntervention
):
    """Change only the period-T part of a state: a causal test of a Fourier feature.

    `fit` regresses states on cos(2 pi l n / T) and sin(2 pi l n / T) of the numbers n that they stand for, for the
    harmonics l; the coefficient rows W (rank, d) span the period-T subspace. A state h is read in it as
    c = (h - mean) W^+, and written back as h' = h + (c' - c) W, so whatever is orthogonal to the subspace stays.

    - "exchange": c' is the source's c.
    - "ablate": c' is 0, the mean over residues: the state no longer says n mod T.
    - "rotate": harmonic l of c is turned by 2 pi l s / T, as if the number were n + s. `subspaces` gives each example
      its own s (`[[3], [1]]`); without it all turn by `shift`.

    "ablate" and "rotate" take no source (pyvene: `is_source_constant`). Everything is computed in float32 or wider and
    returned in the base's type. pyvene saves and loads it; period, harmonics, operation and shift travel in the state
    dict, since a `RepresentationConfig` has no field for them.

    Args:
        period: T; `latent_dim`, which a `RepresentationConfig` can hold, says the same.
        operation: "exchange", "ablate" or "rotate".
        shift: s of "rotate", in numbers.
        fields: of pyvene's `RepresentationConfig`, and `embed_dim`; anything else is refused.

    Raises:
        InvalidArgumentError: a keyword, period or operation that is not allowed.

    Example:
        >>> rotate = FourierSubspaceIntervention(period=5, operation="rotate", shift=2)
        >>> n = torch.arange(20)
        >>> circle = torch.stack([(2 * torch.pi * n / 5).cos(), (2 * torch.pi * n / 5).sin(), n / 7.0], dim=1)
        >>> moved = rotate.fit(circle, n, harmonics=[1])(circle[:1])
        >>> torch.allclose(moved[0, :2], circle[2, :2], atol=1e-3)
        True
    """

    weight: Tensor
    reader: Tensor
    mean: Tensor

    def __init__(
        self,
        *,
        period: int | None = None,
        operation: str = "exchange",
        shift: int = 0,
        **fields: Any,
    ):
        unknown = sorted(set(fields) - set(PYVENE_FIELDS))
        if unknown:
            raise InvalidArgumentError(
                f"unknown argument {', '.join(unknown)} of {type(self).__name__}: it takes period, operation, shift "
                f"and the fields of pyvene's RepresentationConfig, {', '.join(PYVENE_FIELDS)}"
            )
        super().__init__(**fields)
        self.keep_last_dim = True
        stated = fields.get("latent_dim")
        if None not in (period, stated) and period != stated:
            raise InvalidArgumentError(f"period={period!r} and latent_dim={stated!r} are not allowed together")
        self.period: int | None = period if period is not None else stated
        if self.period is not None:
            check_at_least("period", self.period, 2)
        self.harmonics: tuple[int, ...] = ()
        self.shift = shift
        self.set_operation(operation)
        width = int(fields.get("embed_dim") or 0)
        self.register_buffer("weight", torch.zeros(0, width))
        self.register_buffer("reader", torch.zeros(width, 0))
        self.register_buffer("mean", torch.zeros(width))

    def set_operation(self, operation: str, *, shift: int | None = None) -> "FourierSubspaceIntervention":
        """Choose what is done to the subspace, and by how much "rotate" moves the number; return itself."""
        self.operation = check_name("operation", operation, OPERATIONS)
        self.is_source_constant = operation != "exchange"
        self.shift = self.shift if shift is None else shift
        return self

    @property
    def rank(self) -> int:
        """The dimension of the subspace; 0 before `fit`."""
        return self.weight.shape[0]

    @torch.no_grad()
    def fit(
        self,
        states: Float[Tensor, "example hidden"],
        numbers: Sequence[int] | Int[Tensor, " example"],
        *,
        harmonics: Sequence[int] | None = None,
        strongest: int | None = None,
    ) -> "FourierSubspaceIntervention":
        """Find the period-T subspace by least squares, and return the intervention itself.

        Where the numbers span two periods or more, a line in n is fitted along with the waves, so that a trend is
        not taken for a period.

        Args:
            states: what is intervened on, or number embeddings, one row an example.
            numbers: the number that each row stands for; they may repeat and come in any order.
            harmonics: the l to use, each 1..T/2; None uses all, which is the span of the class means.
            strongest: of those, keep only so many with the most power.

        Raises:
            InvalidArgumentError: no period, values not finite, residues that do not occur, or harmonics out of range.
        """
        period, values, labels = self._checked(states, numbers)
        chosen = tuple(range(1, period // 2 + 1)) if harmonics is None else tuple(harmonics)
        if not chosen or len(set(chosen)) < len(chosen) or not all(1 <= k <= period / 2 for k in chosen):
            raise InvalidArgumentError(
                f"harmonics={chosen!r} is not allowed: give different integers of 1..{period // 2} for period {period}"
            )
        if strongest is not None:
            check_at_least("strongest", strongest, 1)
            power = [float(self._solve(values, labels, (k,))[0].square().sum()) for k in chosen]
            order = sorted(range(len(chosen)), key=lambda i: -power[i])[:strongest]
            chosen = tuple(sorted(chosen[i] for i in order))
        self.harmonics = chosen
        weight, mean = self._solve(values, labels, chosen)
        self._store(weight, torch.linalg.pinv(weight), mean)
        return self

    def _checked(self, states: Tensor, numbers: Sequence[int] | Tensor) -> tuple[int, Tensor, Tensor]:
        if self.period is None:
            raise InvalidArgumentError("period=None is not allowed: give it to the constructor, or as latent_dim")
        values = states.detach().to(torch.promote_types(states.dtype, torch.float32))
        labels = torch.as_tensor(numbers, device=values.device)
        if values.ndim != 2 or labels.shape != values.shape[:1] or labels.is_floating_point():
            raise InvalidArgumentError(
                f"states of shape {tuple(values.shape)} with numbers of shape {tuple(labels.shape)} are not allowed: "
                "give (N, d) states and one integer for each"
            )
        if not bool(values.isfinite().all()):
            raise InvalidArgumentError("states hold NaN or infinite values: every value must be finite")
        found = int((labels % self.period).unique().numel())
        if found < self.period:
            raise InvalidArgumentError(
                f"numbers are not allowed: only {found} of the {self.period} residues mod {self.period} occur"
            )
        return self.period, values, labels

    def _solve(
        self, values: Float[Tensor, "example hidden"], labels: Int[Tensor, " example"], harmonics: Sequence[int]
    ) -> tuple[Float[Tensor, "rank hidden"], Float[Tensor, " hidden"]]:
        """Regress on the waves (and a constant, and a line where it can be told from them)."""
        period = int(self.period or 0)
        numbers = labels.to(values.dtype)
        columns = waves(numbers, period, harmonics)
        rank = columns.shape[1]
        centre = [torch.ones_like(numbers)]
        if int(labels.max() - labels.min()) + 1 >= 2 * period:
            centre.append((numbers - numbers.mean()) / numbers.std())
        solution = torch.linalg.pinv(torch.cat([columns, torch.stack(centre, dim=1)], dim=1)) @ values
        return solution[:rank], solution[rank]

    def _store(self, weight: Tensor, reader: Tensor, mean: Tensor) -> None:
        for name, value in (("weight", weight), ("reader", reader), ("mean", mean)):
            setattr(self, name, value.detach().clone())

    def random(self, generator: torch.Generator | None = None) -> "FourierSubspaceIntervention":
        """Return the control: the same operation on a random subspace of the same rank, read orthogonally.

        Args:
            generator: a CPU generator; None is torch's own.
        """
        other = type(self)(period=self.period, operation=self.operation, shift=self.shift, embed_dim=len(self.mean))
        drawn = torch.randn(len(self.mean), self.rank, generator=generator).to(self.mean)
        basis = torch.linalg.qr(drawn)[0]
        other.harmonics = self.harmonics
        other._store(basis.mT, basis, self.mean)
        return other

    def forward(
        self,
        base: Float[Tensor, "*batch hidden"],
        source: Tensor | None = None,
        subspaces: Sequence[Sequence[int]] | None = None,
        **kwargs: Any,
    ) -> Float[Tensor, "*batch hidden"]:
        """Apply the operation.

        Args:
            base: (batch, d) or (batch, pos, d).
            source: of the same shape, for "exchange".
            subspaces: for "rotate", the shift of each example as a list of one integer.
            kwargs: ignored; pyvene passes the module's inputs here on request.

        Raises:
            NumsymError: not fitted.
            InvalidArgumentError: a width other than the fitted one, or no source for "exchange".
        """
        if self.rank == 0:
            raise NumsymError(f"{type(self).__name__} has no subspace yet: call fit(states, numbers) first")
        if base.shape[-1] != len(self.mean):
            raise InvalidArgumentError(
                f"base of width {base.shape[-1]} is not allowed: the subspace was fitted at width {len(self.mean)}"
            )
        wide = torch.promote_types(base.dtype, self.weight.dtype)
        weight, reader, mean = (part.to(wide) for part in (self.weight, self.reader, self.mean))
        own = (base.to(wide) - mean) @ reader
        if self.operation == "exchange":
            if source is None:
                raise InvalidArgumentError("source=None is not allowed: exchanging a subspace needs a source")
            change = (source.to(wide) - mean) @ reader - own
        elif self.operation == "ablate":
            change = -own
        else:
            change = self._turned(own, subspaces) - own
        return (base.to(wide) + change @ weight).to(base.dtype)

    def _turned(
        self, own: Float[Tensor, "*batch rank"], subspaces: Sequence[Sequence[int]] | None
    ) -> Float[Tensor, "*batch rank"]:
        period = int(self.period or 0)
        shift = torch.as_tensor(self.shift, dtype=own.dtype, device=own.device)
        if subspaces is not None:
            shift = torch.tensor([row[0] for row in subspaces], dtype=own.dtype, device=own.device)
            shift = shift.reshape(-1, *[1] * (own.ndim - 2))
        parts, start = [], 0
        for harmonic in self.harmonics:
            angle = 2 * math.pi * harmonic * shift / period
            if 2 * harmonic == period:
                # cos(pi (n + s)): the sine is zero everywhere, a turn by half a circle is a change of sign.
                parts.append(own[..., start : start + 1] * angle.cos()[..., None])
                start += 1
                continue
            cosine, sine = own[..., start], own[..., start + 1]
            parts.append(
                torch.stack(
                    [cosine * angle.cos() - sine * angle.sin(), cosine * angle.sin() + sine * angle.cos()], dim=-1
                )
            )
            start += 2
        return torch.cat(parts, dim=-1)

    def get_extra_state(self) -> dict[str, Any]:
        """What a state dict carries besides tensors."""
        return {
            "period": self.period,
            "harmonics": list(self.harmonics),
            "operation": self.operation,
            "shift": self.shift,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what a saved intervention was."""
        self.period, self.harmonics = state["period"], tuple(state["harmonics"])
        self.set_operation(state["operation"], shift=state["shift"])

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # The rank is known only once the saved one is read.
        for name in ("weight", "reader", "mean"):
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.empty_like(saved, device=self.mean.device))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __str__(self) -> str:
        return f"FourierSubspaceIntervention(period={self.period}, operation={self.operation!r})"


def waves(numbers: Float[Tensor, " example"], period: int, harmonics: Sequence[int]) -> Float[Tensor, "example rank"]:
    """Columns cos(2 pi l n / T) and sin(2 pi l n / T) for each harmonic l; at l = T/2 the sine is zero and left out."""
    columns = []
    for harmonic in harmonics:
        angle = 2 * math.pi * harmonic * numbers / period
        columns += [angle.cos()] if 2 * harmonic == period else [angle.cos(), angle.sin()]
    return torch.stack(columns, dim=1)
