"""Hooks of torch, on tensors or around the caller: what a solve does within is not for them to see.

A hook on a parameter is for its gradient, not for each vector-Jacobian product of which the gradient is made, or it
would be applied to these and once more to the gradient. Hooks around the caller, as those of
``torch.utils.checkpoint``, count the tensors that are saved, and a solve looks at its dynamics more often the first
time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

_saving_hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks  # torch has no public name for those around
_NOTHING = contextlib.nullcontext()


class _Here(threading.local):
    inside = 0


_here = _Here()


def apart(tensors: Sequence[Tensor] = ()) -> contextlib.AbstractContextManager[None]:
    """A block of evaluations and products, of which neither hooks around the caller nor those on ``tensors`` know."""
    hooked = [tensor for tensor in tensors if tensor._backward_hooks]
    retaining = [tensor for tensor in tensors if tensor.retains_grad]
    are_saved = _saving_hooks(False) is not None
    return _apart(hooked, retaining, are_saved) if hooked or retaining or are_saved else _NOTHING


@contextlib.contextmanager
def _apart(hooked: Sequence[Tensor], retaining: Sequence[Tensor], are_saved: bool) -> Iterator[None]:
    for tensor in hooked:
        hooks: Any = tensor._backward_hooks
        for key, hook in hooks.items():
            if not isinstance(hook, _Outside):
                hooks[key] = _Outside(hook)
    grads = [tensor.grad for tensor in retaining]
    _here.inside += 1
    try:
        with torch.autograd.graph.saved_tensors_hooks(_same, _same) if are_saved else _NOTHING:
            yield
    finally:
        _here.inside -= 1
        for tensor, grad in zip(retaining, grads, strict=True):
            tensor.grad = grad


class _Outside:
    """A hook that is silent within a solve of its thread, and where a solve has no gradient for its tensor."""

    def __init__(self, hook: Callable[[Tensor], Any]) -> None:
        self._hook = hook

    def __call__(self, grad: Tensor | None) -> Any:
        return None if _here.inside or grad is None else self._hook(grad)


def _same(tensor: Tensor) -> Tensor:
    return tensor
