"""The state of a delay equation before its start."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pyode_bridge.problem import checks
from pyode_bridge.problem.graph import graph_leaves, unique
from pyode_bridge.problem.jacobians import direction
from pyode_bridge.problem.state import State, Structure

DelayedDynamic = Callable[[Tensor, Any, tuple[Any, ...]], State]
History = Callable[[Tensor], State]
Lags: TypeAlias = Tensor | Sequence[float | Tensor]


class Past:
    """The flat state before the start.

    Attributes:
        history: a user's function; None where the state was that at the start all along.
        y0: that one.
    """

    def __init__(self, history: History | None, structure: Structure, y0: Tensor) -> None:
        self.history, self.y0 = history, y0
        self._structure = structure

    def __call__(self, t: Tensor, s: float) -> Tensor:
        """At a user's time; raises InputError where it is not finite."""
        flat = self.at(t, s)
        checks.finite(flat, f"history(t) at t = {s:.6g}")
        return flat

    def at(self, t: Tensor, s: float | Tensor) -> Tensor:
        """The same, unchecked, as a trace needs it."""
        return self.y0 if self.history is None else self._structure.pack_returned(self.history(t), "history(t)", s)

    def ends_in(self, y0: Tensor, t: Tensor) -> bool:
        """Whether it ends in flat ``y0`` at the first of the times, and will as whatever both depend on changes."""
        if self.history is None:
            return True
        with torch.enable_grad():
            end = self.at(t[0].to(y0.dtype), t[0])
        near = torch.finfo(y0.dtype).eps ** 0.5
        if not torch.allclose(end, y0, rtol=near, atol=near):
            return False
        leaves = unique([*graph_leaves(end), *graph_leaves(y0)])
        return all(
            map(functools.partial(torch.allclose, rtol=near, atol=near), _grads(end, leaves), _grads(y0, leaves))
        )

    @property
    def given(self) -> object:
        """What the user gave for it."""
        return self.y0 if self.history is None else self.history

    def with_leaf(self) -> Past:
        """The same of another ``y0``, with respect to which it can be differentiated."""
        return Past(self.history, self._structure, self.y0.clone().requires_grad_())


def _grads(value: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """The products of a vector that has no component alike with the derivatives of a value; zero where it has none."""
    if not value.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    grads: Sequence[Tensor | None] = torch.autograd.grad(
        value, leaves, direction(len(value), value), allow_unused=True, retain_graph=True
    )
    return [torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, grads, strict=True)]
