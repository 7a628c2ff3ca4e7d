"""Which dynamics translate: the project's models, those of torchdiffeq's examples, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.compiled.capture.guards import guards_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.checks import parameter_indices
from pyode_bridge.equations import odeint as solving
from pyode_bridge.models import (
    CNF,
    BruteForceTrace,
    ClosedFormTrace,
    ConcatSquash,
    ExactTrace,
    GatedSum,
    GaussianLikelihood,
    GRUEncoder,
    HutchinsonTrace,
    JacobianFrobenius,
    KineticEnergy,
    LatentDynamics,
    LatentODE,
    ODENet,
    ODERNNEncoder,
    PoissonProcess,
    Series,
)
from pyode_bridge.problem.problem import Problem

FUNCTIONS = ["rhs", "vjp", "joint", "vjp_p", "jacobian"]
QUICK = {"engine": "embedded", "method": "euler"}


def translate(problem: Problem, names: Sequence[str] = FUNCTIONS) -> None:
    """Translate functions; raises UnsupportedDynamicsError as a solve would."""
    dynamics = problem.dynamics
    found = guards_of(dynamics.func)
    parameter_indices(dynamics.parameters, found)
    functions = TracedFunctions(Start(dynamics, problem.y0, *problem.t[[0, -1]].tolist()), found.tensors, [])
    for name in names:
        assert f"function {name}(" in functions.text(name)


@pytest.fixture
def solved(monkeypatch):
    """The problems of all solves so far."""
    found = []

    def prepare(*args):
        found.append(prepared := prepare_(*args))
        return prepared

    prepare_ = solving.prepare
    monkeypatch.setattr(solving, "prepare", prepare)
    return lambda: [prepared.problem for prepared in found]


def flow(dynamics: nn.Module, trace: object, *regularisers: object) -> Callable[[], object]:
    return lambda: CNF(dynamics, trace=trace, regularisers=regularisers, **QUICK)(torch.randn(2, 2))


def series() -> Series:
    return Series.of(torch.linspace(0.1, 1.0, 3), torch.randn(2, 3, 2))


def latent(encoder: nn.Module, arrivals: nn.Module | None = None) -> Callable[[], object]:
    decoder, noise = nn.Linear(4, 2), GaussianLikelihood(2, std=0.1)
    model = LatentODE(encoder, LatentDynamics(4), decoder, noise, latent=4, arrivals=arrivals, **QUICK)
    return lambda: model.elbo(series(), end=1.5)


def ode_net(**sizes):
    return ODENet.for_images(1, 3, downsamplings=1, **sizes, **QUICK)


MODELS = {
    "ODE-Net": lambda: ode_net(width=4)(torch.randn(1, 1, 4, 4)),
    "ODE-Net, augmented": lambda: ode_net(width=2, augment=1)(torch.randn(1, 1, 4, 4)),
    "CNF, exact trace": flow(GatedSum(2, 8), ExactTrace()),
    "CNF, closed form": flow(GatedSum(2, 8), ClosedFormTrace()),
    "CNF, brute force": flow(GatedSum(2, 8), BruteForceTrace()),
    "CNF, Rademacher": flow(GatedSum(2, 64), HutchinsonTrace()),
    "FFJORD": flow(ConcatSquash(2, (16, 16)), HutchinsonTrace("gaussian"), KineticEnergy(), JacobianFrobenius()),
    "latent ODE": latent(GRUEncoder(2)),
    "latent ODE, ODE-RNN": latent(ODERNNEncoder(2, **QUICK)),
    "latent ODE, arrivals": latent(GRUEncoder(2), PoissonProcess(nn.Linear(4, 1))),
}


SLOW = {"ODE-Net", "ODE-Net, augmented", "CNF, brute force", "FFJORD"}


@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.slow) if m in SLOW else m for m in MODELS])
def test_the_models_of_the_project_translate(model, solved):
    MODELS[model]()
    assert solved()
    for problem in solved():
        translate(problem)


# The dynamics of torchdiffeq's examples.


class Spiral(nn.Module):
    """``ode_demo.py``."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))

    def forward(self, t, y):
        return self.net(y**3)


class Lambda(nn.Module):
    """``ode_demo.py``'s truth."""

    def __init__(self):
        super().__init__()
        self.true_a = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])

    def forward(self, t, y):
        return torch.mm(y**3, self.true_a)


class LatentODEFunc(nn.Module):
    """``latent_ode.py``, which counts its calls in an attribute."""

    def __init__(self, latent=4, hidden=20):
        super().__init__()
        self.elu = nn.ELU(inplace=True)
        self.fc1, self.fc2, self.fc3 = nn.Linear(latent, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, latent)
        self.nfe = 0

    def forward(self, t, x):
        self.nfe += 1
        return self.fc3(self.elu(self.fc2(self.elu(self.fc1(x)))))


class HyperNetwork(nn.Module):
    """``cnf.py``: weights of the dynamics as a function of time."""

    def __init__(self, dim, hidden, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(1, hidden), nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 3 * width * dim + width)
        self.dim, self.width, self.block = dim, width, width * dim

    def forward(self, t):
        params = self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(t.reshape(1, 1)))))).reshape(-1)
        w = params[: self.block].reshape(self.width, self.dim, 1)
        u = params[self.block : 2 * self.block].reshape(self.width, 1, self.dim)
        gate = params[2 * self.block : 3 * self.block].reshape(self.width, 1, self.dim)
        return w, params[3 * self.block :].reshape(self.width, 1, 1), u * torch.sigmoid(gate)


