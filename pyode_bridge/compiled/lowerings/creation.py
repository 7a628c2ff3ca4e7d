"""Tensors whose values follow from shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.lowerings.registry import Call, lowers

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


@lowers(*OF_A_SHAPE)
def of_a_shape(call: Call, a: Any, *args: Any, **kwargs: Any) -> Tensor:
    like = a if isinstance(a, Tensor) else torch.empty(a.shape, dtype=a.dtype)
    made: Tensor = call.operation(like, *args, **kwargs)
    return made


@lowers(*EMPTY)
def empty(call: Call, *args: Any, **kwargs: Any) -> Tensor:
    return torch.zeros(call.shape, dtype=call.dtype)
