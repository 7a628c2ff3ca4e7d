"""Dynamics written in Julia, as a torch module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyode_bridge.engines import select_engine
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted

_EXPECTED = "expected a tensor of float32 or float64, a dict of such tensors by name, or None"


class JuliaDynamics(torch.nn.Module):
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

    def __init__(self, source: str, p: Tensor | Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        if not isinstance(source, str) or not source.strip():
            raise InputError(
                f"source is {source!r}; expected Julia code whose last value is a function, such as "
                "'(u, p, t) -> -p .* u'."
            )
        self.source = source
        self._names: tuple[str, ...] | None = None
        if p is None:
            self.register_buffer("p", None)
        elif isinstance(p, Tensor):
            _register(self, "p", p, "p")
        else:
            self._names = _names(p)
            self.p = torch.nn.Module()
            for name, tensor in p.items():
                _register(self.p, name, tensor, f"p[{name!r}]")

    def values(self) -> Tensor | dict[str, Tensor] | None:
        """``p`` as it was given, with the tensors that the module has now."""
        if self._names is None:
            return self.p  # type: ignore[return-value]
        return {name: getattr(self.p, name) for name in self._names}

    def tensors(self) -> list[Tensor]:
        """Those of ``p``."""
        values = self.values()
        if values is None:
            return []
        return [values] if isinstance(values, Tensor) else list(values.values())

    def detached(self) -> JuliaDynamics:
        """The same function of tensors that have the same memory and need no gradient."""
        values = self.values()
        if isinstance(values, dict):
            return JuliaDynamics(self.source, {name: tensor.detach() for name, tensor in values.items()})
        return JuliaDynamics(self.source, None if values is None else values.detach())

    def forward(self, t: Tensor, y: Any) -> Any:
        """The derivative of ``y`` at scalar ``t``, by a call of Julia from here: for use outside of a solve."""
        structure = Structure.of(y, "y")
        if structure.is_complex:
            raise UnsupportedError("JuliaDynamics take real states, and y is complex; give its two parts as a tuple.")
        time = torch.as_tensor(t, dtype=torch.float64).detach()
        flat = _Called.apply(  # type: ignore[no-untyped-call]
            self, structure, time, structure.pack(y), *self.tensors()
        )
        return structure.unpack(flat)

    def extra_repr(self) -> str:
        """The source, in what is printed of the module."""
        return repr(self.source)


def is_written(func: Any) -> TypeGuard[JuliaDynamics]:
    """Whether ``func`` is Julia's function of given tensors and nothing else.

    What a subclass or hooks make of it is Python's.
    """
    return type(func) is JuliaDynamics and not func._forward_hooks and not func._forward_pre_hooks


def _names(p: Any) -> tuple[str, ...]:
    if not isinstance(p, Mapping):
        raise InputError(f"p is a {type(p).__name__}; {_EXPECTED}.")
    for name in p:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"p has the key {name!r}; expected names that Julia and Python know, such as 'k1'.")
    return tuple(p)


def _register(module: torch.nn.Module, name: str, tensor: Any, where: str) -> None:
    """As a parameter or buffer."""
    if not isinstance(tensor, Tensor) or tensor.dtype not in (torch.float32, torch.float64):
        kind = f"a tensor of {tensor.dtype}" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise InputError(f"{where} is {kind}; {_EXPECTED}.")
    if not tensor.is_contiguous():
        raise InputError(f"{where} has strides {tensor.stride()}; expected a contiguous tensor; see .contiguous().")
    try:
        if isinstance(tensor, torch.nn.Parameter):
            module.register_parameter(name, tensor)
        else:
            module.register_buffer(name, tensor)
    except KeyError:
        raise InputError(f"{where}: torch's modules have an attribute {name!r} already; choose another name.") from None


class _Called(torch.autograd.Function):
    """One call, and its vector-Jacobian product, in the Julia that solves use where they are told nothing else."""

    @staticmethod
    def forward(ctx: Any, func: JuliaDynamics, structure: Structure, t: Tensor, y: Tensor, *p: Tensor) -> Tensor:
        ctx.wanted = ctx.needs_input_grad[4:]
        alone = func.detached()
        wanted = [tensor for tensor, needed in zip(alone.tensors(), ctx.wanted, strict=True) if needed]
        ctx.dynamics = Dynamics(alone, structure, Wanted(wanted), 1.0)
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
    engine: Any = select_engine("julia")
    engine.call(name, dynamics, out, vectors, t)
    return out
