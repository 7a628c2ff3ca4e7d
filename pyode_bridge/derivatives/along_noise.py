"""The gradient of a path's steps as torch's operations, which torch differentiates again.

Each step is taken once more, from its start and the increments that were drawn for it, so that autograd goes through
what the solver computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyode_bridge.derivatives.any_order import recorded
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.forms import Noise
from pyode_bridge.problem.noise_path import NoisePath, NoiseTableau, factors
from pyode_bridge.problem.problem import Gradients, Problem
from pyode_bridge.problem.state import flat_gradients


def gradients(problem: Problem, path: NoisePath, grad_ys: Tensor, ys: Tensor) -> Gradients:
    """Of the values at the problem's times, shape ``(T, n)``; with autograd.

    Raises:
        UnsupportedError: the steps do not come to these values.
    """
    dynamics, y0 = problem.dynamics, recorded(ys[0])
    inputs = (y0, *dynamics.parameters)
    values = replayed(problem, path, y0)
    _check(values, ys, problem)
    grads = dynamics.pulled_back(values, inputs, grad_ys, create_graph=True)
    of_y0, *of_parameters = flat_gradients(grads, inputs, y0)
    return Gradients(of_y0, torch.cat([y0.new_empty(0), *of_parameters]))


def replayed(problem: Problem, path: NoisePath, y0: Tensor) -> Tensor:
    """The values at the problem's times, at which steps end, shape ``(T, n)``; differentiable."""
    states, times = [y0], path.times.tolist()
    for start, end, increments in zip(times[:-1], times[1:], path.increments, strict=True):
        states.append(_step(problem, path.tableau, states[-1], start, end - start, increments))
    ends = torch.tensor(times, dtype=torch.float64)
    return torch.stack([states[(ends - time).abs().argmin()] for time in problem.t])


def _step(problem: Problem, tableau: NoiseTableau, y: Tensor, t: float, h: float, increments: Tensor) -> Tensor:
    """The state after a step from ``y`` at ``t``."""
    scales = (tableau.weights @ factors(h, *increments).mT).to(y)  # of each evaluation in each state, by process
    shares = (tableau.weights[..., 0] * h).to(y)
    evaluations: list[Tensor] = []

    def state(number: int) -> Tensor:
        found, weights = y, tableau.weights[number]
        for before, value in enumerate(evaluations):
            if weights[before].any():
                scale = (scales if tableau.is_diffusion[before] else shares)[number, before]
                found = found + (value * scale if value.ndim == 1 else value @ scale)
        return found

    for number, (is_diffusion, c) in enumerate(zip(tableau.is_diffusion, tableau.c, strict=True)):
        evaluations.append(_evaluated(problem, is_diffusion, t + c * h, state(number)))
    return state(len(evaluations))


def _evaluated(problem: Problem, is_diffusion: bool, s: float, y: Tensor) -> Tensor:
    """The drift; or the diffusion, of general noise a matrix with a column for each process."""
    dynamics, form = problem.dynamics, problem.form
    if not is_diffusion:
        return dynamics.recorded(s, y)
    assert isinstance(form, Noise)
    value = form.diffusion.at(s, dynamics.time(s), y)
    return value.view(form.processes, -1).mT if form.kind == "general" else value


def _check(values: Tensor, ys: Tensor, problem: Problem) -> None:
    near = torch.finfo(ys.dtype).eps ** (1 / 3)
    if not torch.allclose(values, ys, rtol=near, atol=near**2):
        raise UnsupportedError(
            f"Second derivatives along noise are those of the steps, and {problem.method} takes others than its "
            "tableau says; name 'EM', or 'EulerHeun', or call autograd without create_graph."
        )
