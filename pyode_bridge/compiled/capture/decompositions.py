"""What operators are taken apart into while they are traced."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, decomposition_table
from torch.utils._python_dispatch import TorchDispatchMode

from pyode_bridge.compiled.capture.convolutions import convolution, convolution_backward
from pyode_bridge.compiled.lowerings import REGISTRY

aten = torch.ops.aten


def cumsum(tensor: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """``aten.cumsum``: each sum is added to that which ends as many elements before it as it has terms."""
    sums = tensor.to(torch.sum(tensor, dtype=dtype).dtype)
    if not tensor.ndim:
        return sums.clone()
    sums = sums.movedim(dim, -1)
    size, terms = sums.shape[-1], 1
    while terms < size:
        sums = sums + torch.constant_pad_nd(sums[..., : size - terms], [terms, 0])
        terms *= 2
    return sums.movedim(-1, dim)


def gelu_backward(grad: Tensor, input: Tensor, *, approximate: str = "none") -> Tensor:
    """``aten.gelu_backward``; torch's adds one and nearly minus one, of which nothing is left far to the left."""
    if approximate == "tanh":  # input * sigmoid(w)
        scale, cubic = math.sqrt(8 / math.pi), 0.044715
        w = scale * (input + cubic * input * input * input)
        bend = input * (scale + 3 * scale * cubic * input * input)
        return grad * (torch.sigmoid(w) + torch.sigmoid(w) * torch.sigmoid(-w) * bend)
    density = torch.exp(-0.5 * input * input) * (1 / math.sqrt(2 * math.pi))
    return grad * (0.5 * torch.erfc(-math.sqrt(0.5) * input) + input * density)


def shrink_backward(grad: Tensor, input: Tensor, lambd: float) -> Tensor:
    """``aten.hardshrink_backward`` and ``aten.softshrink_backward``."""
    return torch.where(input.abs() <= lambd, 0.0, grad)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``aten.scatter_add``: ``aten.index_put`` with an index for each dimension."""
    if not input.ndim:
        return input + src
    indices: list[Tensor | None] = list(torch.meshgrid(*map(torch.arange, index.shape), indexing="ij"))
    indices[dim] = index
    within: Tensor = src[tuple(map(slice, index.shape))]
    return torch.index_put(input, indices, within, accumulate=True)


@functools.cache
def table() -> dict[Any, Any]:
    """Functions that take operators apart; none for those that are translated as they are."""
    found = {
        **decomposition_table,
        **core_aten_decompositions(),
        aten.convolution.default: convolution,
        aten.convolution_backward.default: convolution_backward,
        aten.cumsum.default: cumsum,
        aten.gelu_backward.default: gelu_backward,
        aten.hardshrink_backward.default: shrink_backward,
        aten.softshrink_backward.default: shrink_backward,
        aten.scatter_add.default: scatter_add,
    }
    for operator in (*REGISTRY, aten.complex.default, aten.polar.default):  # of which `complex_pairs` makes pairs
        found.pop(operator, None)
    return found


class Decomposing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, torch computes with what operators are taken apart into.

    Its own kernels are at times coarser: those of hardsigmoid's derivative have 1/6 in single precision.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not any(isinstance(arg, Tensor) for arg in args):  # what makes a tensor of nothing: eye counts in uint16
            return func(*args, **kwargs)
        found = table().get(func, func)(*args, **kwargs)
        return func(*args, **kwargs) if found is NotImplemented else found
