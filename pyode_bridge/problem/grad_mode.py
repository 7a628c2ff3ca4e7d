"""Functions that differentiate within, as networks of energies do, of states that nobody recorded."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NOT_RECORDED = "not require grad"  # torch's words, where it is asked for a gradient of what it did not record


def lacks_graph(error: RuntimeError) -> bool:
    """Whether an evaluation asked for a gradient that it would have had with autograd on, and of a recorded state."""
    return NOT_RECORDED in str(error)


def recorded(function: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """``function(y)`` with autograd on within, and its graph where the caller records too."""
    is_wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        value = function(y if y.requires_grad else y.detach().requires_grad_())
    return value if is_wanted else value.detach()