def trace_df_dz(f, z):
    """``cnf.py``: the trace by autograd, row by row."""
    total = 0.0
    for i in range(z.shape[1]):
        total += torch.autograd.grad(f[:, i].sum(), z, create_graph=True)[0].contiguous()[:, i].contiguous()
    return total.contiguous()


class TorchdiffeqCNF(nn.Module):
    """``cnf.py``."""

    def __init__(self, dim=2, hidden=8, width=6):
        super().__init__()
        self.hyper_net, self.width = HyperNetwork(dim, hidden, width), width

    def forward(self, t, states):
        z = states[0]
        with torch.set_grad_enabled(True):
            z.requires_grad_(True)
            w, b, u = self.hyper_net(t)
            h = torch.tanh(torch.matmul(z.unsqueeze(0).repeat(self.width, 1, 1), w) + b)
            dz_dt = torch.matmul(h, u).mean(0)
            dlogp_dt = -trace_df_dz(dz_dt, z).view(len(z), 1)
        return dz_dt, dlogp_dt


class ConcatConv2d(nn.Module):
    """``odenet_mnist.py``."""

    def __init__(self, dim_in, dim_out):
        super().__init__()
        self._layer = nn.Conv2d(dim_in + 1, dim_out, 3, 1, 1)

    def forward(self, t, x):
        tt = torch.ones_like(x[:, :1, :, :]) * t
        return self._layer(torch.cat([tt, x], 1))


class ODEfunc(nn.Module):
    """``odenet_mnist.py``."""

    def __init__(self, dim=4):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.GroupNorm(min(32, dim), dim) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)
        self.conv1, self.conv2 = ConcatConv2d(dim, dim), ConcatConv2d(dim, dim)
        self.nfe = 0

    def forward(self, t, x):
        self.nfe += 1
        out = self.conv1(t, self.relu(self.norm1(x)))
        return self.norm3(self.conv2(t, self.relu(self.norm2(out))))


class BouncingBall(nn.Module):
    """``bouncing_ball.py``."""

    def __init__(self):
        super().__init__()
        self.gravity = nn.Parameter(torch.as_tensor([9.8]))

    def forward(self, t, state):
        _, vel, log_radius = state
        return vel, -self.gravity * torch.ones_like(vel), torch.zeros_like(log_radius)


class HarmonicOscillator(nn.Module):
    """``learn_physics.py``."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Softplus(), nn.Linear(16, 2))

    def forward(self, t, x):
        return self.net(torch.cat([x, t.reshape(1, 1).expand(len(x), 1)], -1)) * torch.sin(t)


TORCHDIFFEQ = {
    "ode_demo": (Spiral(), torch.ones(20, 1, 2)),
    "ode_demo, the truth": (Lambda(), torch.ones(1, 2)),
    "latent_ode": (LatentODEFunc(), torch.ones(5, 4)),
    "odenet_mnist": (ODEfunc(), torch.ones(2, 4, 5, 5)),
    "bouncing_ball": (BouncingBall(), (torch.ones(1), torch.ones(1), torch.ones(1))),
    "learn_physics": (HarmonicOscillator(), torch.ones(4, 2)),
}


def of_solve(func: Callable[..., object], y0: object, solved: Callable[[], list[Problem]]) -> Problem:
    pb.odeint(func, y0, torch.tensor([0.0, 0.1]), **QUICK)
    return solved()[-1]


@pytest.mark.parametrize("example", TORCHDIFFEQ)
def test_the_examples_of_torchdiffeq_translate(example, solved):
    translate(of_solve(*TORCHDIFFEQ[example], solved))


def test_a_state_made_to_require_a_gradient_translates_but_for_its_jacobian(solved):
    problem = of_solve(TorchdiffeqCNF(), (torch.ones(5, 2), torch.zeros(5, 1)), solved)
    translate(problem, [name for name in FUNCTIONS if name != "jacobian"])
    with pytest.raises(UnsupportedDynamicsError, match="requires_grad_"):
        translate(problem, ["jacobian"])


def by_condition(t: Tensor, y: Tensor) -> Tensor:
    return y if y.sum() > 0 else -y


def by_item(t: Tensor, y: Tensor) -> Tensor:
    return y * float(y[0])


def with_dropout(t: Tensor, y: Tensor) -> Tensor:
    return nn.functional.dropout(y, 0.5)


def with_computed_index(t: Tensor, y: Tensor) -> Tensor:
    return y[(y > 0).long()]


REFUSED = {
    "a condition": (by_condition, "takes a Python value out of a tensor"),
    "an item": (by_item, "takes a Python value out of a tensor"),
    "dropout": (with_dropout, "random"),
    "a computed index": (with_computed_index, "index that is computed"),
    "a long sort": (lambda t, y: y.repeat(100).sort().values[:4], "sorts 400 elements"),
    "complex numbers": (
        lambda t, y: torch.linalg.eigvals(y.view(2, 2)).abs().repeat(2),
        "linalg_eig has no translation",
    ),
    "half precision": (lambda t, y: y.half().float(), "float16"),
}


@pytest.mark.filterwarnings("ignore::pyode_bridge.RandomWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_translate_says_why(case, solved):
    func, reason = REFUSED[case]
    problem = of_solve(func, torch.tensor([0.5, 1.0, 2.0, 3.0]), solved)
    with pytest.raises(UnsupportedDynamicsError, match=reason):
        translate(problem)
