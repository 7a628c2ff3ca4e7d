"""Tensors whose values follow from shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.lowerings.context import LoweringContext
from pyode_bridge.compiled.lowerings.registry import register_lowering

aten = torch.ops.aten

OF_A_SHAPE = (
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.full_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
)
EMPTY = (
    aten.empty_like.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
    aten.empty.memory_format,
    aten.empty_strided.default,
    aten.empty_permuted.default,
)


@register_lowering(*OF_A_SHAPE)
def of_a_shape(ctx: LoweringContext, a: Any, *args: Any, **kwargs: Any) -> Tensor:
    like = a if isinstance(a, Tensor) else torch.empty(a.shape, dtype=a.dtype)
    made: Tensor = ctx.operator(like, *args, **kwargs)
    return made


@register_lowering(*EMPTY)
def empty(ctx: LoweringContext, *args: Any, **kwargs: Any) -> Tensor:
    return torch.zeros(ctx.shape, dtype=ctx.dtype)
