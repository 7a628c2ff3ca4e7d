"""Solves in a worker: the values, gradients and errors of this process, and nothing that calls Python."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from contextlib import redirect_stderr
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines import isolated_engine
from pyode_bridge.engines.julia.isolation.messages import SERVICE
from tests.problems import DOUBLE, SPIRAL, Linear

pytestmark = [
    pytest.mark.julia,
    pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS"),
    pytest.mark.timeout(240),
]

Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
T = torch.linspace(0, 1, 4, dtype=DOUBLE)
TIGHT = {"rtol": 1e-8, "atol": 1e-10}
EXPLICIT: dict[str, Any] = {"method": "Tsit5", "isolation": "process"}


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def predator_and_prey(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack([1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]])


def worker() -> Any:
    return isolated_engine()._bridge.worker  # type: ignore[attr-defined]


def assert_solves_are_right(times: Tensor = T, **settings: Any) -> None:
    """The spiral with its gradients, against the closed form."""
    problem, y0 = Linear(SPIRAL), Y0.clone().requires_grad_()
    sol = pb.solve(problem, y0, times, **{**EXPLICIT, **TIGHT, **settings})
    assert (sol.engine, sol.lane) == ("julia", "compiled")
    exact = problem.exact(y0, times)
    torch.testing.assert_close(sol.y, exact, rtol=1e-6, atol=1e-7)
    inputs = (y0, problem.matrix)
    found = torch.autograd.grad(sol.y.square().sum(), inputs)
    torch.testing.assert_close(found, torch.autograd.grad(exact.square().sum(), inputs), rtol=1e-5, atol=1e-6)


def test_the_worker_has_no_torch() -> None:
    pb.odeint(decay, Y0, T, **EXPLICIT)
    report = worker().call(SERVICE, "report")
    assert report["torch"] is False
    assert report["pid"] == worker().pid != os.getpid()


@pytest.mark.parametrize("method", ["Tsit5", "DP5", "Rodas5P", "FBDF", None, "rk4", "AutoTsit5(Rosenbrock23())"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_are_those_of_this_process(method: str | None, dtype: torch.dtype) -> None:
    settings = {"method": method, "rtol": 1e-5, "atol": 1e-6, "options": {"dt": 0.01}}
    y0, t = torch.ones(2, dtype=dtype), torch.linspace(0, 3, 7, dtype=DOUBLE)
    there, here = (
        pb.solve(predator_and_prey, y0, t, lane="compiled", isolation=isolation, **settings)
        for isolation in ("process", "none")
    )
    torch.testing.assert_close(there.y, here.y, rtol=1e-12 if dtype == DOUBLE else 1e-5, atol=0)
    counts = [(sol.stats.nfe, sol.stats.njac, sol.stats.accepted, sol.stats.rejected) for sol in (there, here)]
    assert counts[0] == counts[1]
    assert (there.algorithm, there.retcode) == (here.algorithm, here.retcode)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sensealg": "InterpolatingAdjoint"},
        {"sensealg": "GaussAdjoint"},
        {"sensealg": "BacksolveAdjoint"},
        {"sensealg": "ForwardSensitivity"},
        {"method": "Rodas5P"},
        {"times": T.flip(0)},
        {"method": "Rodas5P", "mass_matrix": torch.eye(2, dtype=DOUBLE)},
        {"atol": torch.tensor([1e-10, 1e-9], dtype=DOUBLE)},
        {"adjoint_method": "Vern7", "adjoint_rtol": 1e-9},
    ],
    ids=lambda settings: ",".join(settings) or "default",
)
def test_gradients_are_those_of_the_closed_form(settings: dict[str, Any]) -> None:
    assert_solves_are_right(**settings)


def test_a_pullback_after_further_solves_and_with_other_weights() -> None:
    class Decay(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = torch.nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -self.rate * y

    func, y0 = Decay(), Y0.clone().requires_grad_()
    first = pb.odeint(func, y0, T, **EXPLICIT, **TIGHT)
    with torch.no_grad():
        exact = Y0 * torch.exp(-0.5 * T)[:, None]
        torch.testing.assert_close(first, exact, rtol=1e-7, atol=1e-8)
    for scale in (2.0, 3.0):
        pb.odeint(func, scale * y0, T, **EXPLICIT, **TIGHT)
    grad_y0, grad_rate = torch.autograd.grad(first[-1].sum(), (y0, func.rate))
    torch.testing.assert_close(grad_y0, torch.full_like(y0, 0.5).neg().exp(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(grad_rate, -exact[-1].sum(), rtol=1e-6, atol=1e-7)
    with torch.no_grad():
        func.rate.fill_(0.8)
    sol = pb.solve(func, y0, T, **EXPLICIT, **TIGHT)
    assert sol.stats.compile_seconds == 0
    torch.testing.assert_close(sol.y, y0 * torch.exp(-0.8 * T)[:, None], rtol=1e-7, atol=1e-8)


def test_a_layer_trains() -> None:
    class Field(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.net(y)

    layer = pb.NeuralODE(Field(), method="Tsit5", isolation="process")
    optimizer = torch.optim.Adam(layer.parameters(), 0.02)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = (layer(torch.ones(3, 2))[-1] - 2).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_structured_state_and_a_tensor_that_is_not_contiguous() -> None:
    matrix = torch.arange(6.0, dtype=DOUBLE).view(2, 3)[:, ::2].mT

    def func(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return matrix @ y[0] - y[0], y[1] - 0.5 * y[1]

    state = (Y0, torch.ones(3, dtype=DOUBLE))
    there, here = (
        pb.solve(func, state, T, method="Tsit5", lane="compiled", isolation=isolation)
        for isolation in ("process", "none")
    )
    for found, expected in zip(there.y, here.y, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_dense_solutions() -> None:
    sol = pb.solve(decay, Y0, T, dense=True, **EXPLICIT, **TIGHT)
    times = torch.linspace(0, 1, 13, dtype=DOUBLE)
    torch.testing.assert_close(sol(times), Y0 * torch.exp(-times)[:, None], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(sol(0.5, derivative=1), -Y0 * torch.exp(torch.tensor(-0.5)), rtol=1e-4, atol=1e-5)
    assert sol.steps[0] == 0
    assert sol.steps[-1] == 1


def test_the_bar_follows_the_worker() -> None:
    with redirect_stderr(io.StringIO()) as shown:
        pb.solve(
            lambda t, y: -torch.sin(1000 * t) * y,
            Y0,
            torch.tensor([0.0, 3000.0], dtype=DOUBLE),
            progress=True,
            options={"maxiters": 10**8},
            **EXPLICIT,
        )
    assert "100%" in shown.getvalue()
    assert len({part.split("%")[0] for part in shown.getvalue().split("\r")}) > 3


def test_the_variable_isolates_a_whole_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ISOLATION", "process")
    before = worker()._outbox.mailbox
    engine = isolated_engine()
    assert pb.solve(decay, Y0, T, method="Tsit5").engine == "julia"
    assert engine is isolated_engine()
    assert before is worker()._outbox.mailbox
    assert len(pb.solvers(problem="ODE", family="Rosenbrock")) > 5
    with pytest.raises(pb.UnsupportedError, match="PYODE_BRIDGE_ISOLATION=none"):
        pb.daeint(lambda t, y, dy: dy + y if y.sum() > 0 else dy, Y0, T, dy0=-Y0)
    assert pb.solve(lambda t, y: -y if y.sum() > 0 else y, Y0, T, isolation="none").lane == "callback"
    assert pb.solve(decay, Y0, T, method="DP5", engine="embedded").engine == "embedded"


def untranslatable(t: Tensor, y: Tensor) -> Tensor:
    return -y if y.sum() > 0 else y


@pytest.mark.parametrize(
    ("func", "settings", "words"),
    [
        (untranslatable, {}, "it takes a Python value out of a tensor"),
        (decay, {"lane": "callback"}, "lane='callback'"),
        (decay, {"options": {"isoutofdomain": lambda t, y: y.sum().item() < 0}}, "isoutofdomain"),
        (decay, {"method": "Exprb32"}, "asks for something .* not translated"),
        (pb.Split(decay, untranslatable), {"method": "KenCarp4"}, "it takes a Python value out of a tensor"),
    ],
    ids=["data-dependent", "callbacks", "predicate", "Jacobian", "parts"],
)
def test_what_calls_python_is_refused(func: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=rf"(?s){words}.*isolation='none'"):
        pb.odeint(func, Y0, T, **{**EXPLICIT, **settings})


def test_events_and_derivatives_are_solved_there_where_they_compile() -> None:
    with torch.no_grad():
        found = pb.solve_events(decay, Y0, T, [pb.Event(lambda t, y: y[0] - 0.5)], **EXPLICIT)
    assert found.trajectories[0].lane == "compiled"
    seconds = []
    for isolation in ("process", "none"):
        y0 = Y0.clone().requires_grad_()
        y = pb.odeint(decay, y0, T, **{**EXPLICIT, "isolation": isolation})
        (grad,) = torch.autograd.grad(y.square().sum(), y0, create_graph=True)
        seconds.append(torch.autograd.grad(grad.sum(), y0)[0])
    torch.testing.assert_close(*seconds)
    with pytest.raises(pb.UnsupportedError, match=r"conditions of events are Python.*isolation='none'"):
        pb.solve_events(decay, Y0, T, [pb.Event(lambda t, y: y[0] if y[0] > 0.5 else y[0] - 0.5)], **EXPLICIT)
    with pytest.raises(pb.UnsupportedError, match=r"takes a Python value out of a tensor.*isolation='none'"):
        torch.func.grad(lambda y0: pb.odeint(untranslatable, y0, T, **EXPLICIT).sum())(Y0)
    assert_solves_are_right()


def test_errors_are_those_of_this_process() -> None:
    y0 = Y0.clone().requires_grad_()
    for isolation in ("none", "process"):
        settings: dict[str, Any] = {"isolation": isolation}
        with pytest.raises(pb.UnknownSolverError, match=r"Tsit6 is no name .* Did you mean .*Tsit5"):
            pb.odeint(decay, Y0, T, method="Tsit6", **settings)
        with pytest.raises(pb.UnknownSensealgError, match="NoAdjoint"):
            pb.odeint(decay, y0, T, method="Tsit5", sensealg="NoAdjoint", **settings)
        with pytest.raises(pb.UnsupportedError, match="pairs"):
            pb.odeint(decay, Y0, T, method="McAte2", **settings)
        with pytest.raises(pb.SolverError, match="maximum number of steps") as caught:
            pb.odeint(decay, Y0, 1000 * T, method="Tsit5", options={"maxiters": 5}, **settings)
        assert caught.value.retcode == "MaxIters"
        assert 0 < caught.value.t < 1000
        with pytest.raises(pb.InputError, match="expected finite"):
            pb.odeint(lambda t, y: y / 0, Y0, T, method="Tsit5", **settings)
    from juliacall import Main

    algorithm = Main.seval("using OrdinaryDiffEqTsit5; Tsit5()")
    with pytest.raises(pb.UnsupportedError, match="an object of the Julia in this process"):
        pb.odeint(decay, Y0, T, method=algorithm, isolation="process")


def crash(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


ENDLESS = {"t": torch.tensor([0.0, 1e6], dtype=DOUBLE), "options": {"maxiters": 10**9}}


def swinging(t: Tensor, y: Tensor) -> Tensor:
    return -torch.sin(1000 * t) * y


def after(seconds: float, act: Any, *args: Any) -> None:
    threading.Timer(seconds, act, args).start()


def test_a_kill_in_a_solve_is_an_exception_and_the_next_solve_is_right() -> None:
    pb.odeint(swinging, Y0, T, **EXPLICIT)  # is compiled
    after(0.5, crash, worker().pid)
    began = time.monotonic()
    with pytest.raises(pb.WorkerError, match=r"was ended by SIGKILL before it had answered; the next solve"):
        pb.odeint(swinging, Y0, **ENDLESS, **EXPLICIT)
    assert time.monotonic() - began < 10
    assert_solves_are_right()


def test_an_abort_within_julia_says_what_julia_said() -> None:
    text = (
        "function f(o::Ptr{Float64}, y::Ptr{Float64}, s::Float64, e::Ptr{Int})::Cint; ccall(:abort, Cvoid, ()); 0; end"
    )
    bridge = isolated_engine()._bridge  # type: ignore[attr-defined]
    (address,) = bridge.compile(text, "float64", [("f", 2)])
    with pytest.raises(pb.WorkerError, match=r"(?s)was ended by SIGABRT.*It said:.*signal .*Abort"):
        bridge.worker.call(SERVICE, "evaluate", address, 0, [0], 0.0, 0)
    assert_solves_are_right()


def test_a_kill_between_solves_is_told_and_old_graphs_say_so() -> None:
    y0 = Y0.clone().requires_grad_()
    y, dense = pb.odeint(decay, y0, T, **EXPLICIT), pb.solve(decay, Y0, T, dense=True, **EXPLICIT)
    old = worker()
    crash(old.pid)
    while old._process.poll() is None:
        time.sleep(0.01)
    with pytest.warns(RuntimeWarning, match=r"was ended by SIGKILL, while it had nothing to do"):
        assert_solves_are_right()
    with pytest.raises(pb.WorkerError, match=r"that solved this .* was ended by SIGKILL.*Solve again"):
        y.sum().backward()
    with pytest.raises(pb.WorkerError, match="Solve again"):
        dense(0.5)
    assert_solves_are_right()


def test_a_kill_in_a_backward() -> None:
    y0 = Y0.clone().requires_grad_()
    settings = {
        "sensealg": "BacksolveAdjoint",
        "rtol": 1e-3,
        "atol": 1e-3,
        "adjoint_rtol": 1e-13,
        "adjoint_atol": 1e-13,
    }
    t = torch.tensor([0.0, 500.0], dtype=DOUBLE)
    y = pb.odeint(lambda t, y: -torch.sin(100 * t) * y, y0, t, options={"maxiters": 10**9}, **settings, **EXPLICIT)
    after(0.3, crash, worker().pid)
    with pytest.raises(pb.WorkerError, match="SIGKILL"):
        _ = [torch.autograd.grad(y.sum(), y0, retain_graph=True) for _ in range(10**6)]
    assert_solves_are_right()


def test_ctrl_c_ends_a_solve_at_once_and_the_next_one_is_right() -> None:
    pb.odeint(swinging, Y0, T, **EXPLICIT)
    after(0.5, os.kill, os.getpid(), signal.SIGINT)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pb.odeint(swinging, Y0, **ENDLESS, **EXPLICIT)
    assert time.monotonic() - began < 5
    assert_solves_are_right()
