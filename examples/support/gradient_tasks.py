"""Losses of solves to differentiate, what does it, and the gradients to find, which no compared algorithm made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

Vector = npt.NDArray[Any]

# By engine: what is compared, and with which solver of problems that are not stiff, and that are.
SENSEALGS = {
    "julia": (
        "InterpolatingAdjoint",
        "InterpolatingAdjoint(checkpointing=true)",
        "QuadratureAdjoint",
        "GaussAdjoint",
        "GaussKronrodAdjoint",
        "BacksolveAdjoint",
        "ForwardSensitivity",
        "ForwardDiffSensitivity",
    ),
    "embedded": ("BacksolveAdjoint", "TorchAdjoint"),
}
METHODS = {"julia": {False: "Tsit5", True: "Rodas5P"}, "embedded": {False: "DP5", True: "RadauIIA5"}}


class Gradients(NamedTuple):
    """Of the loss: with respect to the initial state, ``(n,)``, and to all parameters, ``(p,)``."""

    y0: Tensor
    parameters: Tensor


@dataclass(frozen=True)
class Task:
    """The loss is the sum of squares of the weighted state at all times but the first.

    Attributes:
        name: what it is called in tables.
        model: the dynamics, whose parameters want gradients.
        y0: initial state, ``(n,)``.
        t: times, ``(T,)``.
        weights: of the state's components, ``(n,)``.
        scale: the absolute tolerance, as a multiple of the relative one.
        stiff: whether it needs an implicit solver.
    """

    name: str
    model: nn.Module
    y0: Tensor
    t: Tensor
    weights: Tensor
    scale: float = 1.0
    stiff: bool = False

    def loss(self, y: Tensor) -> Tensor:
        """Of values at the times, ``(T, n)``."""
        return (self.weights * y[1:]).square().sum()


class Linear(nn.Module):
    """``dy/dt = A y``."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.1, 2.0, 0.0], [-2.0, -0.1, 0.5], [0.0, -0.5, -0.3]]))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.matrix @ y


class LotkaVolterra(nn.Module):
    """Prey and predators, with their four rates."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([1.5, 1.0, 1.0, 3.0]))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        births, eaten, gained, deaths = self.rates
        return torch.stack([births * y[0] - eaten * y[0] * y[1], gained * y[0] * y[1] - deaths * y[1]])


class Robertson(nn.Module):
    """Robertson's stiff reaction; its three rate constants differ by orders of magnitude, so their logarithms count."""

    def __init__(self) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(torch.tensor([0.04, 3e7, 1e4]).log())

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        first, second, third = self.log_rates.exp()
        slow = first * y[0] - third * y[1] * y[2]
        fast = second * y[1] ** 2
        return torch.stack([-slow, slow - fast, fast])


class Network(nn.Module):
    """A small neural ODE with the weights that the seed gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.layers(y)


def tasks() -> list[Task]:
    """All of them, in float64, which must be torch's default type; the network's weights are drawn here."""
    plain = torch.linspace(0, 5, 11)
    ones = torch.ones(2)
    return [
        Task("linear", Linear(), torch.tensor([1.0, 0.0, 0.5]), plain, torch.ones(3)),
        Task("Lotka-Volterra", LotkaVolterra(), torch.ones(2), plain, ones),
        Task("neural ODE", Network(), torch.tensor([1.0, -0.5]), plain, ones),
        Task(
            *("ROBER", Robertson(), torch.tensor([1.0, 0.0, 0.0])),
            t=torch.cat([torch.zeros(1), torch.logspace(-1, 2, 7)]),
            weights=torch.tensor([1.0, 1e4, 1.0]),
            scale=1e-6,
            stiff=True,
        ),
    ]


def reference(task: Task) -> tuple[Gradients, float]:
    """The gradients, and how far two ways to them differ, as `distance` measures it.

    The linear system has a closed form, exp(A t); the others take the forward sensitivity equations, solved by two of
    SciPy's codes with a tolerance far below those that are compared.
    """
    codes = ("LSODA", "BDF") if task.stiff else ("DOP853", "LSODA")
    found = [forward_sensitivities(task, code) for code in codes]
    if isinstance(task.model, Linear):
        exact = closed_form(task, task.model)
        return exact, distance(found[0], exact)
    return found[0], distance(found[1], found[0])


def distance(found: Gradients, expected: Gradients) -> float:
    """The relative error in the Euclidean norm, of the gradient by y0 or of that by the parameters if it is larger."""
    return max(((mine - theirs).norm() / theirs.norm()).item() for mine, theirs in zip(found, expected, strict=True))


def closed_form(task: Task, model: Linear) -> Gradients:
    y0 = task.y0.clone().requires_grad_()
    y = torch.stack([torch.linalg.matrix_exp(model.matrix * time) @ y0 for time in task.t])
    by_y0, by_matrix = torch.autograd.grad(task.loss(y), (y0, model.matrix))
    return Gradients(by_y0, by_matrix.reshape(-1))


def forward_sensitivities(task: Task, code: str) -> Gradients:
    """Solve ``dS/dt = (∂f/∂y) S + [0, ∂f/∂θ]`` along with the state, where ``S = [∂y/∂y0, ∂y/∂θ]``."""
    values = [parameter.detach() for parameter in task.model.parameters()]
    names = [name for name, _ in task.model.named_parameters()]
    flat = torch.cat([value.reshape(-1) for value in values])
    sizes = [value.numel() for value in values]
    n, p = len(task.y0), len(flat)

    def f(t: Tensor, y: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        pieces = [piece.view_as(value) for piece, value in zip(theta.split(sizes), values, strict=True)]
        rate = torch.func.functional_call(task.model, dict(zip(names, pieces, strict=True)), (t, y))
        return rate, rate

    derivatives = torch.func.jacrev(f, argnums=(1, 2), has_aux=True)

    def augmented(t: Tensor, z: Tensor) -> Tensor:
        (by_y, by_theta), rate = derivatives(t, z[:n], flat)
        direct = torch.cat([torch.zeros(n, n), by_theta], dim=1)
        return torch.cat([rate, (by_y @ z[n:].reshape(n, n + p) + direct).reshape(-1)])

    def in_numpy(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[float, Vector], Vector]:
        return lambda t, z: function(torch.tensor(t), torch.from_numpy(z)).detach().numpy()

    start = torch.cat([task.y0, torch.eye(n, n + p).reshape(-1)]).numpy()
    tight: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}
    if task.stiff:
        tight = {"rtol": 1e-11, "atol": 1e-15, "jac": in_numpy(torch.func.jacrev(augmented, argnums=1))}
    span = (0.0, task.t[-1].item())
    solved = solve_ivp(in_numpy(augmented), span, start, method=code, t_eval=task.t.numpy(), **tight)
    z = torch.from_numpy(solved.y.T.copy())
    y = z[:, :n].clone().requires_grad_()
    (by_state,) = torch.autograd.grad(task.loss(y), y)
    total = torch.einsum("ti,tij->j", by_state, z[:, n:].reshape(len(z), n, n + p))
    return Gradients(total[:n], total[n:])
