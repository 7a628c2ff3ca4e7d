"""The adjoint as differential equations that torch differentiates again, for second derivatives of a solve.

First derivatives are the engine's business, by the sensitivity algorithm that was asked for. Their own derivatives
come from the paper's augmented system, whose right-hand side is written here with autograd and solved by the same
engine, so that its adjoint is once more the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Noise, Steady
from pyode_bridge.problem.problem import Problem, Sensitivity
from pyode_bridge.problem.state import Structure, flat_gradients
from pyode_bridge.problem.wanted import Wanted


class Augmented:
    """``d[y, a, g]/dt = [f, -aᵀ ∂f/∂y, -aᵀ ∂f/∂θ]`` (Chen et al. 2018, eqs. 4 and 5), differentiable.

    ``y`` is flat; ``g`` is left out where there are no parameters.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self._dynamics = dynamics

    def __call__(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The derivative at ``t``, under the caller's grad mode."""
        y, a = state[0], state[1]
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            y = y if differentiable and y.requires_grad else y.detach().requires_grad_()
            value = self._dynamics.differentiable(t, y)
            products = self._products(value, y, a, differentiable)
        return value if differentiable else value.detach(), *products

    def _products(self, value: Tensor, y: Tensor, a: Tensor, differentiable: bool) -> list[Tensor]:
        inputs = (y, *self._dynamics.parameters)
        if not value.requires_grad:
            grads: Sequence[Tensor | None] = [None] * len(inputs)
        else:
            grads = torch.autograd.grad(
                value, inputs, a, allow_unused=True, retain_graph=True, create_graph=differentiable
            )
        flat = [-part for part in flat_gradients(grads, inputs, y)]
        return [flat[0], torch.cat(flat[1:])] if len(flat) > 1 else flat


def segment(problem: Problem, start: tuple[Tensor, ...], times: Tensor) -> tuple[Problem, Structure]:
    """The augmented system from its values at ``times[0]`` to ``times[1]``, which is earlier, as a problem.

    Raises:
        UnsupportedError: the equation has a mass matrix or noise, or is a steady state's: this is not its adjoint.
    """
    if isinstance(problem.form, Steady):
        raise UnsupportedError("Second derivatives of a steady state are not available; first ones are.")
    if problem.mass_matrix is not None or isinstance(problem.form, Noise):
        what = "noise" if isinstance(problem.form, Noise) else "a mass matrix"
        raise UnsupportedError(f"Second derivatives of a solve are not available where there is {what}.")
    wanted, structure = sensitivity(problem), Structure.of(start)
    sign = -problem.dynamics.sign
    made = Problem(
        lane="callback",
        dynamics=Dynamics(
            Augmented(problem.dynamics),
            structure,
            Wanted(problem.dynamics.parameters),
            sign,
            "the adjoint of func(t, y)",
        ),
        y0=structure.pack(start).detach(),
        t=(sign * times.detach()).to("cpu", torch.float64),
        method=wanted.method,
        tolerances=wanted.tolerances,
        options=wanted.options,
        sensitivity=wanted,
    )
    return made, structure


def sensitivity(problem: Problem) -> Sensitivity:
    """How gradients are computed, of a problem that wants some."""
    assert problem.sensitivity is not None
    return problem.sensitivity


def time_gradients(grad_ys: Tensor, grad_y0: Tensor, velocities: Tensor) -> Tensor:
    """``dL/dt_i = <dL/dy_i, dy/dt(t_i)>``; for the first time, minus that of what flows through the solve."""
    flows = torch.cat([(grad_ys[0] - grad_y0)[None], grad_ys[1:]])
    return (flows * velocities).sum(-1)


def velocities(problem: Problem, ys: Tensor, t: Tensor) -> Tensor:
    """``dy/dt`` at the times, shape ``(T, n)``; differentiable under the caller's grad mode.

    Raises:
        UnsupportedError: the mass matrix is singular.
    """
    slopes = torch.stack([problem.dynamics.differentiable(time, y) for time, y in zip(t, ys, strict=True)])
    if problem.mass_matrix is None:
        return slopes
    solved: Tensor
    solved, singular = torch.linalg.solve_ex(problem.mass_matrix, slopes.mT)
    if singular:
        raise UnsupportedError(
            "Gradients with respect to t are not available where the mass matrix is singular; call it with a t that "
            "requires none, such as t.detach()."
        )
    return solved.mT
