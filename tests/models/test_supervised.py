"""The image classifiers: shapes, sizes, gradients, evaluations, memory."""

from __future__ import annotations

import copy

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.models import MLP, ConvDynamics, Head, ODENet, ResNet, RKNet, Stem
from pyode_bridge.models.rk_net import TABLEAUS, runge_kutta

SMALL = {"width": 4, "downsamplings": 1}
PAPERS = {"engine": "embedded", "rtol": 1e-3, "atol": 1e-3}  # the tolerances of Chen et al. 2018
DIGITS, MNIST = (3, 1, 8, 8), (3, 1, 28, 28)
PARTS = (("stem", "stem"), ("ode.func", "dynamics"), ("head", "head"))  # of an ODE-Net and an RK-Net


def models(**sizes):
    return [ResNet(**sizes), RKNet(**sizes), ODENet.for_images(**PAPERS, **sizes)]


@pytest.mark.parametrize(
    ("shape", "downsamplings"), [(DIGITS, 1), pytest.param(MNIST, 2, marks=pytest.mark.slow)], ids=["digits", "MNIST"]
)
def test_logits_and_gradients_for_every_image_size(shape, downsamplings):
    images = torch.randn(shape)
    for model in [*models(width=4, downsamplings=downsamplings), MLP(images[0].numel())]:
        logits = model(images)
        assert logits.shape == (3, 10)
        logits.logsumexp(-1).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("width", [4, 32, 64])
def test_parameter_counts_are_those_of_the_architecture(width):
    norm = 2 * width
    stem = (9 * width + width) + 2 * (norm + 16 * width**2 + width)
    head = norm + 10 * width + 10
    dynamics = 3 * norm + 2 * (9 * (width + 1) * width + width)
    block = 2 * (norm + 9 * width**2)
    resnet, rk_net, ode_net = models(width=width)
    assert count(resnet) == stem + 6 * block + head
    assert count(rk_net) == count(ode_net) == stem + dynamics + head


def test_sizes_at_the_papers_width_round_to_the_papers():
    """Chen et al. 2018, table 1, in millions of parameters: MLP 0.24, ODE-Net 0.22, ResNet 0.60."""
    assert round(count(MLP(784)) / 1e6, 2) == 0.24
    assert round(count(ODENet.for_images()) / 1e6, 1) == 0.2
    assert round(count(ResNet()) / 1e6, 1) == 0.6


def test_augmentation_appends_channels_of_zeros():
    model = ODENet.for_images(augment=3, **PAPERS, **SMALL)
    images = torch.randn(DIGITS)
    state = model.state(images)
    assert state.shape == (3, 7, 4, 4)
    assert torch.equal(state[:, :4], model.stem(images))
    assert not state[:, 4:].any()
    assert model(images).shape == (3, 10)


class Field(torch.nn.Linear):
    """The simplest dynamics of vectors."""

    def forward(self, t, y):
        return torch.tanh(super().forward(y)) + t


@pytest.mark.parametrize("augment", [0, 2])
def test_an_ode_net_of_ones_own_parts(augment):
    """Against the same parts with a solve between them."""
    stem, dynamics, head = torch.nn.Linear(5, 3), Field(3 + augment, 3 + augment), torch.nn.Linear(3 + augment, 2)
    model = ODENet(stem, dynamics, head, augment=augment, **PAPERS)
    x = torch.randn(7, 5)
    y0 = torch.cat([stem(x), torch.zeros(7, augment)], dim=1)
    expected = head(pb.odeint(dynamics, y0, torch.tensor([0.0, 1.0]), **PAPERS)[-1])
    torch.testing.assert_close(model(x), expected)
    expected.sum().backward()
    wanted = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model(x).sum().backward()
    torch.testing.assert_close([parameter.grad for parameter in model.parameters()], wanted)


def test_ode_net_can_be_copied_after_a_solve():
    model = ODENet.for_images(**PAPERS, **SMALL)
    images = torch.randn(DIGITS)
    logits = model(images)
    copied = copy.deepcopy(model)
    assert copied.nfe == (None, None)
    assert torch.equal(copied(images), logits)


@pytest.mark.parametrize(("method", "order"), [("Euler", 1), ("Midpoint", 2), ("RK4", 4)])
def test_runge_kutta_converges_with_its_order(method, order):
    """On dy/dt = -y + sin t, whose solution is known."""
    y0 = torch.ones(1, dtype=torch.float64)
    one = torch.tensor(1.0, dtype=torch.float64)
    exact = 1.5 * torch.exp(-one) + 0.5 * (one.sin() - one.cos())
    errors = [
        (runge_kutta(lambda t, y: -y + t.sin(), y0, TABLEAUS[method], steps) - exact).abs().item() for steps in (16, 32)
    ]
    assert torch.tensor(errors[0] / errors[1]).log2().item() == pytest.approx(order, abs=0.1)


