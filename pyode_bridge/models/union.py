"""One solve for a batch whose series have different times: solve on the union of the times, then gather."""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.errors import InputError


def union_of_times(t: Tensor, start: float, end: float | None = None) -> tuple[Tensor, Tensor]:
    """All times of a batch in one increasing grid, and where each series' times lie in it.

    Args:
        t: times, shape ``(B, N)``, none before ``start``.
        start: the time of the initial state, the first of the grid.
        end: a last time of the grid, if one is wanted there; not before any of ``t``.

    Returns:
        The grid, shape ``(T,)``, strictly increasing, and positions in it, shape ``(B, N)``.

    Raises:
        InputError: a time lies outside ``start`` to ``end``.
    """
    low, high = t.min().item(), t.max().item()
    if low < start or (end is not None and high > end):
        upper = "" if end is None else f" and end = {end:g}"
        raise InputError(f"t lies within {low:g} and {high:g}; expected no time outside start = {start:g}{upper}.")
    bounds = t.new_tensor([start] if end is None else [start, end])
    grid, position = torch.unique(torch.cat([bounds, t.reshape(-1)]), return_inverse=True)
    return grid, position[len(bounds) :].view(t.shape)


def gather_times(values: Tensor, position: Tensor) -> Tensor:
    """Values on the grid, shape ``(T, B, *rest)``, at each series' own positions ``(B, N)``: ``(B, N, *rest)``."""
    series = torch.arange(position.shape[0], device=position.device)
    return values[position, series[:, None]]
