"""Neural ODEs and an ensemble as cases."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchdiffeq
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from examples.support.problems import arrays

from .cases import Case, relative_error

TOLERANCES = {"rtol": 1e-5, "atol": 1e-6}  # of the networks, whose numbers are float32
TIGHT, TIGHT_GRADIENT = 1e-9, 1e-8
CHECKED = 10  # trajectories of an ensemble that are compared with a reference
ENSEMBLE, QUICK_ENSEMBLE = 10_000, 100
ENSEMBLE_END = 10.0  # time
SIZES = ((64, 1), (64, 64), (64, 512), (256, 1), (256, 64), (256, 512), (512, 1), (512, 64), (512, 512))
QUICK_SIZES = ((64, 1),)
FIELD = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])  # of torchdiffeq's demo: dy/dt = y^3 FIELD


class Network(nn.Module):
    """dy/dt = net(y), or net(y^3)."""

    def __init__(self, size: int, hidden: int, *, cubed: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, size))
        self.cubed = cubed

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y**3 if self.cubed else y)


def network_cases(*, quick: bool) -> list[Case]:
    """Forward solves and training steps of the spiral and of growing networks."""
    found = spirals()
    for width, batch in QUICK_SIZES if quick else SIZES:
        network = Network(width, width, cubed=False)
        y0, t = torch.randn(batch, width), torch.tensor([0.0, 1.0], dtype=torch.float64)
        found += [case(f"MLP {width}, batch {batch}", kind, network, y0, t) for kind in ("forward", "training")]
    return found


def spirals() -> list[Case]:
    """A trajectory as in torchdiffeq's demo, a training step on it, and one on the demo's mini-batch."""
    network = spiral()
    y0, t = torch.tensor([1.0, 2.0]), torch.linspace(0.0, 25.0, 100, dtype=torch.float64)
    starts, pieces = 4 * torch.rand(20, 2) - 2, torch.linspace(0.0, 0.225, 10, dtype=torch.float64)
    return [
        case("spiral", "forward", network, y0, t),
        case("spiral", "training", network, y0, t),
        case("spiral, mini-batch", "training", network, starts, pieces),
    ]


def spiral() -> Network:
    """A network as if it were trained: its last layer is fitted to the demo's field by least squares."""
    network = Network(2, 50, cubed=True)
    first, last = network.net[0], network.net[2]
    with torch.no_grad():
        nn.init.normal_(first.weight, std=0.1)
        nn.init.normal_(first.bias, std=0.5)
        axis = torch.linspace(-2.2, 2.2, 45)
        cubes = torch.cartesian_prod(axis, axis) ** 3
        features = torch.cat([torch.tanh(first(cubes)), torch.ones(len(cubes), 1)], dim=1).double()
        ridge = 1e-4 * len(cubes) * torch.eye(features.shape[1], dtype=torch.float64)
        fitted = torch.linalg.solve(features.mT @ features + ridge, features.mT @ (cubes @ FIELD).double())
        last.weight.copy_(fitted[:-1].mT)
        last.bias.copy_(fitted[-1])
    return network


def case(name: str, kind: str, network: Network, y0: Tensor, t: Tensor) -> Case:
    weights = tuple(parameter.detach() for parameter in network.parameters())
    side = arrays.spiral if network.cubed else arrays.mlp
    reference = {"forward": forward_reference, "training": gradient_reference}[kind]
    expected = functools.cache(lambda: reference(network, side, y0, t))
    return Case(
        name=name if kind == "forward" else f"{name}, training",
        kind=kind,
        func=network,
        side=side,
        y0=y0,
        t=t,
        stiff=False,
        error=lambda answer: relative_error(answer, expected()),
        weights=weights,
        **TOLERANCES,
    )


def forward_reference(network: Network, side: Callable[..., Any], y0: Tensor, t: Tensor) -> Any:
    """The end by SciPy in double precision."""
    weights = [parameter.detach().double().numpy() for parameter in network.parameters()]
    start = y0.double().numpy()

    def f(_t: float, y: Any) -> Any:
        return side(np, y.reshape(start.shape), *weights).ravel()

    span = (t[0].item(), t[-1].item())
    return solve_ivp(f, span, start.ravel(), method="DOP853", rtol=TIGHT, atol=TIGHT).y[:, -1]


def gradient_reference(network: Network, _side: Callable[..., Any], y0: Tensor, t: Tensor) -> Any:
    """The gradient by autograd through the steps of a solve in double precision."""
    network = copy.deepcopy(network).double()
    y = torchdiffeq.odeint(network, y0.double(), t, method="dopri8", rtol=TIGHT_GRADIENT, atol=TIGHT_GRADIENT)
    return torch.autograd.grad(y.square().mean(), tuple(network.parameters()))


def rates(_t: Tensor, y: Tensor, p: Tensor) -> Tensor:
    """Lotka and Volterra's equations with rates that differ, for one trajectory or for all at once."""
    prey, predators = y[..., 0], y[..., 1]
    product = prey * predators
    return torch.stack([p[..., 0] * prey - p[..., 1] * product, p[..., 2] * product - p[..., 3] * predators], dim=-1)


def end(y0: Any, p: Any) -> Any:
    """A trajectory's state at the end, by SciPy."""

    def f(_t: float, y: Any) -> Any:
        return arrays.lotka_volterra(np, y, p)

    return solve_ivp(f, (0.0, ENSEMBLE_END), y0, method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]


def ensemble_case(*, quick: bool) -> Case:
    """Lotka-Volterra from many initial states with many rates."""
    count = QUICK_ENSEMBLE if quick else ENSEMBLE
    y0 = 0.5 + torch.rand(count, 2, dtype=torch.float64)
    p = torch.tensor([1.5, 1.0, 1.0, 3.0], dtype=torch.float64) * (
        0.8 + 0.4 * torch.rand(count, 4, dtype=torch.float64)
    )

    def ends() -> Any:
        return np.stack([end(y0[i].numpy(), p[i].numpy()) for i in range(CHECKED)])

    expected = functools.cache(ends)
    return Case(
        name=f"Lotka-Volterra, ensemble of {count:,}",
        kind="ensemble",
        func=rates,
        side=arrays.lotka_volterra,
        y0=y0,
        t=torch.linspace(0.0, ENSEMBLE_END, 11, dtype=torch.float64),
        rtol=1e-6,
        atol=1e-6,
        stiff=False,
        error=lambda answer: relative_error(answer[:CHECKED], expected()),
        weights=(p,),
    )
