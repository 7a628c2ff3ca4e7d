"""Solves under torch's function transforms as nodes whose derivatives are those that autograd has of them.

For equations of which no rule of a transform is an equation, as `transforms` has them of ordinary ones: plain solves
are differentiated by autograd, to any order, and a batch is one solve after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from typing_extensions import override

from pyode_bridge.derivatives.any_order import Pure, recorded
from pyode_bridge.derivatives.captures import Outside
from pyode_bridge.problem.jacobians import along
from pyode_bridge.problem.state import State, Structure

# Solves for plain functions, an initial state, times and further tensors, with autograd; returns values at the times.
Solve = Callable[..., State]


def solved(
    solve: Solve, functions: Sequence[Outside], structure: Structure, y0: Tensor, t: Tensor, *further: Tensor
) -> State:
    """What ``solve`` computes of all these, ``y0`` being flat, with the derivatives and batches of transforms."""
    given = (y0, t, *further)
    counts = [len(given), *(len(function.tensors) for function in functions)]

    def call(*tensors: Tensor) -> Sequence[Tensor]:
        (y0, t, *further), *others = _split(tensors, counts)
        bound = (function.bound(part) for function, part in zip(functions, others, strict=True))
        return (structure.pack_rows(solve(*bound, structure.unpack(y0), t, *further), len(t)),)

    outside = (tensor for function in functions for tensor in function.tensors)
    (ys,) = Node.apply(Function(call, sum(counts)), *given, *outside)  # type: ignore[no-untyped-call]
    return structure.unpack_copy(ys)


def _split(tensors: Sequence[Tensor], counts: Sequence[int]) -> list[Sequence[Tensor]]:
    parts, begin = [], 0
    for count in counts:
        parts.append(tensors[begin : begin + count])
        begin += count
    return parts


class Function:
    """A function of tensors that returns others, with autograd, and makes functions of its derivatives.

    Attributes:
        call: of as many tensors as it takes.
        size: how many these are.
    """

    def __init__(self, call: Callable[..., Sequence[Tensor]], size: int) -> None:
        self.call, self.size = call, size

    def pulled(self, wanted: Sequence[bool], results: int) -> Function:
        """Its vector-Jacobian products by the arguments that are wanted, of all arguments and a vector a result."""
        return Pulled(self, wanted, results)

    def pushed(self, moving: Sequence[int]) -> Function:
        """Its derivatives along tangents of the moving arguments, of all arguments and these tangents."""

        def call(*arguments: Tensor) -> Sequence[Tensor]:
            differentiable, tensors = torch.is_grad_enabled(), list(arguments[: self.size])
            with torch.enable_grad():
                for position in moving:
                    tensors[position] = recorded(tensors[position])
                inputs, values = [tensors[position] for position in moving], self.call(*tensors)
                return [along(value, inputs, arguments[self.size :], create_graph=differentiable) for value in values]

        return Function(call, self.size + len(moving))


class Pulled(Function):
    """The products of vectors with the Jacobian of a function.

    Their derivative along tangents is the gradient of what the function's own is along these, weighted by the vectors:
    so forward mode over reverse needs no third derivative.
    """

    def __init__(self, of: Function, wanted: Sequence[bool], results: int) -> None:
        super().__init__(self._called, of.size + results)
        self._of, self._wanted = of, wanted

    def _called(self, *arguments: Tensor) -> Sequence[Tensor]:
        return self._gradients(self._of.call, arguments[: self._of.size], arguments[self._of.size :])

    def _gradients(
        self, call: Callable[..., Sequence[Tensor]], given: Sequence[Tensor], vs: Sequence[Tensor]
    ) -> list[Tensor]:
        """Of what ``call`` makes of the arguments, weighted by the vectors."""
        products = Pure(call, (), False).products(self._wanted, len(given))
        found = zip(products.call(*given, *vs), given, self._wanted, strict=True)
        return [torch.zeros_like(of) if grad is None else grad for grad, of, wants in found if wants]

    @override
    def pushed(self, moving: Sequence[int]) -> Function:
        size = self._of.size
        of_arguments = [position for position in moving if position < size]
        along_arguments = self._of.pushed(of_arguments)

        def call(*arguments: Tensor) -> Sequence[Tensor]:
            tensors, vs, tangents = arguments[:size], arguments[size : self.size], arguments[self.size :]
            own, of_vs = tangents[: len(of_arguments)], tangents[len(of_arguments) :]
            total = self._gradients(lambda *tensors: along_arguments.call(*tensors, *own), tensors, vs)
            moved = dict(zip(moving[len(of_arguments) :], of_vs, strict=True))
            directions = [moved.get(size + position, torch.zeros_like(v)) for position, v in enumerate(vs)]
            if moved:
                more = self._gradients(self._of.call, tensors, directions)
                total = [one + other for one, other in zip(total, more, strict=True)]
            return total

        return Function(call, self.size + len(moving))


class Node(torch.autograd.Function):
    """A function of tensors; its derivatives in both modes are such nodes."""

    @staticmethod
    def forward(function: Function, *tensors: Tensor) -> tuple[Tensor, ...]:
        """What it returns."""
        return tuple(tensor.detach() for tensor in function.call(*tensors))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the function and its arguments."""
        ctx.function, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *vs: Tensor) -> tuple[Tensor | None, ...]:
        """By the products with the vectors."""
        wanted = tuple(ctx.needs_input_grad[1:])
        pulled = ctx.function.pulled(wanted, len(vs))
        found = iter(Node.apply(pulled, *ctx.saved_tensors, *vs))  # type: ignore[no-untyped-call]
        return None, *(next(found) if wants else None for wants in wanted)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        """By the derivatives along the tangents."""
        with forward_ad._set_fwd_grad_enabled(True):  # torch disables it, which breaks nested forward modes
            tensors = [forward_ad.unpack_dual(tensor).primal for tensor in ctx.saved_tensors]  # type: ignore[no-untyped-call]
            moving = [position for position, tangent in enumerate(tangents[1:]) if tangent is not None]
            found: tuple[Tensor, ...] = Node.apply(  # type: ignore[no-untyped-call]
                ctx.function.pushed(moving), *tensors, *(tangents[1 + position] for position in moving)
            )
            return found

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, function: Function, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """One after another."""
        dims = in_dims[1:]
        rows = [
            Node.apply(function, *_row(tensors, dims, number))  # type: ignore[no-untyped-call]
            for number in range(info.batch_size)
        ]
        outputs = tuple(map(torch.stack, zip(*rows, strict=True)))
        return outputs, (0,) * len(outputs)


def _row(tensors: Sequence[Tensor], dims: Sequence[int | None], number: int) -> list[Tensor]:
    return [tensor if dim is None else tensor.select(dim, number) for tensor, dim in zip(tensors, dims, strict=True)]
