"""Functions of tensors whose derivatives are such functions again, so that autograd has them to any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives import hooks
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.graph import direct_gradients

Tensors = Sequence[Tensor | None]


@dataclass(frozen=True)
class Pure:
    """A function of tensors that does nothing but return others, with autograd under the caller's grad mode.

    Attributes:
        call: of the arguments alone; what is None among them or in what it returns is no tensor.
        parameters: the tensors that it uses beside. They are its own; what is called with others would use these.
        entangled: whether one of them may have been computed from another.
    """

    call: Callable[..., Tensors]
    parameters: tuple[Tensor, ...]
    entangled: bool

    @classmethod
    def of(cls, call: Callable[..., Tensors], dynamics: Dynamics) -> Pure:
        """One that uses the parameters of the dynamics."""
        return cls(call, dynamics.parameters, dynamics.wanted.used is None)

    def __call__(self, *arguments: Tensor | None) -> tuple[Tensor | None, ...]:
        """What it returns."""
        with hooks.apart(self.parameters):
            return tuple(self.call(*arguments))

    def products(self, wanted: Sequence[bool], size: int) -> Pure:
        """Its vector-Jacobian products by the parameters and by ``size`` arguments, None for those not ``wanted``.

        They are a function of these arguments and, behind them, of the vectors.
        """
        return Pure(lambda *tensors: self._products(wanted, tensors[:size], tensors[size:]), *self._own)

    @property
    def _own(self) -> tuple[tuple[Tensor, ...], bool]:
        return self.parameters, self.entangled

    def _products(self, wanted: Sequence[bool], given: Tensors, vs: Tensors) -> Tensors:
        differentiable, count = torch.is_grad_enabled(), len(self.parameters)
        arguments = [
            recorded(tensor) if tensor is not None and wants else tensor
            for tensor, wants in zip(given, wanted[count:], strict=True)
        ]
        inputs = [*self.parameters, *arguments]
        chosen = [tensor for tensor, wants in zip(inputs, wanted, strict=True) if tensor is not None and wants]
        with torch.enable_grad():
            pairs = [(value, v) for value, v in zip(self.call(*arguments), vs, strict=True) if _moves(value, v)]
            grads: Tensors = [None] * len(chosen)
            if pairs:
                values, cotangents = zip(*pairs, strict=True)
                # The graph is kept: it may reach into one that belongs to the caller.
                grads = torch.autograd.grad(
                    values, chosen, cotangents, allow_unused=True, retain_graph=True, create_graph=differentiable
                )
        found = iter(grads)
        products = [next(found) if wants else None for wants in wanted]
        if self.entangled:
            products[:count] = direct_gradients(self.parameters, products[:count])
        return products


def recorded(tensor: Tensor) -> Tensor:
    """What autograd differentiates by: the tensor where the caller has its grad mode on, or a copy.

    What a copy was computed from takes no part.
    """
    return tensor if torch.is_grad_enabled() and tensor.requires_grad else tensor.detach().requires_grad_()


def _moves(value: Tensor | None, v: Tensor | None) -> bool:
    return value is not None and v is not None and value.requires_grad


class AnyOrder(torch.autograd.Function):
    """A pure function as a node of autograd's graph. Backward: its products, as such a node."""

    @staticmethod
    def forward(ctx: Any, function: Pure, values: Callable[..., Tensors], *tensors: Tensor | None) -> Tensors:
        """What the function returns, for its parameters and arguments, as ``values`` of the arguments computes it."""
        ctx.function = function
        ctx.save_for_backward(*tensors)
        return tuple(values(*tensors[len(function.parameters) :]))

    @staticmethod
    def backward(ctx: Any, *vs: Tensor | None) -> Tensors:
        """The products with the vectors; with ``create_graph``, differentiable."""
        tensors, function = ctx.saved_tensors, ctx.function
        products = function.products(ctx.needs_input_grad[2:], len(tensors) - len(function.parameters))
        return None, None, *node(products, products, *tensors, *vs)


def node(function: Pure, values: Callable[..., Tensors], *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """`AnyOrder` of the function's parameters and arguments, or without autograd the values alone."""
    if not torch.is_grad_enabled():
        return tuple(values(*tensors[len(function.parameters) :]))
    found: tuple[Tensor | None, ...] = AnyOrder.apply(function, values, *tensors)  # type: ignore[no-untyped-call]
    return found
