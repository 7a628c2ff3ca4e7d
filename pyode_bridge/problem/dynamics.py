"""The dynamics as an engine sees them: a function of a flat state, with derivatives taken by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.graph import depends_on_all, lost_leaves
from pyode_bridge.problem.sparsity import Sparsity
from pyode_bridge.problem.state import State, Structure, as_complex, flat_gradients, real_size
from pyode_bridge.problem.wanted import UnmetError, Wanted

Dynamic = Callable[[Tensor, Any], State]  # a user's function, whose state is of the type that the user gives it

# Above this many rows one batched backward pass beats a loop over rows.
BATCHED_JACOBIAN_ROWS = 16


class Dynamics:
    """``dy/ds = sign * func(sign * s, y)`` over a flat state, where ``s = sign * t`` always increases.

    Engines see increasing time only; for decreasing ``t`` the sign is -1 (the usual change of variable).

    Attributes:
        nfe, nvjp, njac: evaluations so far of the dynamics, of vector-Jacobian products and of Jacobians.
        on_time: told each time ``s`` at which the dynamics are evaluated; None for nobody.
        func: the user's function.
        start: the right-hand side at the solve's start, shape ``(n,)``, detached; None where nobody looked.
        wanted: the tensors of which gradients are wanted.
        parameters: those with respect to which there are products.
        familiar: what the compiled lane knows of ``func`` from solves before; None where it has to be looked at.
    """

    def __init__(
        self,
        func: Dynamic,
        structure: Structure,
        wanted: Wanted,
        sign: float,
        name: str = "func(t, y)",  # in messages
        start: Tensor | None = None,
        familiar: object | None = None,
    ) -> None:
        self.func = func
        self._name = name
        self.start = start
        self.familiar = familiar
        self.structure = structure
        self.wanted = wanted
        self.parameters = tuple(wanted.parameters)
        self.sign = sign
        self.nfe = 0
        self.nvjp = 0
        self.njac = 0
        self.on_time: Callable[[float], None] | None = None

    @property
    def size(self) -> int:
        """Number of state components."""
        return self.structure.size

    @property
    def parameter_size(self) -> int:
        """Number of real scalar parameters."""
        return sum(map(real_size, self.parameters))

    def __call__(self, s: float, y: Tensor) -> Tensor:
        """The right-hand side at time ``s`` and flat state ``y``, without autograd."""
        self.nfe += 1
        with torch.no_grad():
            return self._evaluate(s, y).detach()  # it has a graph where func switches autograd on

    def trial(self, s: float, y: Tensor) -> Tensor:
        """One evaluation under the caller's grad mode, before any solver runs; ``y`` itself needs no gradient."""
        return self._evaluate(s, y)

    def tried(self, s: float, y: Tensor) -> Tensor:
        """The `trial` at the start of a solve; raises InputError where it is not finite."""
        value = self.trial(s, y)
        checks.finite(value, f"func(t, y) at t = {self.sign * s:.6g}, y = y0,")
        return value

    def check_start(self, s: float, y: Tensor) -> None:
        """Raise InputError where familiar dynamics, at whose start nobody looked, are not finite there."""
        if self.familiar is not None and self.start is None:
            self.tried(s, y)

    def check_still_uses_leaves(self, s: float, y: Tensor) -> None:
        """Raise UnsupportedError where ``func`` no longer uses a tensor of which the solve's gradient is wanted."""
        own = self.func.parameters() if isinstance(self.func, torch.nn.Module) else ()
        used = self.wanted.used or ()
        if {id(tensor) for tensor in used} <= {id(parameter) for parameter in own}:
            return
        with torch.enable_grad():
            value = self.trial(s, y)
        if not depends_on_all(value, used):
            raise UnsupportedError(
                "func uses other tensors now, in the backward pass, than it did in the solve: its module was under "
                "torch.func.functional_call, and is no longer. Call functional_call within func, or differentiate by "
                "torch.func.grad."
            )

    def recorded(self, s: float, y: Tensor) -> Tensor:
        """The right-hand side as `__call__` gives it, under the caller's grad mode."""
        self.nfe += 1
        return self._followed(s, y)

    def differentiable(self, t: Tensor, y: Tensor) -> Tensor:
        """``func`` at the user's time, a scalar tensor, and flat state ``y``, under the caller's grad mode."""
        self.nfe += 1
        structure = self.structure
        value = self.func(t.to(structure.device, structure.dtype, copy=True), structure.unpack_copy(y))
        return structure.pack_returned(value, self._name, t.item())

    def vjp(self, s: float, y: Tensor, v: Tensor, *, state: bool, parameters: bool) -> tuple[Tensor, Tensor]:
        """``(vᵀ ∂f/∂y, vᵀ ∂f/∂θ)`` by one backward pass; a part not asked for comes back empty."""
        return self._value_and_vjp(s, y, v, state=state, parameters=parameters)[1:]

    def value_and_vjp(self, s: float, y: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(f, vᵀ ∂f/∂y, vᵀ ∂f/∂θ)`` by one evaluation and one backward pass through it."""
        self.nfe += 1
        return self._value_and_vjp(s, y, v, state=True, parameters=True)

    def _value_and_vjp(
        self, s: float, y: Tensor, v: Tensor, *, state: bool, parameters: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        self.nvjp += 1
        wanted = self.parameters if parameters else ()
        with torch.enable_grad():
            y = y.detach().requires_grad_(state)
            value = self._followed(s, y)
            inputs = ((y,) if state else ()) + wanted
            if not value.requires_grad:
                grads: Sequence[Tensor | None] = [None] * len(inputs)
            elif inputs:
                grads = self.pulled_back(value, inputs, v)
            else:
                grads = ()
        filled = flat_gradients(grads, inputs, y)
        empty = y.new_empty(0)
        state_part = filled[0] if state else empty
        parameter_part = torch.cat(filled[int(state) :]) if wanted else empty
        return value.detach(), state_part, parameter_part

    def pulled_back(self, value: Tensor, inputs: tuple[Tensor, ...], v: Tensor) -> Sequence[Tensor | None]:
        """The gradients of what was evaluated; raises UnmetError where it depends on more than was met at the start."""
        unmet = self.wanted.unmet
        # The graph is kept: it may reach into one that belongs to the caller (that of a captured tensor).
        grads = torch.autograd.grad(value, (*inputs, *unmet), v, allow_unused=True, retain_graph=True)
        for tensor, grad in zip(unmet, grads[len(inputs) :], strict=True):
            if grad is not None:
                raise UnmetError(self._lost(tensor))
        return grads[: len(inputs)]

    def widened(self) -> Dynamics:
        """The same, for which what was not met at the start is among the parameters."""
        wanted = self.wanted
        everything = replace(wanted, parameters=[*wanted.parameters, *wanted.unmet], unmet=())
        return Dynamics(self.func, self.structure, everything, self.sign, self._name, self.start)

    def jacobian(self, s: float, y: Tensor) -> Tensor:
        """``∂f/∂y``, shape ``(n, n)``, rows are components of the right-hand side."""
        return self._products(s, y, torch.eye(self.size, dtype=y.dtype, device=y.device))

    def sparse_jacobian(self, s: float, y: Tensor, sparsity: Sparsity) -> Tensor:
        """The entries of ``∂f/∂y`` on a pattern, shape ``(nnz,)``, column by column."""
        return sparsity.entries(self._products(s, y, sparsity.seeds(y)))

    def _products(self, s: float, y: Tensor, vs: Tensor) -> Tensor:
        """``vᵀ ∂f/∂y`` for each row ``v``; counts as one Jacobian."""
        self.njac += 1
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            value = self._evaluate(s, y)
        if not value.requires_grad:
            return torch.zeros_like(vs)
        if len(vs) > BATCHED_JACOBIAN_ROWS:
            try:
                return _row(value, y, vs, batched=True)
            except RuntimeError:
                pass  # an operation without a batching rule: row by row, and a real error shows itself there
        return torch.stack([_row(value, y, v, batched=False) for v in vs])

    def holds(self, predicate: Callable[[Tensor, Any], Any], s: float, y: Tensor) -> bool:
        """Whether a user's ``predicate(t, y)`` is true at time ``s`` and flat state ``y``."""
        with torch.no_grad():
            value = predicate(self.time(s), self.structure.unpack_copy(y))
        try:
            return bool(value)
        except (TypeError, ValueError, RuntimeError):  # the last is torch's for a tensor of several
            what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r}"
            raise InputError(
                f"isoutofdomain or unstable_check at t = {self.sign * s:.6g} returned {what}; expected True or False."
            ) from None

    def split_parameters(self, flat: Tensor) -> list[Tensor]:
        """Cut a flat vector over all parameters into pieces with the parameters' shapes and dtypes."""
        pieces = torch.split(flat, [real_size(parameter) for parameter in self.parameters])
        return [shaped_like(parameter, piece) for piece, parameter in zip(pieces, self.parameters, strict=True)]

    def _evaluate(self, s: float, y: Tensor) -> Tensor:
        self.visit(s)
        flat = self._flat(s, self.func(self.time(s), self.structure.unpack_copy(y)))
        return flat if self.sign > 0 else -flat

    def _followed(self, s: float, y: Tensor) -> Tensor:
        """An evaluation under autograd; raises UnsupportedError where the gradient of a tensor would be lost."""
        value = self._evaluate(s, y)
        if self.wanted.complete or not value.requires_grad:
            return value
        known = (*self.parameters, *self.wanted.unmet, y)
        for leaf in lost_leaves(value, known, lambda: self._evaluate(s, y)):
            raise UnsupportedError(self._lost(leaf))
        return value

    def _lost(self, tensor: Tensor) -> str:
        return (
            f"{self._name} comes to use a tensor of shape {tuple(tensor.shape)} whose gradient would be lost: it does "
            "not at the start, nor is the tensor seen among its attributes, its closure or global variables. Pass a "
            "module that has it as a parameter, or list every tensor whose gradient you want in adjoint_params."
        )

    def _flat(self, s: float, value: Any) -> Tensor:
        """What the user's function returned at time ``s``, checked, as a vector."""
        return self.structure.pack_returned(value, self._name, self.sign * s)

    def visit(self, s: float) -> None:
        """Tell whoever listens that the dynamics, or a part of them, are evaluated at time ``s``."""
        if self.on_time is not None:
            self.on_time(s)

    def time(self, s: float) -> Tensor:
        """The user's time at ``s``, a scalar tensor."""
        # torch.tensor takes twice as long.
        return torch.full((), self.sign * s, dtype=self.structure.dtype, device=self.structure.device)


def shaped_like(parameter: Tensor, flat: Tensor) -> Tensor:
    """A flat real vector as a tensor of the shape and dtype of ``parameter``."""
    if parameter.is_complex():
        flat = as_complex(flat)
    return flat.view(parameter.shape).to(parameter.dtype)


def _row(value: Tensor, y: Tensor, v: Tensor, *, batched: bool) -> Tensor:
    (grad,) = torch.autograd.grad(value, y, v, retain_graph=True, allow_unused=True, is_grads_batched=batched)
    return torch.zeros_like(v) if grad is None else grad
