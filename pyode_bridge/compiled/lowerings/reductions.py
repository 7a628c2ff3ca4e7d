"""Sums, extremes and moments over dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from pyode_bridge.compiled.lowerings.registry import Call, lowers
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY, SUBTRACT

aten, prims = torch.ops.aten, torch.ops.prims


def _reduced(
    call: Call, a: Any, dims: Sequence[int] | int | None, template: str, start: float, keepdim: bool = False
) -> Any:
    array = call.array(a)
    rank = len(array.shape)
    dims = [dims] if isinstance(dims, int) else dims
    over = sorted(dim % rank for dim in dims) if dims and rank else list(range(rank))
    total = (
        call.builder.reduced(array, over, template, start, call.dtype) if rank else call.builder.cast(array, call.dtype)
    )
    if not keepdim:
        return total
    shape = [1 if dim in over else size for dim, size in enumerate(array.shape)]
    return call.reshaped(total, shape)


@lowers(aten.sum.default, aten.sum.dim_IntList, prims.sum.default)
def sum_(call: Call, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    return _reduced(call, a, dims, ADD, 0, keepdim)


@lowers(aten.mean.default, aten.mean.dim)
def mean(call: Call, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    total = _reduced(call, a, dims, ADD, 0, keepdim)
    count = _count(call.array(a).shape) // max(1, _count(total.shape))
    return call.pointwise("{0} / {1}", total, count)


@lowers(aten.prod.default, aten.prod.dim_int, prims.prod.default)
def prod(call: Call, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    return _reduced(call, a, dims, MULTIPLY, 1, keepdim)


@lowers(aten.amax.default, aten.max.default, prims.amax.default)
def amax(call: Call, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(call, a, dims, "maximum({0}, {1})", _lowest(call.dtype), keepdim)


@lowers(aten.amin.default, aten.min.default, prims.amin.default)
def amin(call: Call, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    highest = math.inf if call.dtype.is_floating_point else torch.iinfo(call.dtype).max
    return _reduced(call, a, dims, "minimum({0}, {1})", highest, keepdim)


def _lowest(dtype: torch.dtype) -> float:
    return -math.inf if dtype.is_floating_point else torch.iinfo(dtype).min


@lowers(aten.any.default, aten.any.dim, aten.any.dims)
def any_(call: Call, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(call, a, dims, "{0} | {1}", False, keepdim)


@lowers(aten.all.default, aten.all.dim, aten.all.dims)
def all_(call: Call, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(call, a, dims, "{0} & {1}", True, keepdim)


@lowers(aten.var.correction)
def var(call: Call, a: Any, dims: Any = None, *, correction: float = 1, keepdim: bool = False) -> Any:
    return _variance(call, a, dims, 1 if correction is None else correction, keepdim)


@lowers(prims.var.default)
def prims_var(call: Call, a: Any, dims: Any, correction: float = 1, **kwargs: Any) -> Any:
    return _variance(call, a, dims, correction, False)


def _variance(call: Call, a: Any, dims: Any, correction: float, keepdim: bool) -> Any:
    """In two passes: the mean first, then the squares of what is off it."""
    array = call.array(a)
    total = _reduced(call, array, dims, ADD, 0, True)
    count = _count(array.shape) // max(1, _count(total.shape))
    centre = call.builder.kept(call.within("{0} / {1}", total, count))
    off = call.within(SUBTRACT, array, centre)
    squares = _reduced(call, call.within("{0} * {0}", off), dims, ADD, 0, keepdim)
    return call.pointwise("{0} / {1}", squares, max(0.0, count - correction))


def _count(shape: Sequence[int]) -> int:
    return math.prod(shape)
