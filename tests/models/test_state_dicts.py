"""Every model comes back from its state dict, and a plain loop in float64 trains it and continues from a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import pyode_bridge as pb
from pyode_bridge import models
from pyode_bridge.models import (
    CNF,
    MLP,
    AutoregressiveRNN,
    ClosedFormTrace,
    ConcatSquash,
    Encoder,
    FlowDistribution,
    GatedSum,
    GaussianLikelihood,
    GRUEncoder,
    HutchinsonTrace,
    InverseFlow,
    KineticEnergy,
    LatentDynamics,
    LatentODE,
    Likelihood,
    ODENet,
    ODERNNEncoder,
    OrnsteinUhlenbeckLikelihood,
    PlanarFlow,
    PoissonProcess,
    ResNet,
    RKNet,
    Series,
)

SOLVER: dict[str, Any] = {"method": "rk4", "engine": "embedded"}
SMALL: dict[str, Any] = {"width": 4, "downsamplings": 1}
LATENT = 2


@dataclass(frozen=True)
class Case:
    """How a model is made, and a loss of it over data of a dtype."""

    make: Callable[[], nn.Module]
    loss: Callable[[Any, torch.dtype], Tensor]


def classified(model: nn.Module, dtype: torch.dtype) -> Tensor:
    images = torch.randn(6, 1, 8, 8, dtype=dtype)
    loss: Tensor = nn.functional.cross_entropy(model(images), torch.arange(6))
    return loss


def unlikely(flow: Any, dtype: torch.dtype) -> Tensor:
    """The negative log likelihood of samples that are not standard normal."""
    base = MultivariateNormal(torch.zeros(2, dtype=dtype), torch.eye(2, dtype=dtype))
    return -FlowDistribution(flow, base).log_prob(1 + 2 * torch.randn(8, 2, dtype=dtype)).mean()


def series(dtype: torch.dtype) -> Series:
    return Series.of(torch.linspace(0.1, 1.0, 4, dtype=dtype), torch.randn(5, 4, 2, dtype=dtype))


def bounded(model: Any, dtype: torch.dtype) -> Tensor:
    window = {} if model.arrivals is None else {"end": 1.5}
    loss: Tensor = -model.elbo(series(dtype), **window).value.mean()
    return loss


def solved(layer: nn.Module, dtype: torch.dtype) -> Tensor:
    loss: Tensor = layer(torch.randn(6, 2, dtype=dtype))[-1].square().mean()
    return loss


def latent(encoder: Encoder, arrivals: PoissonProcess | None = None, noise: Likelihood | None = None) -> LatentODE:
    noise = noise or GaussianLikelihood(2, std=0.5, learned=True)
    dynamics, decoder = LatentDynamics(LATENT, units=4), nn.Linear(LATENT, 2)
    return LatentODE(encoder, dynamics, decoder, noise, latent=LATENT, arrivals=arrivals, **SOLVER)


CASES = {
    "NeuralODE": Case(lambda: pb.NeuralODE(LatentDynamics(2, units=4), **SOLVER), solved),
    "MLP": Case(lambda: MLP(64, hidden=8), classified),
    "ResNet": Case(lambda: ResNet(**SMALL, blocks=2), classified),
    "RKNet": Case(lambda: RKNet(**SMALL), classified),
    "ODENet": Case(lambda: ODENet.for_images(**SMALL, **SOLVER), classified),
    "ODENet, augmented": Case(lambda: ODENet.for_images(**SMALL, augment=2, **SOLVER), classified),
    "CNF": Case(lambda: CNF(GatedSum(2, 4), trace=ClosedFormTrace(), **SOLVER), unlikely),
    "CNF, estimated": Case(
        lambda: CNF(ConcatSquash(2, (6,)), trace=HutchinsonTrace(), regularisers=[KineticEnergy()], **SOLVER), unlikely
    ),
    "PlanarFlow": Case(lambda: InverseFlow(PlanarFlow(2, 3)), unlikely),
    "LatentODE": Case(lambda: latent(GRUEncoder(2, hidden=4)), bounded),
    "LatentODE, ODE-RNN": Case(
        lambda: latent(ODERNNEncoder(2, hidden=4, units=4, **SOLVER), PoissonProcess(nn.Linear(LATENT, 1))), bounded
    ),
    "LatentODE, lasting errors": Case(
        lambda: latent(GRUEncoder(2, hidden=4), noise=OrnsteinUhlenbeckLikelihood(2)), bounded
    ),
    "AutoregressiveRNN": Case(
        lambda: AutoregressiveRNN(2, hidden=4), lambda model, dtype: -model.log_prob(series(dtype)).mean()
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def loss_of(case: Case, model: nn.Module, dtype: torch.dtype) -> Tensor:
    """The same data and noise at every call."""
    torch.manual_seed(1)
    return case.loss(model, dtype)


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def train(case: Case, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        loss = loss_of(case, model, torch.float64)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_every_module_is_among_the_models() -> None:
    built = {type(module) for case in CASES.values() for module in case.make().modules()}
    exported = {getattr(models, name) for name in models.__all__}
    modules = {each for each in exported if isinstance(each, type) and issubclass(each, nn.Module)}
    assert modules <= built


def test_state_dict_makes_another_model_the_same(case: Case) -> None:
    torch.manual_seed(2)
    model = case.make()
    torch.manual_seed(3)
    other = case.make()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.1
    expected = loss_of(case, model, torch.float32)
    assert not torch.allclose(loss_of(case, other, torch.float32), expected)
    assert not any(other.load_state_dict(through_a_file(model.state_dict())))
    assert torch.equal(loss_of(case, other, torch.float32), expected)


def test_plain_loop_in_float64_trains_and_continues_from_a_file(case: Case) -> None:
    model = case.make().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = loss_of(case, model, torch.float64)
    train(case, model, optimizer, 3)
    saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    train(case, model, optimizer, 3)
    after = loss_of(case, model, torch.float64)
    assert after.dtype == torch.float64
    assert all(parameter.dtype == torch.float64 for parameter in model.parameters())
    assert after < before

    other = case.make().double()
    other_optimizer = torch.optim.Adam(other.parameters(), lr=1e-2)
    other.load_state_dict(saved["model"])
    other_optimizer.load_state_dict(saved["optimizer"])
    train(case, other, other_optimizer, 3)
    assert torch.equal(loss_of(case, other, torch.float64), after)
