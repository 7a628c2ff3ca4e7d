"""Elements that a mask chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

aten = torch.ops.aten


def masked_select(tensor: Tensor, mask: Tensor) -> Tensor:
    """``aten.masked_select``; how many these are has to be known beforehand."""
    shape = np.broadcast_shapes(tensor.shape, mask.shape)
    chosen = mask.expand(shape).reshape(-1).nonzero().squeeze(-1)
    return tensor.expand(shape).reshape(-1)[chosen]


def masked_scatter(tensor: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """``aten.masked_scatter``: the first of the source go where the mask is true, in order."""
    mask = mask.expand_as(tensor)
    chosen = source.reshape(-1).gather(0, _places(mask)).view(tensor.shape)
    return torch.where(mask, chosen, tensor)


def masked_scatter_backward(grad: Tensor, mask: Tensor, sizes: Sequence[int]) -> Tensor:
    """``aten.masked_scatter_backward``, with respect to the source."""
    mask = mask.expand_as(grad)
    nothing = grad.new_zeros(math.prod(sizes))
    return nothing.scatter_add(0, _places(mask), torch.where(mask, grad, 0.0).reshape(-1)).view(sizes)


def _places(mask: Tensor) -> Tensor:
    """Of which element of the source each is, where the mask is true; any elsewhere."""
    return (mask.reshape(-1).long().cumsum(0) - 1).clamp(min=0)


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.masked_select.default: masked_select,
    aten.masked_scatter.default: masked_scatter,
    aten.masked_scatter_backward.default: masked_scatter_backward,
}
