"""Autocast, which is around a solve, and has to be around the dynamics again where its gradient is computed."""

from __future__ import annotations

import torch


def around(device: torch.device) -> torch.dtype | None:
    """The dtype that ``torch.autocast`` around the caller asks for on a device; None where it is off."""
    kind = device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def again(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Autocast to a dtype on a device.

    Weights are cast for each evaluation: a cast of one without autograd would serve one with it, and lose its gradient.
    """
    return torch.autocast(device.type, dtype, cache_enabled=False)
