"""What moves elements about without computing: views, joining, padding, writing into a part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering

aten, prims = torch.ops.aten, torch.ops.prims

OF_ONE = (
    aten.view.default,
    aten.expand.default,
    aten.permute.default,
    aten.t.default,
    aten.transpose.int,
    aten.select.int,
    aten.slice.Tensor,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.diagonal.default,
    aten.unfold.default,
    aten.flip.default,
    aten.roll.default,
    aten.repeat.default,
    aten.tril.default,
    aten.triu.default,
    aten.diag_embed.default,
    prims.broadcast_in_dim.default,
    aten.index_select.default,
    aten.index.Tensor,
)
SAME = (
    aten.alias.default,
    aten.detach.default,
    aten.clone.default,
    aten.lift_fresh_copy.default,
    aten.view_as_real.default,  # of what the graph was given, which is real to an emitter
    prims.view_of.default,
)


@register_lowering(*OF_ONE)
def of_one(ctx: LoweringContext, a: Any, *args: Any, **kwargs: Any) -> Any:
    operator, known = ctx.operator, _known(args)
    return ctx.moved(lambda elements: operator(elements, *known, **kwargs), a)


def _known(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, where all are known beforehand."""
    for arg in args:
        for part in arg if isinstance(arg, (list, tuple)) else (arg,):
            if not isinstance(part, (Tensor, int, float, bool, str, type(None))):
                raise UnsupportedDynamicsError("it looks elements up by an index that is computed")
    return args


@register_lowering(aten._unsafe_view.default)
def unsafe_view(ctx: LoweringContext, a: Any, shape: Any) -> Any:
    return ctx.reshaped(a, shape)


@register_lowering(*SAME)
def same(ctx: LoweringContext, a: Any, *args: Any, **kwargs: Any) -> Any:
    return a


@register_lowering(aten.as_strided.default)
def as_strided(ctx: LoweringContext, a: Any, size: Any, stride: Any, offset: int | None = None) -> Any:
    further = _further(ctx, offset)

    def move(elements: Tensor) -> Tensor:
        if not elements.is_contiguous():
            raise RuntimeError("not row by row")
        return elements.as_strided(size, stride, elements.storage_offset() + further)

    return ctx.moved(move, a)


@register_lowering(aten.as_strided_scatter.default)
def as_strided_scatter(
    ctx: LoweringContext, a: Any, part: Any, size: Any, stride: Any, offset: int | None = None
) -> Any:
    further = _further(ctx, offset)
    return ctx.moved(lambda elements, others: aten.as_strided_scatter(elements, others, size, stride, further), a, part)


def _further(ctx: LoweringContext, offset: int | None) -> int:
    """How far behind the first element of the operand as_strided begins; torch counts from where its storage begins."""
    value = ctx.node.args[0].meta["val"]  # type: ignore[union-attr]
    further = 0 if offset is None else offset - value.storage_offset()
    if further < 0 or not value.is_contiguous():
        raise UnsupportedDynamicsError("it uses as_strided on a tensor that does not lie row by row from there on")
    return int(further)


@register_lowering(aten.select_scatter.default, aten.slice_scatter.default, aten.diagonal_scatter.default)
def scatter(ctx: LoweringContext, a: Any, part: Any, *args: Any, **kwargs: Any) -> Any:
    operator = ctx.operator
    return ctx.moved(lambda elements, others: operator(elements, others, *args, **kwargs), a, part)


@register_lowering(aten.cat.default, aten.stack.default)
def join(ctx: LoweringContext, parts: Any, dim: int = 0) -> Any:
    operator = ctx.operator
    return ctx.moved(lambda *elements: operator(list(elements), dim), *parts)


@register_lowering(aten.constant_pad_nd.default)
def pad(ctx: LoweringContext, a: Any, pad: Any, value: float = 0) -> Any:
    padded = ctx.moved(lambda elements: aten.constant_pad_nd(elements, pad, 0), a)
    if value == 0:
        return padded
    inside = aten.constant_pad_nd(torch.ones(ctx.array(a).shape, dtype=torch.bool), pad, False)
    return ctx.emitter.choose(ctx.array(inside), padded, ctx.array(value), ctx.dtype, ctx.shape)


@register_lowering(aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int)
def split(ctx: LoweringContext, a: Any, *args: Any) -> Any:
    operator = ctx.operator
    count = len(ctx.node.meta["val"])
    array = ctx.array(a)

    def piece(which: int) -> Any:
        return ctx.emitter.moved(lambda elements: operator(elements, *args)[which], [array], array.dtype)

    return tuple(piece(which) for which in range(count))


@register_lowering(aten.copy.default)
def copy(ctx: LoweringContext, a: Any, source: Any, non_blocking: bool = False) -> Any:
    spread = ctx.moved(lambda elements: elements.expand(ctx.shape), source, dtype=ctx.array(source).dtype)
    return ctx.emitter.cast(spread, ctx.dtype)


@register_lowering(aten._to_copy.default, prims.convert_element_type.default)
def cast(ctx: LoweringContext, a: Any, *args: Any, **kwargs: Any) -> Any:
    return ctx.emitter.cast(ctx.array(a), ctx.dtype)


@register_lowering(aten.index_put.default)
def index_put(ctx: LoweringContext, a: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    _known((indices,))
    if not accumulate:
        return ctx.moved(lambda elements, others: aten.index_put(elements, indices, others), a, values)
    numbered = torch.arange(max(1, torch.Size(ctx.shape).numel())).reshape(ctx.shape)
    targets = aten.index(numbered, indices)
    spread = ctx.moved(lambda others: others.expand(targets.shape), values)
    return ctx.emitter.added_at(ctx.array(a), spread, targets.ravel(), ctx.dtype)
