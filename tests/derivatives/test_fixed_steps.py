"""Gradients of fixed steps: those of torchdiffeq's names are exact, as autograd's through the same steps."""

import itertools

import pytest
import torch

import pyode_bridge as pb

# Butcher tableaus: the weights of each stage, those of the step; the times are the sums.
TABLEAUS = {
    "euler": ([[]], [1.0]),
    "midpoint": ([[], [0.5]], [0.0, 1.0]),
    "heun2": ([[], [1.0]], [0.5, 0.5]),
    "rk4": ([[], [1 / 3], [-1 / 3, 1.0], [1.0, -1.0, 1.0]], [1 / 8, 3 / 8, 3 / 8, 1 / 8]),
}


class Driven(torch.nn.Module):
    """A forced nonlinear system, far from resolved by the steps below."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.tensor([[-0.3, 2.0], [-2.0, -0.1]], dtype=torch.float64))
        self.force = torch.nn.Parameter(torch.tensor([0.7, -0.4], dtype=torch.float64))

    def forward(self, t, y):
        return torch.tanh(self.matrix @ y) * y.norm() + self.force * torch.sin(3 * t)


def step(func, method, t, y, h):
    rows, weights = TABLEAUS[method]
    stages = []
    for row in rows:
        moved = y + h * sum((a * k for a, k in zip(row, stages, strict=True)), torch.zeros_like(y))
        stages.append(func(t + sum(row) * h, moved))
    return y + h * sum(b * k for b, k in zip(weights, stages, strict=True))


def reference(func, method, y0, t, dt=None):
    """The values at ``t`` of steps that autograd follows; between steps, by Hermite's cubic."""
    times = t if dt is None else torch.cat([torch.arange(t[0], t[-1] - 1e-9, dt, dtype=t.dtype), t[-1:]])
    y, values, wanted = y0, [y0], 1
    for start, end in itertools.pairwise(times):
        h = end - start
        after = step(func, method, start, y, h)
        while wanted < len(t) and (t[wanted] - end) * h.sign() <= 1e-12:
            s = (t[wanted] - start) / h
            slopes = h * func(start, y), h * func(end, after)
            inner = (1 - 2 * s) * (after - y) + (s - 1) * slopes[0] + s * slopes[1]
            values.append((1 - s) * y + s * after + s * (s - 1) * inner)
            wanted += 1
        y = after
    return torch.stack(values)


def gradients(solve, y0, func):
    loss = (solve(func, y0) * torch.tensor([1.0, -0.5], dtype=torch.float64)).square().sum()
    return torch.autograd.grad(loss, (y0, *func.parameters()))


@pytest.mark.parametrize("method", TABLEAUS)
@pytest.mark.parametrize("dt", [None, 0.25, 0.2])
@pytest.mark.parametrize("lane", ["auto", "callback"])
def test_gradients_are_those_of_the_steps(engine, method, dt, lane):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 0.5, 1.0, 1.6, 2.0], dtype=torch.float64)
    options = None if dt is None else {"step_size": dt, "interp": "cubic"}

    def bridge(func, y0):
        return pb.odeint(func, y0, t, method=method, options=options, engine=engine, lane=lane)

    found = gradients(bridge, y0, func)
    true = gradients(lambda func, y0: reference(func, method, y0, t, dt), y0, func)
    for grad, other in zip(found, true, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-10, atol=1e-12)


def test_decreasing_times(engine):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([1.0, 0.6, 0.0], dtype=torch.float64)
    found = gradients(lambda func, y0: pb.odeint(func, y0, t, method="midpoint", engine=engine), y0, func)
    true = gradients(lambda func, y0: reference(func, "midpoint", y0, t), y0, func)
    for grad, other in zip(found, true, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-10, atol=1e-12)


def test_the_solution_says_so(engine):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    solution = pb.solve(func, y0, torch.tensor([0.0, 1.0]), method="rk4", engine=engine)
    assert solution.sensealg == ("TorchAdjoint" if engine == "embedded" else "DiscreteAdjoint")
    assert "steps are fixed" in solution.sensealg_reason


def test_a_sensealg_by_name_goes_before(engine):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 1.0])
    solution = pb.solve(func, y0, t, method="rk4", sensealg="BacksolveAdjoint", engine=engine)
    assert solution.sensealg.startswith("BacksolveAdjoint")


