"""A residual equation's functions over flat vectors: the residual, its Jacobians, and its products."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from typing_extensions import override

from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.points import PointDynamics
from pyode_bridge.equations.products import parameter_product
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Part, Residual
from pyode_bridge.problem.jacobians import columns, direction, pulled_back
from pyode_bridge.problem.residual_states import ResidualFunction, ResidualStates, flat_residual


def with_residual(prepared: Prepared, residual: ResidualFunction, slope: Tensor, differential: Tensor) -> Prepared:
    """The equation, from ``residual`` and what it was found to use, with products where a gradient is wanted.

    Args:
        prepared: of the residual at the start, with the derivative there.
        residual: ``F``.
        slope: that derivative, or a guess, flat, by the user's time.
        differential: which components have a derivative in ``F``, shape ``(n,)``.
    """
    problem, wants = prepared.problem, prepared.problem.sensitivity is not None
    own, y0 = problem.dynamics, problem.y0
    dy0 = own.direction.turned(slope)
    wanted, times = own.wanted.widened(), []
    if wants and prepared.t.requires_grad:
        times = [own.direction.solver_time(prepared.t)]
    known = replace(wanted, parameters=[*wanted.parameters, *times])
    inside = [tensor.detach().requires_grad_() for tensor in times]
    dynamics = _Residual(residual, [*wanted.parameters, *inside], known, own, "residual(t, y, dy)")
    form = Residual(
        *_parts(residual, dynamics, dy0, y0),
        dy0,
        differential.tolist(),
        ResidualStates(residual, own.structure, differential),
        (residual, *inside),
        *_products(dynamics, torch.cat([dy0, y0]), len(y0), wants=wants),
        wants_times=bool(times),
    )
    return replace(prepared, problem=replace(problem, dynamics=dynamics, form=form), t=prepared.t.detach())


class _Residual(PointDynamics):
    """The residual over points: the derivative by a solver's time and the state, one after another."""

    @override
    def evaluate(self, s: float, y: Tensor, t: Tensor | None = None) -> Tensor:
        return self.direction.turned(super().evaluate(s, y, t))  # it is no derivative, which would be turned

    @override
    def _called(self, time: Tensor, y: Tensor) -> Tensor:
        slope, state = y.chunk(2)
        velocity = self.direction.turned(slope)
        return self._value(time, self.structure.unpack_copy(state), self.structure.unpack_copy(velocity))


def _parts(residual: ResidualFunction, dynamics: Dynamics, dy0: Tensor, y0: Tensor) -> tuple[Part, Part]:
    """The residual, of the derivative by a solver's time and the state, and its Jacobians with respect to both."""

    def value(s: float, t: Tensor, slope: Tensor, y: Tensor) -> Tensor:
        velocity = dynamics.direction.turned(slope)
        return flat_residual(residual, dynamics.structure, t, y, velocity)

    def called(s: float, t: Tensor, slope: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            both = jacobian(lambda *point: value(s, t.clone(), *point), (slope.clone(), y.clone()))  # type: ignore[no-untyped-call]
        to_slope, to_state = both
        return torch.stack([to_state.mT, to_slope.mT]).reshape(-1)

    def traced(s: float, t: Tensor, slope: Tensor, y: Tensor) -> Tensor:
        to_state = columns(lambda y: value(s, t.clone(), slope, y), y)
        return torch.stack([to_state, columns(lambda slope: value(s, t.clone(), slope, y), slope)])

    n, at = len(y0), (dy0, y0)
    return Part(value, at, n), Part(called, at, 2 * n**2, traced, optional=True)


def _products(dynamics: Dynamics, point: Tensor, size: int, *, wants: bool) -> tuple[Part | None, Part | None]:
    """Those of a vector with the derivatives of the residual by the parameters and by a solver's time, if wanted."""

    def to_time(s: float, t: Tensor, v: Tensor, point: Tensor) -> Tensor:
        (by_t,) = pulled_back(lambda t: dynamics.at(t, point), t, v, ())
        return dynamics.direction.turned(by_t).reshape(1).to(v.dtype)

    if not wants:
        return None, None
    return parameter_product(dynamics, point, size), Part(to_time, (direction(size, point), point), 1)
