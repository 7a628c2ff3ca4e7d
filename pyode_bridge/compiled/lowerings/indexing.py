"""Elements by an index: moved where that is known beforehand, else chosen among all that it could be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering
from pyode_bridge.compiled.lowerings.templates import ADD

aten = torch.ops.aten

MOST_CHOICES = 128  # that an index which is computed may have


@register_lowering(aten.gather.default)
def gather(ctx: LoweringContext, a: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    if isinstance(index, Tensor):
        return ctx.moved(lambda elements: aten.gather(elements, dim, index), a)
    array = ctx.array(a)
    if not array.shape:
        return array
    shape, result = tuple(index.shape), ctx.array(torch.zeros(index.shape, dtype=ctx.dtype))
    within = tuple(slice(length) for length in shape)
    for choice in range(_choices(array.shape[dim])):

        def move(elements: Tensor, choice: int = choice) -> Tensor:
            one = elements.narrow(dim, choice, 1)
            return one.expand([shape[d] if d == dim % elements.ndim else -1 for d in range(elements.ndim)])[within]

        here = _is(ctx, index, choice, shape)
        result = ctx.emitter.choose(here, ctx.moved(move, array), result, ctx.dtype, shape)
    return result


@register_lowering(aten.scatter_add.default)
def scatter_add(ctx: LoweringContext, a: Any, dim: int, index: Any, source: Any) -> Any:
    array, values = ctx.array(a), ctx.array(source)
    if not array.shape:
        return ctx.pointwise(ADD, array, values)
    within = tuple(slice(length) for length in index.shape)
    values = ctx.moved(lambda elements: elements[within], values)
    if isinstance(index, Tensor):
        numbers = torch.arange(torch.Size(array.shape).numel()).reshape(tuple(array.shape))
        places = list(torch.meshgrid(*map(torch.arange, index.shape), indexing="ij"))
        places[dim] = index
        return ctx.emitter.added_at(array, values, numbers[tuple(places)].reshape(-1), ctx.dtype)
    return ctx.pointwise(ADD, array, _spread(ctx, array.shape, dim, index, values))


@register_lowering(aten.scatter.src, aten.scatter.value)
def scatter(ctx: LoweringContext, a: Any, dim: int, index: Any, source: Any) -> Any:
    array = ctx.array(a)
    if isinstance(source, (int, float)):
        source = torch.full(tuple(index.shape), source, dtype=ctx.dtype)
    if isinstance(index, Tensor):
        return ctx.moved(lambda elements, others: aten.scatter(elements, dim, index, others), array, source)
    if not array.shape:
        return ctx.array(source)
    # Of several values for one element, torch says that any may be there; here it is their mean.
    within = tuple(slice(length) for length in index.shape)
    counted = ctx.dtype if ctx.dtype.is_floating_point else torch.float64
    values = ctx.emitter.cast(ctx.moved(lambda elements: elements[within], source), counted)
    ones = ctx.array(torch.ones(tuple(index.shape), dtype=counted))
    spread, count = (_spread(ctx, array.shape, dim, index, each) for each in (values, ones))
    zero = ctx.array(torch.zeros((), dtype=counted))
    written = ctx.emitter.pointwise("{0} > {1}", counted, torch.bool, array.shape, [count, zero])
    template, given = ("{0} > {1}", zero) if ctx.dtype == torch.bool else ("{0} / {1}", count)
    mean = ctx.emitter.pointwise(
        template, counted, torch.bool if ctx.dtype == torch.bool else counted, array.shape, [spread, given]
    )
    return ctx.emitter.choose(written, mean, array, ctx.dtype, array.shape)


def _spread(ctx: LoweringContext, shape: Any, dim: int, index: Any, values: Any) -> Any:
    """Zeros of a shape, with values added at a computed index along a dimension."""
    dim %= len(shape)
    zero, parts = ctx.array(torch.zeros((), dtype=values.dtype)), []
    for choice in range(_choices(shape[dim])):
        here = _is(ctx, index, choice, tuple(index.shape))
        chosen = ctx.emitter.choose(here, values, zero, values.dtype, tuple(index.shape))
        parts.append(ctx.emitter.reduced(chosen, [dim], ADD, 0, values.dtype))
    pad = [n for d in reversed(range(len(shape))) for n in (0, 0 if d == dim else shape[d] - index.shape[d])]
    return ctx.moved(lambda *each: aten.constant_pad_nd(torch.stack(each, dim), pad), *parts, dtype=values.dtype)


def _is(ctx: LoweringContext, index: Any, choice: int, shape: tuple[int, ...]) -> Any:
    other = ctx.emitter.constant(torch.tensor(choice))
    return ctx.emitter.pointwise("{0} == {1}", torch.int64, torch.bool, shape, [index, other])


def _choices(count: int) -> int:
    if count > MOST_CHOICES:
        raise UnsupportedDynamicsError(
            f"it looks elements up by an index that is computed, of {count} and not {MOST_CHOICES}"
        )
    return count
