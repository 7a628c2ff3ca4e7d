"""The time and the state at which a condition crosses zero, as functions of all that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives.autograd import final

Bend = Callable[[], tuple[Tensor, Tensor]]


def crossing(t: Tensor, y: Tensor, value: Tensor, rate: Tensor, velocity: Tensor, bend: Bend) -> tuple[Tensor, Tensor]:
    """The time and the state, which are ``t`` and ``y``, with first and second derivatives.

    By the implicit function theorem, for ``g(t + s, y(t + s)) = 0`` with a state of ``y + f s + a s² / 2`` after ``s``.

    Args:
        t, y: where it crosses; ``t`` stands still, and ``y``, flat, depends on what the solve does.
        value: ``g`` there, a scalar that is zero but for rounding.
        rate: ``dg/dt`` along the solution, a scalar.
        velocity: ``f``, as ``y``.
        bend: computes ``a = df/dt`` and ``d²g/dt²``, for second derivatives.
    """
    shift, moved = _Crossing.apply(y, value, rate, velocity, bend)  # type: ignore[no-untyped-call]
    return t + shift, moved


class _Crossing(torch.autograd.Function):
    """Forward: no shift, and the state. Backward: their gradient, of what is differentiated once more if asked to."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, value: Tensor, rate: Tensor, velocity: Tensor, bend: Bend
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(y, value, rate, velocity)
        ctx.bend = bend
        return torch.zeros_like(value), y.clone()

    @staticmethod
    def backward(ctx: Any, of_shift: Tensor, of_y: Tensor) -> tuple[Tensor | None, ...]:
        _, value, rate, velocity = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return of_y, -(of_shift + of_y @ velocity) / rate, None, None, None
        acceleration, jerk = ctx.bend()
        shift: Tensor = _Shift.apply(value, rate.detach())  # type: ignore[no-untyped-call]
        pulled = -(of_shift + of_y @ (velocity + acceleration * shift)) / (rate + jerk * shift)
        return of_y, pulled, pulled * shift, of_y * shift, None


class _Shift(torch.autograd.Function):
    """By how much it comes later: nothing, with its first derivative alone."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rate: Tensor) -> Tensor:
        ctx.save_for_backward(value, rate)
        return torch.zeros_like(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        value, rate = ctx.saved_tensors
        moved = -grad / rate
        return final(moved, THIRD, value) if torch.is_grad_enabled() else moved, None


THIRD = "Third derivatives of events are not available; second ones are. Call autograd without create_graph."
