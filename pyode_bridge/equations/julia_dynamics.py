"""Dynamics written in Julia, as a torch module that is called like any other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyode_bridge.engines import select_engine
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import JuliaSource
from pyode_bridge.problem.state import State, Structure
from pyode_bridge.problem.wanted import Wanted


class JuliaDynamics(JuliaSource):
    """A function of Julia's, ``f(u, p, t)`` or ``f(du, u, p, t)``, as dynamics, for solves that call no Python.

    Julia differentiates what is written here: with Zygote where ``f(u, p, t)`` returns the derivative, so that ``p``
    may be large; with ForwardDiff where ``f(du, u, p, t)`` writes it, which allocates nothing, but takes longer for
    gradients the larger ``p`` is. Jacobians come from ForwardDiff, so that ``f`` must take arrays of any numbers.

    Dimensions are in Julia's order, which reverses torch's: of a state of shape ``(B, D)``, ``u`` is a matrix of ``D``
    rows, and so for ``p``. States of a tensor without dimensions, or of several tensors, are one vector ``u``.

    Args:
        source: Julia code whose last value is the function. It has LinearAlgebra, and what it loads by ``using``
            from the Julia environment.
        p: parameters: a tensor (``p`` is an array), a dict of tensors (``p.name`` is one; a number where the tensor
            has no dimensions), or None. They are parameters of the module where they are ``torch.nn.Parameter``, else
            buffers; gradients reach those that require them.

    Attributes:
        source: the code.

    Raises:
        InputError: ``source`` or ``p`` is none of these; in a solve, the source does not evaluate, is no such function,
            or returns an array of another size than ``u``.

    Examples:
        >>> import torch
        >>> from pyode_bridge import JuliaDynamics
        >>> decay = JuliaDynamics("(u, p, t) -> -p.rate * u", {"rate": torch.nn.Parameter(torch.tensor(0.5))})
        >>> [name for name, _ in decay.named_parameters()]
        ['p.rate']

    Source: https://docs.sciml.ai/DiffEqDocs/stable/types/ode_types/ (the forms of ``f``).
    """

    def detached(self) -> JuliaDynamics:
        """The same function of tensors that have the same memory and need no gradient."""
        values = self.values()
        if isinstance(values, dict):
            return JuliaDynamics(self.source, {name: tensor.detach() for name, tensor in values.items()})
        return JuliaDynamics(self.source, None if values is None else values.detach())

    def forward(self, t: Tensor, y: State) -> State:
        """The derivative of ``y`` at scalar ``t``, by a call of Julia from here: for use outside of a solve."""
        structure = Structure.of(y, "y")
        if structure.is_complex:
            raise UnsupportedError("JuliaDynamics take real states, and y is complex; give its two parts as a tuple.")
        time = torch.as_tensor(t, dtype=torch.float64).detach()
        flat = _Called.apply(  # type: ignore[no-untyped-call]
            self, structure, time, structure.pack(y), *self.tensors()
        )
        return structure.unpack(flat)


class _Called(torch.autograd.Function):
    """One call, and its vector-Jacobian product, in the Julia that solves use where they are told nothing else."""

    @staticmethod
    def forward(ctx: Any, func: JuliaDynamics, structure: Structure, t: Tensor, y: Tensor, *p: Tensor) -> Tensor:
        ctx.wanted = ctx.needs_input_grad[4:]
        alone = func.detached()
        wanted = [tensor for tensor, needed in zip(alone.tensors(), ctx.wanted, strict=True) if needed]
        ctx.dynamics = Dynamics(alone, structure, Wanted(wanted))
        ctx.t, ctx.y = t.item(), y.detach().contiguous()
        return _call("rhs", ctx.dynamics, torch.empty_like(ctx.y), [ctx.y], ctx.t)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        dynamics, point = ctx.dynamics, [grad.contiguous(), ctx.y]
        dy = _call("vjp", dynamics, torch.empty_like(ctx.y), point, ctx.t)
        dp = ctx.y.new_empty(dynamics.parameter_size)
        if len(dp):
            _call("vjp_p", dynamics, dp, point, ctx.t)
        parts = iter(dynamics.split_parameters(dp))
        return None, None, None, dy, *(next(parts) if needed else None for needed in ctx.wanted)


def _call(name: str, dynamics: Dynamics, out: Tensor, vectors: list[Tensor], t: float) -> Tensor:
    select_engine("julia").call(name, dynamics, out, vectors, t)
    return out
