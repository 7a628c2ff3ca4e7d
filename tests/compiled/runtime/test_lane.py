"""The compiled lane beside the callbacks: the same numbers, and a reason where it is not taken."""

import gc
import random

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.compiled.runtime import cache
from pyode_bridge.engines import julia_engine
from pyode_bridge.errors import InputError, SolverError, UnsupportedError
from tests.garbage import cyclic_garbage
from tests.problems import DOUBLE, Coupled, Driven, Logistic

pytestmark = pytest.mark.julia

T = torch.linspace(0, 1, 5, dtype=DOUBLE)
Y0 = torch.tensor([0.4, 1.1], dtype=DOUBLE)
TIGHT = {"engine": "julia", "rtol": 1e-10, "atol": 1e-12}


def small_net():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double()


def large_net():
    torch.manual_seed(2)
    return torch.nn.Sequential(torch.nn.Linear(2, 40), torch.nn.Softplus(), torch.nn.Linear(40, 2)).double()


class Autonomous(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, t, y):
        return self.net(y**3) * torch.cos(t)


def gradients(func, lane, y0=Y0, **settings):
    """Values, and gradients of a weighted sum with respect to the initial state and each parameter."""
    y0 = y0.clone().requires_grad_()
    sol = pb.solve(func, y0, T, lane=lane, **{**TIGHT, **settings})
    weights = torch.linspace(1, 2, sol.y.numel(), dtype=sol.y.dtype).view(sol.y.shape)
    wanted = [y0, *(func.parameters() if isinstance(func, torch.nn.Module) else ())]
    return sol, torch.autograd.grad((sol.y * weights).sum(), wanted)


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
@pytest.mark.parametrize("make", [Logistic, Driven, lambda: Autonomous(small_net()), lambda: Autonomous(large_net())])
def test_both_lanes_give_the_same_values_and_gradients(make, method):
    func = make()
    compiled, grads = gradients(func, "compiled", method=method)
    called, expected = gradients(func, "callback", method=method)
    assert (compiled.lane, called.lane) == ("compiled", "callback")
    torch.testing.assert_close(compiled.y, called.y, rtol=1e-9, atol=1e-11)
    for grad, true in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, true, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sensealg", ["InterpolatingAdjoint", "GaussAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"])
def test_adjoints_of_compiled_dynamics(sensealg):
    func = Autonomous(small_net())
    _, grads = gradients(func, "compiled", method="Tsit5", sensealg=sensealg)
    _, expected = gradients(func, "callback", method="Tsit5", sensealg=sensealg)
    for grad, true in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, true, rtol=1e-6, atol=1e-8)


def test_against_a_solution_in_closed_form():
    func = Coupled()
    y0 = torch.ones(4, dtype=DOUBLE)
    sol = pb.solve(func, y0, T, method="Vern9", lane="compiled", **TIGHT)
    torch.testing.assert_close(sol.y, func.exact(T), rtol=1e-8, atol=1e-8)


def test_single_precision_and_structured_states():
    def func(t, state):
        return {"q": state["v"], "v": -state["q"] * torch.sigmoid(t)}

    y0 = {"q": torch.ones(2, 3), "v": torch.zeros(2, 3)}
    settings = {"engine": "julia", "method": "Tsit5", "rtol": 1e-6, "atol": 1e-6}
    compiled = pb.solve(func, y0, T.float(), lane="compiled", **settings)
    called = pb.solve(func, y0, T.float(), lane="callback", **settings)
    torch.testing.assert_close(compiled.y["v"], called.y["v"], rtol=1e-4, atol=1e-4)


def test_decreasing_times():
    func = Driven()
    sol = pb.solve(func, Y0, T.flip(0), lane="compiled", method="Tsit5", **TIGHT)
    torch.testing.assert_close(sol.y, func.exact(Y0, T.flip(0)), rtol=1e-8, atol=1e-8)


def test_writing_in_place_is_translated():
    def func(t, y):
        dy = torch.zeros_like(y)
        dy[0] = y[1]
        dy[1] = -y[0]
        return dy

    sol = pb.solve(func, Y0, T, lane="compiled", method="Vern9", **TIGHT)
    exact = torch.stack([Y0[0] * T.cos() + Y0[1] * T.sin(), Y0[1] * T.cos() - Y0[0] * T.sin()], -1)
    torch.testing.assert_close(sol.y, exact, rtol=1e-9, atol=1e-9)


RATES = torch.tensor([0.3, 0.5], dtype=DOUBLE)


def turned(t, y):
    y.mul_(-1.3)
    return y


def held(t, y):
    y[0] = 0.0
    return y.add_(t)


def summed(t, y):
    out = -RATES
    out.add_(1)
    out *= y
    return out


