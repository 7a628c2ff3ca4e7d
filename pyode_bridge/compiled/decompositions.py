"""What operations are taken apart into while they are traced."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

from pyode_bridge.compiled.convolutions import convolution, convolution_backward
from pyode_bridge.compiled.operations import LOWERINGS

aten = torch.ops.aten

# By torch's own decompositions, beside those that make its core set.
_FURTHER = (
    aten.native_layer_norm,
    aten.native_group_norm,
    aten.std,
    aten.var_mean,
    aten.std_mean,
    aten.logsumexp,
    aten._softmax,
    aten._log_softmax,
    aten.addcmul,
    aten.addcdiv,
    aten.lerp,
    aten.softplus_backward,
    aten.elu_backward,
    aten.silu_backward,
    aten.leaky_relu_backward,
    aten.gelu_backward,
    aten.sigmoid_backward,
    aten.tanh_backward,
    aten.hardtanh_backward,
    aten.threshold_backward,
    aten.linalg_vector_norm,
    aten.frobenius_norm,
    aten.embedding,
)


def cumsum(tensor: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """``aten.cumsum``: each sum is added to that which ends as many places before it as it has terms."""
    sums = tensor.to(torch.sum(tensor, dtype=dtype).dtype)
    if not tensor.ndim:
        return sums.clone()
    sums = sums.movedim(dim, -1)
    size, terms = sums.shape[-1], 1
    while terms < size:
        sums = sums + torch.constant_pad_nd(sums[..., : size - terms], [terms, 0])
        terms *= 2
    return sums.movedim(-1, dim)


@functools.cache
def table() -> dict[Any, Any]:
    """Functions that take operations apart; none for those that are translated as they are."""
    found = {
        **core_aten_decompositions(),
        **get_decompositions(_FURTHER),
        aten.convolution.default: convolution,
        aten.convolution_backward.default: convolution_backward,
        aten.cumsum.default: cumsum,
    }
    for operation in LOWERINGS:
        found.pop(operation, None)
    return found


class Decomposing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, torch computes with what operations are taken apart into.

    Its own kernels are at times coarser: those of hardsigmoid's derivative have 1/6 in single precision.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = table().get(func, func)(*args, **kwargs)
        return func(*args, **kwargs) if found is NotImplemented else found
