"""What operators are taken apart into while they are traced."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, decomposition_table
from torch.utils._python_dispatch import TorchDispatchMode

from pyode_bridge.compiled.capture.decompositions import (
    distances,
    further,
    least_squares,
    linear_operators,
    matrices,
    orderings,
    selections,
    special,
)
from pyode_bridge.compiled.capture.decompositions.convolutions import convolution, convolution_backward
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


_OWN = {
    **linear_operators.DECOMPOSITIONS,
    **orderings.DECOMPOSITIONS,
    **special.DECOMPOSITIONS,
    **matrices.DECOMPOSITIONS,
    **distances.DECOMPOSITIONS,
    **least_squares.DECOMPOSITIONS,
    **selections.DECOMPOSITIONS,
    **further.DECOMPOSITIONS,
}


def _of_real_numbers(apart: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which leaves operators on complex numbers as they are."""

    def called(*args: Any, **kwargs: Any) -> Any:
        is_complex = any(isinstance(arg, Tensor) and arg.is_complex() for arg in args)
        return NotImplemented if is_complex else apart(*args, **kwargs)

    return called


@functools.cache
def table() -> dict[Any, Any]:
    """Functions that take operators apart; none for those that are translated as they are."""
    found = {
        **decomposition_table,
        **core_aten_decompositions(),
        **{operator: _of_real_numbers(apart) for operator, apart in _OWN.items()},
        aten.convolution.default: convolution,
        aten.convolution_backward.default: convolution_backward,
        aten.cumsum.default: cumsum,
        aten.gelu_backward.default: gelu_backward,
        aten.hardshrink_backward.default: shrink_backward,
        aten.softshrink_backward.default: shrink_backward,
    }
    for operator in (*REGISTRY, aten.complex.default, aten.polar.default):  # of which `complex_pairs` makes pairs
        if operator not in _OWN:  # which may leave an operator as it is
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
