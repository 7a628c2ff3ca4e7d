"""Whether torch transforms functions (``torch.func``, ``torch.vmap``, forward mode), and what is in its wrappers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

_functorch: Any = torch._C._functorch  # torch has no public name for what follows


def active() -> bool:
    """Whether a transform of ``torch.func``, or a dual level of forward mode, is open around the caller."""
    if _functorch.peek_interpreter_stack() is not None:
        return True
    # Within an autograd.Function, torch disables forward mode.
    return forward_ad._current_level >= 0 and torch._C._is_fwd_grad_enabled()


def is_redirected() -> bool:
    """Whether a mode around the caller changes what torch's functions do: autocast, a default device, and the like."""
    return bool(
        torch.is_autocast_enabled("cpu") or torch._C._len_torch_function_stack() or torch._C._len_torch_dispatch_stack()
    )


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a transform's wrapper is around the tensor, whose memory cannot be read."""
    return bool(_functorch.is_functorch_wrapped_tensor(tensor))


def plain(tensor: Tensor) -> Tensor:
    """The values of a tensor without whatever transforms wrapped around it; a batch shows its batch dimension."""
    return unwrapped(tensor).detach()


def unwrapped(tensor: Tensor) -> Tensor:
    """The tensor that is in all wrappers, which outlasts the transforms around the caller."""
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def is_batched(tensor: Tensor) -> bool:
    """Whether a ``torch.vmap`` around the caller maps over the tensor."""
    while is_wrapped(tensor):
        if _functorch.is_batchedtensor(tensor):
            return True
        tensor = _functorch.get_unwrapped(tensor)
    return False


def is_varied(tensor: Tensor) -> bool:
    """Whether anybody differentiates by the tensor, in either mode, or maps over it, at any level."""
    while not (tensor.requires_grad or _has_tangent(tensor) or is_batched(tensor)):
        if not is_wrapped(tensor):
            return False
        tensor = _functorch.get_unwrapped(tensor)
    return True


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]
