"""Sums, extremes and moments over dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering
from pyode_bridge.compiled.lowerings.templates import ADD, MULTIPLY, SUBTRACT

aten, prims = torch.ops.aten, torch.ops.prims


def _reduced(
    ctx: LoweringContext, a: Any, dims: Sequence[int] | int | None, template: str, start: float, keepdim: bool = False
) -> Any:
    array = ctx.array(a)
    rank = len(array.shape)
    dims = [dims] if isinstance(dims, int) else dims
    over = sorted(dim % rank for dim in dims) if dims and rank else list(range(rank))
    total = ctx.emitter.reduced(array, over, template, start, ctx.dtype) if rank else ctx.emitter.cast(array, ctx.dtype)
    if not keepdim:
        return total
    shape = [1 if dim in over else size for dim, size in enumerate(array.shape)]
    return ctx.reshaped(total, shape)


@register_lowering(aten.sum.default, aten.sum.dim_IntList, prims.sum.default)
def sum_(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    return _reduced(ctx, a, dims, ADD, 0, keepdim)


@register_lowering(aten.mean.default, aten.mean.dim)
def mean(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    total = _reduced(ctx, a, dims, ADD, 0, keepdim)
    count = _count(ctx.array(a).shape) // max(1, _count(total.shape))
    return ctx.pointwise("{0} / {1}", total, count)


@register_lowering(aten.prod.default, aten.prod.dim_int, prims.prod.default)
def prod(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    return _reduced(ctx, a, dims, MULTIPLY, 1, keepdim)


@register_lowering(aten.amax.default, aten.max.default, prims.amax.default)
def amax(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(ctx, a, dims, "maximum({0}, {1})", _lowest(ctx.dtype), keepdim)


@register_lowering(aten.amin.default, aten.min.default, prims.amin.default)
def amin(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    highest = math.inf if ctx.dtype.is_floating_point else torch.iinfo(ctx.dtype).max
    return _reduced(ctx, a, dims, "minimum({0}, {1})", highest, keepdim)


def _lowest(dtype: torch.dtype) -> float:
    return -math.inf if dtype.is_floating_point else torch.iinfo(dtype).min


@register_lowering(aten.any.default, aten.any.dim, aten.any.dims)
def any_(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(ctx, a, dims, "{0} | {1}", False, keepdim)


@register_lowering(aten.all.default, aten.all.dim, aten.all.dims)
def all_(ctx: LoweringContext, a: Any, dims: Any = None, keepdim: bool = False) -> Any:
    return _reduced(ctx, a, dims, "{0} & {1}", True, keepdim)


@register_lowering(aten.var.correction)
def var(ctx: LoweringContext, a: Any, dims: Any = None, *, correction: float | None = 1, keepdim: bool = False) -> Any:
    return _variance(ctx, a, dims, 1 if correction is None else correction, keepdim)


@register_lowering(prims.var.default)
def prims_var(ctx: LoweringContext, a: Any, dims: Any, correction: float = 1, **kwargs: Any) -> Any:
    return _variance(ctx, a, dims, correction, False)


def _variance(ctx: LoweringContext, a: Any, dims: Any, correction: float, keepdim: bool) -> Any:
    """In two passes: the mean first, then the squares of what is off it."""
    array = ctx.array(a)
    total = _reduced(ctx, array, dims, ADD, 0, True)
    count = _count(array.shape) // max(1, _count(total.shape))
    centre = ctx.emitter.realized(ctx.within("{0} / {1}", total, count))
    off = ctx.within(SUBTRACT, array, centre)
    squares = _reduced(ctx, ctx.within("{0} * {0}", off), dims, ADD, 0, keepdim)
    return ctx.pointwise("{0} / {1}", squares, max(0.0, count - correction))


def _count(shape: Sequence[int]) -> int:
    return math.prod(shape)
