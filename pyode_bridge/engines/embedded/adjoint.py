"""The adjoint of the paper (see ``problem.backsolve``) in this engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.initial_value import flat_norm
from pyode_bridge.engines.embedded.integrator import NOBODY, InitialValueProblem, Integration
from pyode_bridge.problem.backsolve import augmented, swept_back
from pyode_bridge.problem.grids import Grids
from pyode_bridge.problem.norms import AdjointState, number
from pyode_bridge.problem.options import SEMINORM
from pyode_bridge.problem.problem import AS_ASKED, AdjointStats, Gradients, Problem, Sensitivity
from pyode_bridge.problem.retcodes import raise_for_retcode
from pyode_bridge.problem.state import real_size
from pyode_bridge.problem.step_callbacks import Listener, StepCallbacks

Solve = Callable[[InitialValueProblem], Integration]


class PaperAdjoint:
    """Pullback of a solve, by solvers from PyPI and without a graph: it is differentiated no further."""

    sensealg = "BacksolveAdjoint(checkpointing=true)"

    def __init__(self, problem: Problem, sensitivity: Sensitivity, ys: Tensor, solve: Solve, *, fixed: bool) -> None:
        self._problem = problem
        self._sensitivity = replace(sensitivity, sensealg=self.sensealg)
        self._ys = ys
        self._solve = solve
        self._fixed = fixed
        self.reason = "the embedded engine's default" if sensitivity.sensealg is None else AS_ASKED
        self.stats: AdjointStats | None = None

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        dynamics = self._problem.dynamics
        times = [dynamics.direction.user_time(s) for s in self._problem.t.tolist()]
        before = dynamics.nvjp
        gradients = swept_back(
            self._ys, grad_ys, times, dynamics.parameter_size, self._solved_to, self._sensitivity, self.sensealg
        )
        evaluations = dynamics.nvjp - before  # each gives the value and the products
        self.stats = AdjointStats(evaluations, evaluations)
        return gradients

    def _solved_to(self, i: int, z: Tensor) -> Tensor:
        """The augmented state at the time of index ``i`` from that at the next one; raises SolverError."""
        sensitivity = self._sensitivity
        integration = self._solve(self._segment(i, z))
        s = -integration.t_reached
        raise_for_retcode(integration.retcode, s, self._problem, str(sensitivity.method), sensitivity)
        assert integration.ys is not None  # a retcode of success carries the values
        return integration.ys[-1]

    def _segment(self, i: int, z: Tensor) -> InitialValueProblem:
        """The augmented problem over ``r = -s``, which increases as time runs back."""
        dynamics, sensitivity = self._problem.dynamics, self._sensitivity
        n, direction = dynamics.size, dynamics.direction

        def back(r: float, z: Tensor) -> Tensor:
            return -augmented(z, n, lambda y, v: dynamics.value_and_vjp(-r, y, v))

        def newton(r: float, z: Tensor) -> Tensor:
            jacobian = dynamics.jacobian(-r, z[:n])
            blocks: Tensor = torch.block_diag(-jacobian, jacobian.mT)  # type: ignore[no-untyped-call]
            return blocks

        return InitialValueProblem(
            f=back,
            jacobian=None,
            newton=newton,
            y0=z,
            t=-self._problem.t[[i + 1, i]],
            tolerances=sensitivity.tolerances,
            options=sensitivity.options,
            norm=self._norm(),
            grid=-self._grid(i) if self._fixed else None,
            stops=tuple(map(direction.reversed.solver_time, sensitivity.options.tstops)),
            jumps=tuple(map(direction.reversed.solver_time, sensitivity.options.d_discontinuities)),
            listeners=self._listeners(),
        )

    def _grid(self, i: int) -> Tensor:
        """Times of fixed steps, decreasing."""
        if self._problem.backward_grid is not None:
            return self._problem.backward_grid(i)
        direction, sensitivity = self._problem.dynamics.direction, self._sensitivity
        times = direction.user_time(self._problem.t[[i + 1, i]])
        return Grids(str(sensitivity.method), sensitivity.options, None, None, direction).between(times)

    def _norm(self) -> Callable[[Tensor], Tensor]:
        dynamics, norm = self._problem.dynamics, self._sensitivity.options.norm
        sizes = 2 * dynamics.structure.sizes
        if norm != SEMINORM:
            sizes += [real_size(parameter) for parameter in dynamics.parameters]
        if not callable(norm):
            return flat_norm(norm, None, sizes)
        whole = AdjointState(dynamics.structure, dynamics.parameters)

        def of_parts(z: Tensor) -> float:
            a, y, g = self._parts(z)
            return number(norm(whole.unpack(a, y, g)))

        return flat_norm(norm, of_parts, sizes)

    def _parts(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Adjoint, state and the parameters' adjoint of the augmented state."""
        n = self._problem.dynamics.size
        return z[n : 2 * n], z[:n], z[2 * n :]

    def _listeners(self) -> StepCallbacks:
        told = self._problem.backward_callbacks
        if told is None:
            return NOBODY

        def turned(listener: Listener | None) -> Listener | None:
            return None if listener is None else lambda r, z, h: listener(-r, self._parts(z), h)

        return StepCallbacks(turned(told.step), turned(told.accept), turned(told.reject))