def test_rk_net_equals_ode_net_with_the_same_fixed_steps():
    images = torch.randn(DIGITS, dtype=torch.float64)
    rk_net = RKNet(steps=4, **SMALL).double()
    options = {"dt": 0.25, "adaptive": False}
    ode_net = ODENet.for_images(method="RK4", options=options, engine="embedded", **SMALL).double()
    for ours, theirs in PARTS:
        ode_net.get_submodule(ours).load_state_dict(rk_net.get_submodule(theirs).state_dict())
    torch.testing.assert_close(ode_net(images), rk_net(images), rtol=1e-12, atol=1e-12)


def smooth(model):
    """The same without ReLU's kinks in the dynamics' arguments: large offsets keep every unit on."""
    dynamics = model.ode.func if isinstance(model, ODENet) else model.dynamics
    for norm in dynamics.norms[:2]:
        torch.nn.init.constant_(norm.bias, 8.0)
    return model.double()


def test_adjoint_gradients_agree_with_backpropagation_through_fine_steps(engine):
    tolerances = {"rtol": 1e-9, "atol": 1e-9}
    images = torch.randn(DIGITS, dtype=torch.float64)
    method = "Tsit5" if engine == "julia" else "DP5"
    ode_net = smooth(ODENet.for_images(method=method, engine=engine, **SMALL, **tolerances))
    rk_net = RKNet(steps=64, **SMALL).double()
    for ours, theirs in PARTS:
        rk_net.get_submodule(theirs).load_state_dict(ode_net.get_submodule(ours).state_dict())
    for model in (ode_net, rk_net):
        model(images).square().sum().backward()
    for ours, theirs in PARTS:
        found = [parameter.grad for parameter in ode_net.get_submodule(ours).parameters()]
        wanted = [parameter.grad for parameter in rk_net.get_submodule(theirs).parameters()]
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_gradcheck_of_the_dynamics():
    dynamics = ConvDynamics(2).double()
    y = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dynamics, (t, y))


@pytest.fixture
def calls():
    return []


def counted(dynamics, calls):
    dynamics.register_forward_hook(lambda *_: calls.append(1))


def test_ode_net_counts_its_evaluations(calls):
    model = ODENet.for_images(sensealg="BacksolveAdjoint", **PAPERS, **SMALL)
    counted(model.ode.func, calls)
    assert model.nfe == (None, None)
    logits = model(torch.randn(DIGITS))
    trial = 1  # the check before the solve
    assert model.nfe == (len(calls) - trial, None)
    forward = len(calls)
    logits.sum().backward()
    assert model.nfe.backward == len(calls) - forward


@pytest.mark.parametrize(("method", "stages"), [("Euler", 1), ("Midpoint", 2), ("RK4", 4)])
def test_rk_net_counts_its_evaluations(method, stages, calls):
    model = RKNet(method=method, steps=3, **SMALL)
    counted(model.dynamics, calls)
    model(torch.randn(DIGITS))
    assert model.nfe == (len(calls), len(calls)) == (3 * stages, 3 * stages)


@pytest.mark.slow
def test_memory_is_constant_for_the_adjoint_and_grows_with_runge_kutta_steps():
    from examples.support.activation_memory import peak_bytes

    images = torch.randn(16, 1, 8, 8)

    def peak(model):
        def work():
            model(images).sum().backward()

        work()  # from here on the parameters' gradients are there
        return peak_bytes(work)

    def network(tol):
        torch.manual_seed(1)  # the same parameters, of dynamics that are stable backwards
        return ODENet.for_images(engine="embedded", sensealg="BacksolveAdjoint", rtol=tol, atol=tol, **SMALL)

    coarse, fine = network(1e-1), network(1e-4)
    coarse_peak, fine_peak = peak(coarse), peak(fine)
    assert fine.nfe.forward >= 1.5 * coarse.nfe.forward
    assert fine_peak < 1.1 * coarse_peak
    few, many = RKNet(steps=2, **SMALL), RKNet(steps=8, **SMALL)
    assert peak(many) > 2.5 * peak(few)


def test_peak_bytes_counts_what_is_held_at_once():
    from examples.support.activation_memory import peak_bytes

    def work():
        for _ in range(3):
            torch.zeros(1000, dtype=torch.float32)  # freed at once
        return torch.zeros(1000) + torch.zeros(1000)

    assert peak_bytes(work) == 3 * 4000


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResNet(blocks=0), "blocks is 0"),
        (lambda: RKNet(steps=1.5), "steps is 1.5"),
        (lambda: RKNet(method="RK5"), "Did you mean RK4"),
        (lambda: ODENet.for_images(augment=-1), "augment is -1"),
        (lambda: Stem(1, 0, 1), "width is 0"),
        (lambda: Head(4, 0), "classes is 0"),
        (lambda: MLP(0), "features is 0"),
        (lambda: ODENet.for_images(**SMALL)(torch.zeros(8, 8)), r"expected \(batch, 1, height, width\)"),
        (lambda: ResNet(**SMALL)(torch.zeros(2, 3, 8, 8)), r"shape \(2, 3, 8, 8\)"),
    ],
)
def test_unusable_input_is_refused(make, words):
    with pytest.raises(pb.InputError, match=words):
        make()
