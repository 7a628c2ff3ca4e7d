"""Operators that put elements in order, by comparing each with each: where a sort has steps that depend on the data.

Elements are counted that come before each; what is at a place is then a sum over all elements, of which one counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError

aten = torch.ops.aten

LONGEST = 128  # elements, each of which is compared with each


def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[Tensor, Tensor]:
    """``aten.sort``, which is stable: of equal elements, the first comes first. NaN is the largest."""
    if not x.ndim:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    size = x.shape[dim]
    if size > LONGEST:
        raise UnsupportedDynamicsError(f"it sorts {size} elements, of at most {LONGEST}")
    x = x.movedim(dim, -1)
    one, other = x.unsqueeze(-1), x.unsqueeze(-2)
    first, second = (other, one) if descending else (one, other)
    less = (second < first) | (first.isnan() & ~second.isnan())
    numbers = torch.arange(size)
    before = less | (~(less | less.mT) & (numbers[None, :] < numbers[:, None]))
    place = before.to(torch.int64).sum(-1)  # of each element
    at_place = place.unsqueeze(-2) == numbers[:, None]  # (..., place, element)
    values = torch.where(at_place, x.unsqueeze(-2), torch.zeros_like(x).unsqueeze(-2)).sum(-1)
    indices = torch.where(at_place, numbers, 0).sum(-1)
    return values.movedim(-1, dim), indices.movedim(-1, dim)


def sort_stable(
    x: Tensor, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """``aten.sort.stable``."""
    return sort(x, dim, descending)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """``aten.topk``."""
    if not x.ndim:
        return sort(x)
    values, indices = sort(x, dim, largest)
    return values.narrow(dim, 0, k), indices.narrow(dim, 0, k)


def kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """``aten.kthvalue``."""
    if not x.ndim:
        return sort(x)
    found = [part.narrow(dim, k - 1, 1) for part in sort(x, dim)]
    values, indices = found if keepdim else [part.squeeze(dim) for part in found]
    return values, indices


def median_of_dim(x: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """``aten.median.dim``: of an even number, the lower one; NaN where there is one."""
    if not x.ndim:
        return sort(x)
    values, indices = kthvalue(x, (x.shape[dim] + 1) // 2, dim, keepdim)
    last, at = kthvalue(x, x.shape[dim], dim, keepdim)
    return torch.where(last.isnan(), last, values), torch.where(last.isnan(), at, indices)


def median(x: Tensor) -> Tensor:
    """``aten.median``."""
    return median_of_dim(x.reshape(-1), 0)[0]


def _extreme_of_dim(extreme: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def found(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        if not x.ndim:
            return x.clone(), torch.zeros_like(x, dtype=torch.int64)
        if x.dtype is torch.bool:
            values, indices = found(x.to(torch.int64), dim, keepdim)
            return values.to(torch.bool), indices
        size, values = x.shape[dim], extreme(x, dim, True)
        numbers = torch.arange(size).view([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
        here = (x == values) | (x.isnan() & values.isnan())
        indices = torch.amin(torch.where(here, numbers, size), dim, True)
        return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))

    return found


def cumulative_extreme(extreme: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """``aten.cummax`` and ``aten.cummin``, by the running extreme and the last place where it is met."""

    def found(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        if not x.ndim:
            return x.clone(), torch.zeros_like(x, dtype=torch.int64)
        if x.shape[dim] > LONGEST:
            raise UnsupportedDynamicsError(f"it runs over {x.shape[dim]} elements, of at most {LONGEST}")
        values: list[Tensor] = []
        places: list[Tensor] = []
        for number, one in enumerate(x.unbind(dim)):
            place = torch.full_like(one, number, dtype=torch.int64)
            if number:
                new = extreme(one, values[-1])
                place = torch.where((new == one) | one.isnan(), place, places[-1])
                one = new
            values.append(one)
            places.append(place)
        return torch.stack(values, dim), torch.stack(places, dim)

    return found


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.sort.default: sort,
    aten.sort.stable: sort_stable,
    aten.topk.default: topk,
    aten.kthvalue.default: kthvalue,
    aten.median.dim: median_of_dim,
    aten.median.default: median,
    aten.max.dim: _extreme_of_dim(torch.amax),
    aten.min.dim: _extreme_of_dim(torch.amin),
    aten.cummax.default: cumulative_extreme(torch.maximum),
    aten.cummin.default: cumulative_extreme(torch.minimum),
}
