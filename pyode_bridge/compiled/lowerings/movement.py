"""What moves elements about without computing: views, joining, padding, writing into a part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.lowerings.registry import Call, lowers

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
    aten.gather.default,
)
SAME = (
    aten.alias.default,
    aten.detach.default,
    aten.clone.default,
    aten.lift_fresh_copy.default,
    prims.view_of.default,
)


@lowers(*OF_ONE)
def of_one(call: Call, a: Any, *args: Any, **kwargs: Any) -> Any:
    operation, known = call.operation, _known(args)
    return call.moved(lambda places: operation(places, *known, **kwargs), a)


def _known(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, where all are known beforehand."""
    for arg in args:
        for part in arg if isinstance(arg, (list, tuple)) else (arg,):
            if not isinstance(part, (Tensor, int, float, bool, str, type(None))):
                raise UnsupportedDynamicsError("it looks elements up by an index that is computed")
    return args


@lowers(aten._unsafe_view.default)
def unsafe_view(call: Call, a: Any, shape: Any) -> Any:
    return call.reshaped(a, shape)


@lowers(*SAME)
def same(call: Call, a: Any, *args: Any, **kwargs: Any) -> Any:
    return a


@lowers(aten.as_strided.default)
def as_strided(call: Call, a: Any, size: Any, stride: Any, offset: int | None = None) -> Any:
    further = _further(call, offset)

    def move(places: Tensor) -> Tensor:
        if not places.is_contiguous():
            raise RuntimeError("not row by row")
        return places.as_strided(size, stride, places.storage_offset() + further)

    return call.moved(move, a)


@lowers(aten.as_strided_scatter.default)
def as_strided_scatter(call: Call, a: Any, part: Any, size: Any, stride: Any, offset: int | None = None) -> Any:
    further = _further(call, offset)
    return call.moved(lambda places, others: aten.as_strided_scatter(places, others, size, stride, further), a, part)


def _further(call: Call, offset: int | None) -> int:
    """How far behind the first element of the operand as_strided begins; torch counts from where its storage begins."""
    value = call.node.args[0].meta["val"]  # type: ignore[union-attr]
    further = 0 if offset is None else offset - value.storage_offset()
    if further < 0 or not value.is_contiguous():
        raise UnsupportedDynamicsError("it uses as_strided on a tensor that does not lie row by row from there on")
    return int(further)


@lowers(aten.select_scatter.default, aten.slice_scatter.default, aten.diagonal_scatter.default)
def scatter(call: Call, a: Any, part: Any, *args: Any, **kwargs: Any) -> Any:
    operation = call.operation
    return call.moved(lambda places, others: operation(places, others, *args, **kwargs), a, part)


@lowers(aten.cat.default, aten.stack.default)
def join(call: Call, parts: Any, dim: int = 0) -> Any:
    operation = call.operation
    return call.moved(lambda *places: operation(list(places), dim), *parts)


@lowers(aten.constant_pad_nd.default)
def pad(call: Call, a: Any, pad: Any, value: float = 0) -> Any:
    padded = call.moved(lambda places: aten.constant_pad_nd(places, pad, 0), a)
    if value == 0:
        return padded
    inside = aten.constant_pad_nd(torch.ones(call.array(a).shape, dtype=torch.bool), pad, False)
    return call.builder.choose(call.array(inside), padded, call.array(value), call.dtype, call.shape)


@lowers(aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int)
def split(call: Call, a: Any, *args: Any) -> Any:
    operation = call.operation
    count = len(call.node.meta["val"])
    array = call.array(a)

    def piece(place: int) -> Any:
        return call.builder.moved(lambda places: operation(places, *args)[place], [array], array.dtype)

    return tuple(piece(place) for place in range(count))


@lowers(aten.copy.default)
def copy(call: Call, a: Any, source: Any, non_blocking: bool = False) -> Any:
    spread = call.moved(lambda places: places.expand(call.shape), source, dtype=call.array(source).dtype)
    return call.builder.cast(spread, call.dtype)


@lowers(aten._to_copy.default, prims.convert_element_type.default)
def cast(call: Call, a: Any, *args: Any, **kwargs: Any) -> Any:
    return call.builder.cast(call.array(a), call.dtype)


@lowers(aten.index_put.default)
def index_put(call: Call, a: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    _known((indices,))
    if not accumulate:
        return call.moved(lambda places, others: aten.index_put(places, indices, others), a, values)
    numbered = torch.arange(max(1, torch.Size(call.shape).numel())).reshape(call.shape)
    places = aten.index(numbered, indices)
    spread = call.moved(lambda others: others.expand(places.shape), values)
    return call.builder.added_at(call.array(a), spread, places.ravel(), call.dtype)
