"""Continuous normalizing flows: a density carried along the solution of an ODE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.equations.odeint import solve
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import InputError
from pyode_bridge.models.last_solve import LastSolve
from pyode_bridge.models.linearization import FlowDynamics, Linearization
from pyode_bridge.models.regularisers import Regulariser
from pyode_bridge.models.traces import ExactTrace, Trace
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, with_settings
from pyode_bridge.problem.state import Times


class Transport(NamedTuple):
    """Samples carried through a flow.

    Attributes:
        value: where they arrive, shape ``(*batch, D)``.
        log_det: ``log |det ∂value/∂start|``, shape ``(*batch,)``: the log density falls by this much.
        energies: the integral of each regulariser along the paths, shape ``(*batch,)`` each.
    """

    value: Tensor
    log_det: Tensor
    energies: tuple[Tensor, ...]


class CNF(LastSolve):
    """A continuous normalizing flow: an invertible map whose log determinant is the integral of a trace.

    The state of its ODE is ``(z, log p, energies...)`` with ``dz/dt = f(t, z)`` and
    ``d log p/dt = -tr(∂f/∂z)``, the instantaneous change of variables (Chen et al. 2018, eq. 8).

    Args:
        dynamics: ``f(t, z)`` for scalar ``t`` and ``z`` of shape ``(*batch, D)``, acting on each row alone: `GatedSum`,
            `ConcatSquash` or a module of your own. It must be made of operations that ``torch.func`` transforms.
        t: the flow's start and end time.
        trace: estimator of the trace; default `ExactTrace`. `HutchinsonTrace` is for many dimensions.
        regularisers: energies to accumulate, such as `KineticEnergy` and `JacobianFrobenius`.
        **settings: as for `pyode_bridge.odeint`: ``method``, ``rtol``, ``engine``, ...; see `SolverSettings`.

    Raises:
        InputError: ``t`` is not two times, or a setting is unknown or unusable.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import CNF, FlowDistribution, GatedSum
        >>> flow = CNF(GatedSum(dim=2, width=8), rtol=1e-5, atol=1e-5)
        >>> base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> log_prob = FlowDistribution(flow, base).log_prob(torch.zeros(5, 2))  # shape (5,)

    Source: Chen et al. 2018, section 4.
    """

    t: Tensor

    @with_settings
    def __init__(
        self,
        dynamics: FlowDynamics,
        *,
        t: Times = (0.0, 1.0),
        trace: Trace | None = None,
        regularisers: Sequence[Regulariser] = (),
        **settings: Unpack[SolverSettings],
    ) -> None:
        super().__init__()
        check_settings("CNF", SolverSettings, settings)
        self.dynamics = dynamics
        self.trace = ExactTrace() if trace is None else trace
        self.regularisers = tuple(regularisers)
        self.solver = settings
        self.register_buffer("t", torch.as_tensor(t))
        if self.t.shape != (2,):
            raise InputError(f"t has shape {tuple(self.t.shape)}; expected two times, the flow's start and end.")

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """From the base to the data: ``x`` of the shape of ``z`` and ``log |det ∂x/∂z|``, shape ``(*batch,)``."""
        return self.transport(z)[:2]

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From the data to the base: ``z`` of the shape of ``x`` and ``log |det ∂z/∂x|``, shape ``(*batch,)``."""
        return self.transport(x, reverse=True)[:2]

    def transport(self, z: Tensor, *, reverse: bool = False) -> Transport:
        """The map of `forward`, or of `inverse` if ``reverse``, with the energies of the regularisers."""
        solution = self.solve(z, self.t.flip(0) if reverse else self.t)
        value, log_p, *energies = (part[-1] for part in solution.y)
        sign = -1.0 if reverse else 1.0  # an energy is an integral over increasing time, whichever way we go
        return Transport(value, -log_p, tuple(sign * energy for energy in energies))

    def solve(self, z: Tensor, t: Times | None = None) -> Solution:
        """The flow over time, from ``z`` of shape ``(*batch, D)`` at ``t[0]``.

        Args:
            z: where to start.
            t: times, shape ``(T,)``, increasing or decreasing; default: the flow's start and end.

        Returns:
            A `pyode_bridge.Solution` whose ``y`` is ``(z, log p, energies...)`` of shapes ``(T, *batch, D)`` and
            ``(T, *batch)``; ``log p`` is the change since ``t[0]``, where it is 0.

        Raises:
            InputError: ``z`` has no coordinates; what `pyode_bridge.odeint` raises.
        """
        if z.ndim < 1 or not z.is_floating_point():
            raise InputError(f"z has shape {tuple(z.shape)} and dtype {z.dtype}; expected (*batch, D), floating-point.")
        flow = _Flow(self.dynamics, self.trace, self.regularisers, self.trace.draw(z))
        zeros = [torch.zeros_like(z[..., 0]) for _ in range(1 + len(self.regularisers))]
        self._forget()
        return self._noted(solve(flow, (z, *zeros), self.t if t is None else t, **self.solver))

    def extra_repr(self) -> str:
        """The trace, the regularisers and the solver's settings."""
        names = [type(part).__name__ for part in (self.trace, *self.regularisers)]
        return ", ".join([*names, *(f"{key}={value!r}" for key, value in self.solver.items())])


class _Flow(torch.nn.Module):
    """The right-hand side of one solve, with that solve's noise."""

    def __init__(
        self, dynamics: FlowDynamics, trace: Trace, regularisers: tuple[Regulariser, ...], probe: Tensor | None
    ) -> None:
        super().__init__()
        self.dynamics = dynamics
        self.trace = trace
        self.regularisers = regularisers
        self.probe = probe

    def forward(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        at = Linearization(self.dynamics, t, state[0], self.probe)
        value, divergence = self.trace(at)
        return value, -divergence, *(regulariser(at, value) for regulariser in self.regularisers)
