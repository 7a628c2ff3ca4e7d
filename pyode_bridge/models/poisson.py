"""The inhomogeneous Poisson process of observation times, its integral solved along with the latent state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from pyode_bridge.equations.odeint import solve
from pyode_bridge.equations.solution import Solution
from pyode_bridge.models.linearization import FlowDynamics
from pyode_bridge.models.union import gather_times, union_of_times
from pyode_bridge.problem.settings import SolverSettings, with_settings


@dataclass(frozen=True, eq=False)
class Arrivals:
    """What one solve yields: ``log_prob`` ``(B,)`` of the times, ``z`` ``(B, N, L)`` at them, and the solution."""

    log_prob: Tensor
    z: Tensor
    solution: Solution


class PoissonProcess(nn.Module):
    """``log p(t_1 ... t_N) = sum_i log λ(z(t_i)) - ∫ λ(z(t)) dt`` (Chen et al. 2018, section 5.1).

    The integral is one more state of the solve that carries ``z``.

    Args:
        log_rate: maps latent states ``(..., L)`` to the log-rate ``(..., 1)``, in events per unit of time.

    Examples:
        >>> import torch
        >>> process = PoissonProcess(torch.nn.Linear(4, 1))
        >>> times, seen = torch.rand(3, 5).sort().values, torch.ones(3, 5, dtype=torch.bool)
        >>> z0 = torch.randn(3, 4)
        >>> process(lambda t, z: -z, z0, times, seen, start=0.0, end=1.0, engine="embedded").log_prob.shape
        torch.Size([3])
    """

    def __init__(self, log_rate: nn.Module) -> None:
        super().__init__()
        self.log_rate = log_rate

    @with_settings
    def forward(
        self,
        dynamics: FlowDynamics,
        z0: Tensor,
        t: Tensor,
        observed: Tensor,
        *,
        start: float,
        end: float,
        **settings: Unpack[SolverSettings],
    ) -> Arrivals:
        """Log-likelihood of the event times ``t`` between ``start`` and ``end``.

        Args:
            dynamics: ``dz/dt`` as a function of ``t`` and ``z``.
            z0: latent states at ``start``, shape ``(B, L)``.
            t: event times, shape ``(B, N)``.
            observed: bool, shape ``(B, N)``; False marks padding.
            start, end: the window over which events were watched for.
            **settings: as for `pyode_bridge.odeint`; see `SolverSettings`.

        Returns:
            The log-likelihood of each series, the latent states at ``t``, and the solution.

        Raises:
            InputError: a time lies outside the window.
        """
        grid, position = union_of_times(t, start, end)

        def augmented(s: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return dynamics(s, state[0]), self.log_rate(state[0]).exp()

        solution = solve(augmented, (z0, torch.zeros_like(z0[:, :1])), grid, **settings)
        z, integral = solution.y
        at_events = gather_times(z, position)
        log_rates = self.log_rate(at_events)[..., 0]
        events = torch.where(observed, log_rates, torch.zeros_like(log_rates)).sum(dim=1)
        return Arrivals(events - integral[-1, :, 0], at_events, solution)
