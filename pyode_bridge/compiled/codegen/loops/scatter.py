"""Where elements of an array go within another: to a view of it if they can, else one by one, by tables of indices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyode_bridge.compiled.codegen.loops.expressions import laid_out


@dataclass(frozen=True)
class Tables:
    """Elements one by one: number ``of[i]`` of the array, from 0, goes to number ``to[i]`` of the target."""

    to: Tensor
    of: Tensor


def destination(own: Tensor, sources: Tensor, target: Tensor, *, first: bool) -> Tensor | Tables | None:
    """Where the elements of an array go within a target, which others may be written to afterwards.

    Args:
        own: the elements' numbers, in the array's shape, one after another.
        sources: for each element of the target, the number of that which belongs there.
        target: its layout.
        first: whether nothing was written to the target yet.

    Returns:
        The layout of a view of the target that the array fills; or tables; or None if no element goes anywhere.
    """
    if not own.numel():
        return None
    begin, count = own.ravel()[0], own.numel()
    to = torch.nonzero((sources >= begin) & (sources <= own.ravel()[-1])).ravel()
    of = sources[to] - begin
    if own.shape == target.shape and torch.equal(to, of) and (first or len(to) == count):
        return target  # filled with what others overwrite
    if len(to) == count and bool((of.sort().values == torch.arange(count)).all()):
        regular = _regular(to[of.argsort()].reshape(own.shape))
        if regular is not None:
            return laid_out(own.shape, target.dtype, *regular)
    return Tables(to, of)


def _regular(indices: Tensor) -> tuple[tuple[int, ...], int] | None:
    """Strides and offset of indices that are evenly spaced along each dimension, or None."""
    offset = int(indices.ravel()[0])
    strides = []
    for dim, size in enumerate(indices.shape):
        step = indices.select(dim, 1).ravel()[0].item() - offset if size > 1 else 0
        strides.append(int(step))
    if min(strides, default=0) < 0:
        return None
    even = torch.full((), offset)
    for size, stride in zip(indices.shape, strides, strict=True):
        even = even[..., None] + stride * torch.arange(size)
    return (tuple(strides), offset) if torch.equal(even.reshape(indices.shape), indices) else None
