"""Robertson's reaction, and two ways to the gradient of a fit: an adjoint, and sensitivities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import pyode_bridge as pb

# Robertson (1966): A -> B, B + B -> C + B, B + C -> A + C. A row a species, a column a reaction.
CHANGE = torch.tensor([[-1.0, 0.0, 1.0], [1.0, -1.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
RATES = torch.tensor([0.04, 3e7, 1e4], dtype=torch.float64)  # 1/s, and 1/s for concentrations relative to the first
START = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
# The intermediate B stays below 4e-5, so its absolute tolerance is below the others'.
SMALL = torch.tensor([1.0, 1e-4, 1.0], dtype=torch.float64)


class Robertson(nn.Module):
    """The reaction with unknown rate constants, which span nine decades, so their logarithms are the parameters."""

    def __init__(self, rates: Tensor) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(rates.log())

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        a, b, c = y
        return CHANGE @ (self.log_rates.exp() * torch.stack([a, b * b, b * c]))

    def with_sensitivities(self, _t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state's rate, and that of ``S = ∂y/∂log k``, shape ``(3, 3)``: ``dS/dt = (∂f/∂y) S + ∂f/∂log k``."""
        (a, b, c), s = state
        k1, k2, k3 = self.log_rates.exp()
        rates = torch.stack([k1 * a, k2 * b * b, k3 * b * c])
        by_state = torch.stack([k1 * s[0], 2 * k2 * b * s[1], k3 * (c * s[1] + b * s[2])])
        return CHANGE @ rates, CHANGE @ (by_state + rates.diag())


def tolerances(rtol: float) -> dict[str, Any]:
    """Of a solve for the state alone, and of its adjoint, whose values shrink with the misses of the fit."""
    return {"rtol": rtol, "atol": 1e-4 * rtol * SMALL, "adjoint_rtol": 10 * rtol, "adjoint_atol": 1e-3 * rtol}


def solved_with_adjoint(model: Robertson, t: Tensor, rtol: float, solver: dict[str, Any]) -> tuple[Tensor, pb.Solution]:
    """Concentrations at ``t``, shape ``(T, 3)``, whose ``backward`` runs an adjoint solve."""
    solution = pb.solve(model, START, t, **solver, **tolerances(rtol))
    return solution.y, solution


def solved_with_sensitivities(
    model: Robertson, t: Tensor, rtol: float, solver: dict[str, Any]
) -> tuple[Tensor, pb.Solution]:
    """Concentrations at ``t``, shape ``(T, 3)``, whose ``backward`` multiplies by sensitivities solved along."""
    y, s, solution = sensitivities(model, t, rtol, solver)
    return y + s @ (model.log_rates - model.log_rates.detach()), solution  # the term is zero, its derivative is s


def sensitivities(
    model: Robertson, t: Tensor, rtol: float, solver: dict[str, Any]
) -> tuple[Tensor, Tensor, pb.Solution]:
    """Concentrations ``(T, 3)`` and ``∂y/∂log k`` ``(T, 3, 3)``, without autograd."""
    atol = 1e-4 * rtol * SMALL
    kept = {key: value for key, value in solver.items() if key != "sensealg"}
    with torch.no_grad():
        solution = pb.solve(
            model.with_sensitivities,
            (START, torch.zeros(3, 3, dtype=START.dtype)),
            t,
            **kept,
            rtol=rtol,
            atol=(atol, atol[:, None].expand(3, 3)),
        )
    y, s = solution.y
    return y, s, solution


def standard_errors(model: Robertson, t: Tensor, scale: Tensor, noise: float, rtol: float, solver: Any) -> Tensor:
    """Of the logarithms of the constants, shape ``(3,)``: from the Fisher information of the measurements at ``t[1:]``.

    Each species is measured with a standard deviation of ``noise`` times its ``scale``.
    """
    _, s, _ = sensitivities(model, t, rtol, solver)
    weighted = (s[1:] / (noise * scale[:, None])).reshape(-1, 3)
    return (weighted.T @ weighted).inverse().diag().sqrt()