IN_PLACE = [
    (turned, lambda t, y: -1.3 * y),
    (held, lambda t, y: torch.stack([0 * y[0] + t, y[1] + t])),
    (summed, lambda t, y: (1 - RATES) * y),
]


@pytest.mark.parametrize(("func", "pure"), IN_PLACE)
def test_changes_in_place_are_those_of_a_copy(func, pure):
    sol, grads = gradients(func, "compiled", method="Rodas5P")
    expected, true = gradients(pure, "callback", method="Rodas5P")
    torch.testing.assert_close(sol.y, expected.y, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(grads, true, rtol=1e-7, atol=1e-9)


def test_a_start_at_equilibrium_is_compiled_with_its_gradients():
    weights = torch.rand(7, 7, dtype=DOUBLE)
    weights = weights + weights.mT
    laplacian = torch.diag(weights.sum(0)) - weights
    level = torch.full((7,), 1.7, dtype=DOUBLE)
    scale = torch.ones((), dtype=DOUBLE, requires_grad=True)
    y0 = level.clone().requires_grad_()
    sol = pb.solve(lambda t, y: -scale * (laplacian @ y), y0, T, lane="compiled", method="Tsit5", **TIGHT)
    torch.testing.assert_close(sol.y, level.expand(5, 7), rtol=1e-12, atol=1e-12)
    to_state, to_scale = torch.autograd.grad(sol.y[-1, 0], [y0, scale])
    torch.testing.assert_close(to_state, torch.linalg.matrix_exp(-laplacian)[0], rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(to_scale, torch.zeros((), dtype=DOUBLE), rtol=0, atol=1e-8)


def test_training_compiles_once_and_sees_new_weights():
    func = Autonomous(small_net())
    optimizer = torch.optim.SGD(func.parameters(), lr=0.1)
    seconds, losses = [], []
    for _ in range(3):
        sol = pb.solve(func, Y0, T, method="Tsit5", engine="julia")
        seconds.append(sol.stats.compile_seconds)
        loss = sol.y[-1].square().sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sol.lane == "compiled"
    assert seconds[1:] == [0.0, 0.0]
    assert len(set(losses)) == 3
    assert sol.y[-1].square().sum().item() == pytest.approx(
        pb.odeint(func, Y0, T, method="Tsit5", engine="julia", lane="callback")[-1].square().sum().item(), rel=0.5
    )


def test_another_shape_is_compiled_anew_and_says_so():
    rate = torch.tensor(0.5, dtype=DOUBLE)

    def func(t, y):
        return -rate * y

    first = pb.solve(func, torch.ones(3, dtype=DOUBLE), T, engine="julia", method="Tsit5")
    again = pb.solve(func, torch.ones(3, dtype=DOUBLE), T, engine="julia", method="Tsit5")
    other = pb.solve(func, torch.ones(4, dtype=DOUBLE), T, engine="julia", method="Tsit5")
    assert first.stats.compile_seconds > 0 == again.stats.compile_seconds
    assert other.stats.compile_seconds > 0


def depends_on_data(t, y):
    return y if y.sum() > 0 else -y


def is_random(t, y):
    return y * (1 + 0 * torch.rand(2, dtype=y.dtype))


def is_unknown(t, y):
    return torch.linalg.eigvals(torch.diag(y)).real - 2 * y


class Counting(torch.nn.Module):
    calls = 0

    def forward(self, t, y):
        self.calls += 1
        return -y


@pytest.mark.filterwarnings("ignore::pyode_bridge.RandomWarning")
@pytest.mark.parametrize(
    ("func", "reason"),
    [
        (depends_on_data, "takes a Python value out of a tensor"),
        (is_random, "random"),
        (is_unknown, "no translation"),
        (Counting(), "changes what it reads"),
    ],
)
def test_what_does_not_translate_is_called_and_the_solution_says_why(func, reason):
    sol = pb.solve(func, Y0, T, engine="julia", method="Tsit5")
    assert sol.lane == "callback"
    assert reason in sol.lane_reason
    with pytest.raises(UnsupportedError, match=reason):
        pb.solve(func, Y0, T, engine="julia", method="Tsit5", lane="compiled")


def test_a_hook_of_one_module_leaves_others_of_its_class_compiled():
    def solved(module):
        return pb.solve(lambda t, y: module(y), Y0, T, engine="julia", method="Tsit5")

    hooked, plain = (torch.nn.Sequential(torch.nn.Linear(2, 2, dtype=Y0.dtype), torch.nn.Tanh()) for _ in range(2))
    calls = []
    hooked.register_forward_hook(lambda module, given, value: calls.append(len(calls)))
    assert "changes what it reads" in solved(hooked).lane_reason
    assert solved(plain).lane == "compiled"


def test_a_value_from_outside_of_what_can_be_seen_is_noticed():
    source = random.Random(0)

    def func(t, y):
        return y * source.random()

    sol = pb.solve(func, Y0, T, engine="julia", method="Tsit5", options={"dt": 0.1, "adaptive": False})
    assert sol.lane == "callback"


def test_complex_states_and_equations_in_parts_are_compiled():
    assert pb.solve(lambda t, y: 1j * y, Y0.to(torch.complex128), T, engine="julia", method="Tsit5").lane == "compiled"
    split = pb.Split(lambda t, y: -y, lambda t, y: -y)
    assert pb.solve(split, Y0, T, engine="julia", method="KenCarp4").lane == "compiled"


def test_an_unknown_lane_is_refused():
    with pytest.raises(InputError, match="'fast'"):
        pb.solve(lambda t, y: y, Y0, T, lane="fast")


def test_many_versions_of_one_function_are_not_all_compiled(monkeypatch):
    monkeypatch.setattr(cache, "MOST_OF_ONE_CODE", 2)

    def make(rate):
        return lambda t, y: -rate * y

    found = [pb.solve(make(float(rate)), Y0, T, engine="julia", method="Tsit5").lane for rate in range(1, 5)]
    assert found == ["compiled", "compiled", "callback", "callback"]


def test_one_function_of_many_shapes_is_compiled_for_each(monkeypatch):
    monkeypatch.setattr(cache, "MOST_OF_ONE_CODE", 2)
    func = Logistic()
    found = [pb.solve(func, Y0[:1].repeat(n), T, engine="julia", method="Tsit5").lane for n in range(5, 9)]
    assert found == ["compiled"] * 4


def test_a_failing_solve_says_so_as_ever():
    with pytest.raises(SolverError):
        pb.solve(lambda t, y: y**2 * 10, Y0, 10 * T, engine="julia", method="Tsit5", lane="compiled")


def test_a_solve_leaves_nothing_for_the_collector_of_cycles():
    left = cyclic_garbage(lambda: gradients(Logistic(), "compiled", method="Tsit5"))
    assert [kind for kind in left if kind.__module__.startswith(("pyode_bridge", "torch"))] == []


def test_one_solve_after_another_has_the_same_memory_and_two_at_once_have_not():
    func, y0 = Logistic(), Y0.clone().requires_grad_()
    first = pb.odeint(func, y0, T, lane="compiled", method="Tsit5", **TIGHT)
    second = pb.odeint(func, 2 * y0, T, lane="compiled", method="Tsit5", **TIGHT)
    (expected,) = torch.autograd.grad(second[-1].sum(), y0, retain_graph=True)
    (of_first,) = torch.autograd.grad(first[-1].sum(), y0)
    del first, second

    def idle():
        known = julia_engine()._bridge.translations.known.values()
        return [list(translation.workspaces.idle.values()) for translation in known]

    known = [list(map(len, of_one)) for of_one in idle()]
    again = pb.odeint(func, 2 * y0, T, lane="compiled", method="Tsit5", **TIGHT)
    (found,) = torch.autograd.grad(again[-1].sum(), y0)
    del again
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert not torch.allclose(of_first, expected)
    assert known == [list(map(len, of_one)) for of_one in idle()]


def test_training_works_in_one_workspace(monkeypatch):
    bridge, made = julia_engine()._bridge, []
    make = bridge.workspace
    monkeypatch.setattr(bridge, "workspace", lambda *args: made.append(args) or make(*args))
    func = Autonomous(small_net())
    for _ in range(4):
        gradients(func, "compiled", method="Tsit5")
    assert len(made) <= 1


def test_a_jacobian_that_was_not_compiled_is_asked_for_at_each_solve():
    """ForwardSensitivity wants one with an explicit solver too."""
    func = Logistic()
    for scale in (1.0, 2.0):
        asked = {"y0": scale * Y0, "method": "Tsit5", "sensealg": "ForwardSensitivity"}
        sol, grads = gradients(func, "compiled", **asked)
        _, expected = gradients(func, "callback", **asked)
        assert sol.lane == "compiled"
        for grad, true in zip(grads, expected, strict=True):
            torch.testing.assert_close(grad, true, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sensealg", ["GaussAdjoint", "QuadratureAdjoint"])
def test_equations_that_are_kept_outlive_the_solves_that_made_them(sensealg):
    """They ask for the product with no parameters too, once from Python's memory that was gone (a crash)."""
    for _ in range(3):
        _, (grad,) = gradients(lambda t, y: -y * torch.cos(t), "compiled", method="Rodas5P", sensealg=sensealg)
        weights = torch.linspace(1, 2, 10, dtype=DOUBLE).view(5, 2)
        exact = (weights * torch.exp(-torch.sin(T))[:, None]).sum(0)
        torch.testing.assert_close(grad, exact, rtol=1e-6, atol=1e-8)
        gc.collect()
