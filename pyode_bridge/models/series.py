"""`Series`: a batch of irregularly sampled time series with missing values, and the walk back through them in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """A batch of series, each with its own times. A row is one time of one series.

    Series of different lengths are padded with rows that are masked throughout; no model looks at those.

    Args:
        t: times, shape ``(B, N)``, not decreasing along ``N``.
        x: values, shape ``(B, N, D)``; what stands where ``mask`` is False is replaced by zero, NaN too.
        mask: bool, shape ``(B, N, D)``, True where a value was observed.

    Raises:
        InputError: shapes that do not fit, decreasing times, or NaN or Inf among the observed values.

    Examples:
        >>> import torch
        >>> series = Series.of(torch.tensor([0.0, 0.3, 1.0]), torch.tensor([[[1.0], [float("nan")], [2.0]]]))
        >>> series.observed.tolist()
        [[True, False, True]]
    """

    t: Tensor
    x: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        t, x, mask = self.t, self.x, self.mask
        if x.ndim != 3 or mask.shape != x.shape or t.shape != x.shape[:2]:
            raise InputError(
                f"t, x and mask have shapes {tuple(t.shape)}, {tuple(x.shape)} and {tuple(mask.shape)}; expected "
                "(B, N), (B, N, D) and (B, N, D): series, times, features."
            )
        if mask.dtype != torch.bool:
            raise InputError(f"mask has dtype {mask.dtype}; expected torch.bool, True where a value was observed.")
        if not torch.isfinite(t).all() or (t.diff(dim=1) < 0).any():
            raise InputError("t holds NaN, Inf or a time before the one that precedes it; sort each series by time.")
        bad = int((mask & ~torch.isfinite(x)).sum())
        if bad:
            raise InputError(f"x holds NaN or Inf at {bad} observed values; set mask to False there.")
        object.__setattr__(self, "x", torch.where(mask, x, torch.zeros_like(x)))

    @classmethod
    def of(cls, t: Tensor, x: Tensor, mask: Tensor | None = None) -> Series:
        """A batch from times ``(N,)`` or ``(B, N)``; without a mask, the missing values are those that are NaN."""
        return cls(t.expand(x.shape[:2]), x, ~torch.isnan(x) if mask is None else mask)

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> Series:
        """Some of the series: a slice, or a tensor of positions."""
        return Series(self.t[rows], self.x[rows], self.mask[rows])

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"Series({len(self)} series of {self.x.shape[1]} times and {self.x.shape[2]} features, {self.x.dtype})"

    @property
    def observed(self) -> Tensor:
        """Bool, shape ``(B, N)``: the rows with at least one observed value."""
        return self.mask.any(dim=-1)


@dataclass(frozen=True)
class StepBack:
    """One row of each series on the walk back: ``x`` and ``mask`` ``(B, D)``, ``gap`` and ``moves`` ``(B,)``.

    ``gap`` is the time from the observed row before it on the walk, the later one; ``moves`` is False for series whose
    row is to be skipped.
    """

    x: Tensor
    mask: Tensor
    gap: Tensor
    moves: Tensor


def steps_back(series: Series, start: float) -> Iterator[StepBack]:
    """The rows from the last to the first, then a step without values to ``start``."""
    observed = series.observed
    later = torch.where(observed, series.t, start).amax(dim=1)
    if (torch.where(observed, series.t, start) < start).any():
        raise InputError(f"The series have values observed before start = {start:g}, the time of the initial state.")
    for i in reversed(range(series.t.shape[1])):
        seen, t = observed[:, i], series.t[:, i]
        yield StepBack(series.x[:, i], series.mask[:, i], torch.where(seen, later - t, 0.0), seen)
        later = torch.where(seen, t, later)
    nothing = torch.zeros_like(series.x[:, 0])
    yield StepBack(nothing, nothing.bool(), later - start, torch.ones_like(later, dtype=torch.bool))
