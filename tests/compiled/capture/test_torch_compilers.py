"""Dynamics that torch.compile or TorchScript made are solved, with gradients, as what they were made of is."""

import pytest
import torch

import pyode_bridge as pb
from tests.compiled.capture.graphs import graphs, run
from tests.problems import DOUBLE

Y = torch.tensor([0.4, -1.1, 0.7], dtype=DOUBLE)
V = torch.tensor([1.0, 0.5, -2.0], dtype=DOUBLE)
T = torch.tensor(0.3, dtype=DOUBLE)
TIMES = torch.linspace(0, 1, 4, dtype=DOUBLE)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3).double()

    def forward(self, t, y):
        return torch.tanh(self.layer(y)) * torch.cos(t)


def of_module(net):
    return torch.compile(net, backend="eager")


def of_function(net):
    return torch.compile(lambda t, y: net(t, y), backend="eager")


def itself(net):
    net.compile(backend="eager")
    return net


def scripted(net):
    return torch.jit.script(net)


def followed(net):
    return torch.jit.trace(net, (T, Y))


def of_followed(net):
    made = followed(net)
    return lambda t, y: made(t, y)


COMPILED, SCRIPTED = [of_module, of_function, itself], [scripted, followed, of_followed]


def solved(func, net, **settings):
    """The solution, and the gradients of a weighted sum with respect to the initial state and the parameters."""
    y0 = Y.clone().requires_grad_()
    sol = pb.solve(func, y0, TIMES, method="dopri5", rtol=1e-9, atol=1e-9, **settings)
    weights = torch.linspace(1, 2, sol.y.numel(), dtype=DOUBLE).view(sol.y.shape)
    return sol, [sol.y.detach(), *torch.autograd.grad((sol.y * weights).sum(), [y0, *net.parameters()])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
@pytest.mark.parametrize("make", COMPILED + SCRIPTED)
def test_solutions_and_gradients_are_those_of_the_module_itself(make, engine):
    net = Net()
    _, expected = solved(
        lambda t, y: torch.tanh(y @ net.layer.weight.mT + net.layer.bias) * t.cos(), net, engine="embedded"
    )
    func = make(net)
    sol, found = solved(func, func if isinstance(func, torch.nn.Module) else net, engine=engine)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    if engine == "julia":
        assert sol.lane == ("compiled" if make in COMPILED else "callback"), sol.lane_reason
        assert make in COMPILED or "TorchScript" in sol.lane_reason


@pytest.mark.parametrize("make", COMPILED)
def test_what_torch_compile_made_is_traced_as_what_it_was_made_of(make):
    plain, net = Net(), Net()
    net.load_state_dict(plain.state_dict())
    parameters = list(net.parameters())
    traced, expected = graphs(make(net), Y, parameters), graphs(plain, Y, list(plain.parameters()))
    for name in ("rhs", "joint", "jacobian"):
        inputs = [T, V, Y] if name == "joint" else [T, Y]
        torch.testing.assert_close(run(traced[name], *inputs), run(expected[name], *inputs))
    torch.testing.assert_close(run(traced["rhs"], T, Y), plain(T, Y).detach())