@pytest.mark.parametrize("given", [{"adjoint_options": {"step_size": 0.01}}, {"adjoint_rtol": 1e-3}])
def test_settings_of_a_backward_solve_ask_for_one(engine, given):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 1.0])
    solution = pb.solve(func, y0, t, method="rk4", options={"step_size": 0.01}, engine=engine, **given)
    assert solution.sensealg.startswith("BacksolveAdjoint")


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Tsit5", "DP5", "BS3", "Vern7", "SSPRK43", "RK4", "OwrenZen3"])
def test_adaptive_steps_of_any_explicit_method(method):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 0.3, 2.0], dtype=torch.float64)
    tolerances = {"rtol": 1e-10, "atol": 1e-12, "method": method, "engine": "julia"}
    found = gradients(lambda func, y0: pb.odeint(func, y0, t, sensealg="DiscreteAdjoint", **tolerances), y0, func)
    fine = {"rtol": 1e-12, "atol": 1e-14, "method": "dopri8", "engine": "embedded", "sensealg": "TorchAdjoint"}
    true = gradients(lambda func, y0: pb.odeint(func, y0, t, **fine), y0, func)
    for grad, other in zip(found, true, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-7, atol=1e-8)


EXPLICIT = ["Tsit5", "DP5", "BS3", "Vern7", "RK4", "OwrenZen5", "SSPRK22", "RKO65", "DP8"]
BETWEEN = torch.tensor([0.0, 0.33, 0.5, 0.71, 1.62, 2.0], dtype=torch.float64)


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", ["DiscreteAdjoint", "DiscreteAdjoint(checkpointing=true)"])
@pytest.mark.parametrize("method", EXPLICIT)
@pytest.mark.parametrize("t", [BETWEEN, 2 - BETWEEN], ids=["forwards", "backwards"])
def test_values_between_the_steps_are_differentiated_as_the_solver_has_them(method, sensealg, t):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    steps = {"options": {"dt": 0.2, "adaptive": False}, "method": method, "engine": "julia"}

    def values(y0, *parameters):
        given = dict(zip(dict(func.named_parameters()), parameters, strict=True))
        moving = lambda t, y: torch.func.functional_call(func, given, (t, y))  # noqa: E731
        return pb.odeint(moving, y0, t, sensealg=sensealg, **steps)

    assert torch.autograd.gradcheck(values, (y0, *func.parameters()), rtol=1e-6, atol=1e-8)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["DP5", "Tsit5", "rk4"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_checkpoints_change_nothing_but_memory(method, dtype):
    func = Driven().to(dtype)
    y0, t = torch.tensor([1.0, 0.5], dtype=dtype, requires_grad=True), torch.linspace(0, 30, 7, dtype=dtype)
    settings = {"method": method, "engine": "julia", "rtol": 1e-6, "atol": 1e-6}
    if method == "rk4":
        settings = {"method": method, "engine": "julia", "options": {"step_size": 0.1}}

    def solved(sensealg):
        return lambda func, y0: pb.odeint(func, y0, t, sensealg=sensealg, **settings)

    kept = gradients(solved("DiscreteAdjoint"), y0, func)
    again = gradients(solved("DiscreteAdjoint(checkpointing=true)"), y0, func)
    rtol = 1e-3 if dtype == torch.float32 else 1e-9
    for found, expected in zip(again, kept, strict=True):
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol)


class AtRest(torch.nn.Module):
    """Dynamics with a fixed point at zero, to which they return at this rate."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, t, y):
        return -self.rate * y - y**3


@pytest.mark.julia
@pytest.mark.parametrize("rate", [3.0, 30.0])
def test_the_choice_resolves_what_the_steps_did_not_have_to(rate):
    y0, t = torch.zeros(1, dtype=torch.float64, requires_grad=True), torch.tensor([0.0, 1.0], dtype=torch.float64)

    def by_start(sensealg):
        end = pb.odeint(AtRest(rate), y0, t, method="Tsit5", sensealg=sensealg, engine="julia")[-1]
        return torch.autograd.grad(end.sum(), y0)[0]

    exact = torch.tensor([-rate], dtype=torch.float64).exp()
    torch.testing.assert_close(by_start("auto"), exact, rtol=1e-6, atol=1e-9)
    assert (by_start("DiscreteAdjoint") - exact).abs() > 0.1, "steps of any length keep zero at zero"


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "AB3", "Anas5", "ROCK4"])
def test_methods_without_a_tableau_are_refused(method):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    settings = {"method": method, "sensealg": "DiscreteAdjoint", "engine": "julia"}
    fixed = {"options": {"dt": 0.1, "adaptive": False}} if method == "AB3" else {}
    with pytest.raises(pb.UnsupportedError, match="explicit Runge-Kutta"):
        pb.odeint(func, y0, torch.tensor([0.0, 1.0]), **settings, **fixed).sum().backward()


@pytest.mark.julia
@pytest.mark.parametrize("method", ["implicit_adams", "gl4"])
def test_checkpoints_want_steps_that_can_be_taken_again(method):
    func, y0 = Driven(), torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    settings = {"method": method, "sensealg": "DiscreteAdjoint(checkpointing=true)", "engine": "julia"}
    with pytest.raises(pb.UnsupportedError, match="leave checkpointing out"):
        pb.odeint(func, y0, torch.tensor([0.0, 1.0]), **settings)
