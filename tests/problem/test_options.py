"""Step options, progress, dense output and mass matrices."""

from __future__ import annotations

import gc
import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Driven, Logistic

Y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
T = torch.tensor([0.0, 0.5, 2.0], dtype=DOUBLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tstops": 3}, "list of finite times"),
        ({"tstops": [0.1, math.nan]}, "list of finite times"),
        ({"norm": "l1"}, "'rms', 'max'"),
        ({"controller": ""}, "PIController"),
        ({"isoutofdomain": True}, "function of t and y"),
        ({"adaptive": 1}, "True or False"),
        ({"maxiters": math.inf}, "positive whole number"),
        ({"dtmin": 0.2, "dtmax": 0.1}, "dtmin 0.2 above dtmax 0.1"),
    ],
)
def test_unusable_options_are_refused(engine: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(Logistic(), Y0, T, engine=engine, options=options)


@pytest.mark.parametrize(
    "options",
    [{"controller": "PIController()"}, {"isoutofdomain": lambda t, y: False}, {"unstable_check": lambda t, y: False}],
)
def test_the_embedded_engine_names_the_options_it_lacks(options: dict[str, Any]) -> None:
    with pytest.raises(pb.UnsupportedError, match=next(iter(options)) + ".*pyode_bridge install"):
        pb.odeint(Logistic(), Y0, T, engine="embedded", options=options)


@pytest.mark.parametrize(
    ("method", "options", "refused"),
    [
        ("RK4", {"adaptive": False, "dtmax": 0.1}, "dtmax with RK4"),
        ("Euler", {"dt": 0.1, "dtmin": 0.1}, "dtmin with Euler"),
        ("Euler", {"dt": 0.1, "adaptive": True}, "adaptive=True with Euler"),
        ("RadauIIA5", {"dtmin": 0.1}, "dtmin with RadauIIA5"),
        ("rk4", {"adaptive": True}, "name another, such as 'RK4'"),
        ("Euler", {"dt": 0.1, "tstops": [1.0]}, "tstops with Euler"),
        ("RadauIIA5", {"norm": "max"}, "norm with RadauIIA5"),
    ],
)
def test_the_embedded_solvers_refuse_options_that_they_would_drop(
    method: str, options: dict[str, Any], refused: str
) -> None:
    with pytest.raises(pb.UnsupportedError, match=refused):
        pb.odeint(Logistic(), Y0, T, engine="embedded", method=method, options=options)


def test_options_of_the_forward_solve_alone_are_refused_for_the_backward_solve(engine: str) -> None:
    for options in ({"isoutofdomain": lambda t, y: False}, {"unstable_check": lambda t, y: False}):
        with pytest.raises(pb.UnsupportedError, match=f"adjoint_options has {next(iter(options))}"):
            pb.odeint(Logistic(), Y0, T, engine=engine, method="DP5", adjoint_options=options)


@pytest.mark.parametrize(
    "given", [{"adjoint_method": "RK4"}, {"adjoint_rtol": 1e-3}, {"adjoint_atol": 1e-3}, {"adjoint_options": {"dt": 1}}]
)
def test_a_gradient_without_a_backward_solve_takes_no_settings_of_one(given: dict[str, Any]) -> None:
    with pytest.raises(pb.UnsupportedError, match=next(iter(given)) + " say how to solve backwards"):
        pb.odeint(Logistic(), Y0, T, engine="embedded", sensealg="TorchAdjoint", **given)


def test_arguments_that_a_function_would_drop_are_refused() -> None:
    event = pb.Event(lambda t, y: y[0] - 1)
    with pytest.raises(pb.InputError, match="solve_events has no argument 'dense'"):
        pb.solve_events(Logistic(), Y0, T, [event], dense=True)
    with pytest.raises(pb.InputError, match="solve_ensemble has no argument 'dense'"):
        pb.solve_ensemble(Logistic(), Y0[None], T, dense=True)
    with pytest.raises(pb.InputError, match=r"odeint_event has no argument 'metod'.*Did you mean method"):
        pb.odeint_event(Logistic(), Y0, T[0], event_fn=event.condition, metod="DP5")


def test_a_first_step_beyond_the_span_is_cut() -> None:
    y = pb.odeint(Logistic(), Y0, T, engine="embedded", method="RadauIIA5", options={"dt": 10.0})
    torch.testing.assert_close(y, Logistic().exact(Y0, T), rtol=1e-5, atol=1e-5)


def test_fixed_steps_from_time_to_time_count_too() -> None:
    t = torch.linspace(0.0, 1.0, 12, dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="MaxIters"):
        pb.odeint(Logistic(), Y0, t, method="rk4", options={"maxiters": 10}, engine="embedded")


@pytest.mark.parametrize("backward", [False, True])
def test_progress_reaches_the_end(engine: str, backward: bool, capsys: pytest.CaptureFixture[str]) -> None:
    y = pb.odeint(Driven(), Y0, T, engine=engine, method="dopri5", progress=True)
    if backward:
        capsys.readouterr()
        y.sum().backward()
    shown = capsys.readouterr().err
    assert ("adjoint" if backward else "solve") in shown
    assert "100%" in shown


def test_no_progress_is_shown_unless_asked_for(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    pb.odeint(Driven(), Y0, T, engine=engine, method="dopri5")
    assert capsys.readouterr().err == ""


def test_without_a_method_the_engine_chooses_and_says_what(engine: str) -> None:
    solution = pb.solve(Driven(), Y0, T, engine=engine, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solution.y, Driven().exact(Y0, T), rtol=1e-6, atol=1e-6)
    assert solution.algorithm == "DP5"


@pytest.mark.parametrize("method", ["Euler", "RK4"])
def test_fixed_steps_keep_no_tensor_for_each_step_when_embedded(method: str) -> None:
    kept: list[int] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        if not kept and t > 0.5:
            kept.append(tensors())
        return -y

    before, t = tensors(), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    options = {"dt": 1 / 1000, "adaptive": False}
    y = pb.odeint(f, torch.ones(1, dtype=DOUBLE), t, engine="embedded", method=method, options=options)
    assert y[-1].item() == pytest.approx(math.exp(-1), rel=1e-3)
    assert kept[0] - before < 500


def tensors() -> int:
    return sum(type(found) is Tensor for found in gc.get_objects())


def jump(t: Tensor, y: Tensor) -> Tensor:
    return torch.where(t < 1.0, 1.0, -1.0) * torch.ones_like(y)


@pytest.mark.parametrize("backwards", [False, True])
def test_steps_end_on_tstops(engine: str, backwards: bool) -> None:
    t = torch.tensor([2.0, 0.0] if backwards else [0.0, 2.0], dtype=DOUBLE)
    solution = pb.solve(
        jump, torch.zeros(1, dtype=DOUBLE), t, engine=engine, method="Tsit5", options={"tstops": [1.0]}, dense=True
    )
    assert (solution.steps == 1.0).any()
    assert abs(solution.y[-1].item()) < 1e-4  # a step that ends on the jump has a stage beyond it


@pytest.mark.julia
def test_a_step_out_of_the_domain_is_taken_again() -> None:
    # Explicit steps of dt = 1 overshoot below zero; the solution itself never leaves the positive numbers.
    seen: list[float] = []

    def negative(t: Tensor, y: Tensor) -> Tensor:
        seen.append(y.min().item())
        return (y < 0).any()

    options = {"isoutofdomain": negative, "dt": 1.0}
    solution = pb.solve(
        lambda t, y: -1.9 * y, Y0, T, engine="julia", method="Tsit5", rtol=1e3, atol=1e3, options=options, dense=True
    )
    assert min(seen) < 0 or len(seen) > 0
    assert (solution.y >= 0).all()


@pytest.mark.julia
def test_the_users_own_check_ends_a_solve() -> None:
    options = {"unstable_check": lambda t, y: bool((y > 1.0).any())}
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(Logistic(), Y0, T, engine="julia", method="Tsit5", options=options)
    assert caught.value.retcode == "Unstable"


@pytest.mark.julia
def test_an_exception_in_a_predicate_comes_back_as_itself() -> None:
    def broken(t: Tensor, y: Tensor) -> bool:
        raise ZeroDivisionError("in the predicate")

    with pytest.raises(ZeroDivisionError, match="in the predicate"):
        pb.odeint(Logistic(), Y0, T, engine="julia", method="Tsit5", options={"isoutofdomain": broken})


def evaluations(engine: str, options: dict[str, Any]) -> int:
    y0 = torch.cat([Y0, torch.zeros(98, dtype=DOUBLE)])  # many components without an error dilute the rms norm
    return pb.solve(Logistic(), y0, T, engine=engine, method="Tsit5", options=options).stats.nfe


def test_norm_reaches_the_solver(engine: str) -> None:
    assert evaluations(engine, {"norm": "max"}) > evaluations(engine, {})


@pytest.mark.julia
def test_controller_reaches_the_solver() -> None:
    assert evaluations("julia", {"controller": "IController()"}) != evaluations("julia", {})


@pytest.mark.julia
def test_a_controller_that_is_none_is_refused() -> None:
    with pytest.raises(pb.InputError, match=r"controller='Tsit5\(\)': Tsit5 is no name"):
        pb.odeint(Logistic(), Y0, T, engine="julia", options={"controller": "Tsit5()"})


@pytest.mark.julia
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("method", ["Tsit5", "Vern7", "Rodas5P", "FBDF"])
def test_dense_output_between_the_times(method: str, backwards: bool) -> None:
    problem = Driven()
    t = T.flip(0) if backwards else T
    with torch.no_grad():
        solution = pb.solve(problem, Y0, t, engine="julia", method=method, rtol=1e-9, atol=1e-9, dense=True)
        times = torch.linspace(0.05, 1.95, 7, dtype=DOUBLE)
        if backwards:
            times = times.flip(0)
        exact = problem.exact(Y0, torch.cat([t[:1], times]))[1:]
        slopes = torch.stack([problem(time, value) for time, value in zip(times, exact, strict=True)])
    scale = exact.abs().max()
    assert ((solution(times) - exact).abs().max() / scale).item() < 1e-5
    assert ((solution(times, derivative=1) - slopes).abs().max() / slopes.abs().max()).item() < 1e-3
    assert solution(1.0).shape == (2,)
    first, last = sorted((t[0].item(), t[-1].item()))
    assert solution.steps.min() == first
    assert solution.steps.max() == last


def test_dense_output_keeps_the_states_structure(engine: str) -> None:
    y0 = {"a": torch.ones(2, dtype=DOUBLE), "b": torch.ones((), dtype=torch.float64)}
    solution = pb.solve(lambda t, y: {"a": -y["a"], "b": y["b"]}, y0, T, engine=engine, method="Tsit5", dense=True)
    assert solution(0.3)["a"].shape == (2,)
    assert solution(torch.tensor([0.3, 0.4]))["b"].shape == (2,)


def test_times_outside_of_the_span_and_sparse_solutions_are_refused(engine: str) -> None:
    with pytest.raises(pb.UnsupportedError, match="dense=True"):
        pb.solve(Logistic(), Y0, T, engine=engine, method="dopri5")(0.3)
    solution = pb.solve(Logistic(), Y0, T, engine=engine, method="dopri5", dense=True)
    for wrong in (-0.1, math.nan, torch.tensor([0.1, 2.1])):
        with pytest.raises(pb.InputError, match=r"outside of the span that was solved, \[0, 2\]"):
            solution(wrong)


class Chain(torch.nn.Module):
    """``x' = -a x + z``, ``0 = z - b x``: with ``z`` eliminated, ``x = exp((b - a) t)``."""

    mass = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(2.0, dtype=DOUBLE))
        self.b = torch.nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        x, z = y
        return torch.stack([-self.a * x + z, z - self.b * x])

    def exact(self, t: Tensor) -> Tensor:
        x = torch.exp((self.b - self.a) * t)
        return torch.stack([x, self.b * x], dim=-1)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["Rodas5P", "FBDF", "RadauIIA5"])
def test_a_singular_mass_matrix_makes_a_dae(method: str) -> None:
    problem = Chain()
    y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
    with torch.no_grad():
        y = pb.odeint(problem, y0, T, method=method, engine="julia", mass_matrix=Chain.mass, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(y, problem.exact(T).detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.julia
def test_a_regular_mass_matrix_scales_the_equation() -> None:
    mass = torch.tensor([[2.0, 1.0], [0.0, 4.0]], dtype=DOUBLE)
    matrix = torch.linalg.solve(mass, -torch.eye(2, dtype=DOUBLE))
    y = pb.odeint(lambda t, y: -y, Y0, T, method="Rodas5P", engine="julia", mass_matrix=mass, rtol=1e-9, atol=1e-10)
    exact = torch.stack([torch.linalg.matrix_exp(matrix * time) @ Y0 for time in T])
    torch.testing.assert_close(y, exact, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("mass", "message"), [(torch.eye(3), r"shape \(2, 2\)"), ("M", "is a str"), (torch.eye(2).fill_(math.nan), "NaN")]
)
def test_unusable_mass_matrices_are_refused(engine: str, mass: Any, message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(Logistic(), Y0, T, engine=engine, mass_matrix=mass)


def test_explicit_solvers_and_the_embedded_engine_take_no_mass_matrix(engine: str) -> None:
    with pytest.raises(pb.BridgeError, match="mass"):
        pb.odeint(Logistic(), Y0, T, method="DP5", engine=engine, mass_matrix=torch.diag(torch.tensor([1.0, 0.0])))


def test_fixed_steps_beyond_maxiters_end_the_solve(engine):
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(lambda t, y: -y, Y0, T, method="euler", options={"dt": 1e-12}, engine=engine)
    assert caught.value.retcode == "MaxIters"


@pytest.mark.parametrize("method", ["DP5", "BS3", "dopri8", "DP8", "RadauIIA5", "QNDF", "lsoda", "CVODE_BDF"])
def test_maxiters_are_those_of_the_whole_solve_however_many_times_it_has(method):
    if method.startswith("CVODE"):
        pytest.importorskip("sksundae")
    t = torch.linspace(0.0, 100.0, 1000, dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="MaxIters"):
        pb.odeint(lambda t, y: torch.cos(t) * y, Y0, t, method=method, engine="embedded", options={"maxiters": 50})


@pytest.mark.julia
@pytest.mark.parametrize("method", ["DP5", "BS3", "RadauIIA5", "QNDF"])
def test_maxiters_are_those_of_the_whole_solve_in_julia(method):
    t = torch.linspace(0.0, 100.0, 1000, dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="MaxIters"):
        pb.odeint(lambda t, y: torch.cos(t) * y, Y0, t, method=method, engine="julia", options={"maxiters": 50})


@pytest.mark.parametrize(
    ("dtype", "rtol", "said"), [(torch.float32, 1e-9, True), (torch.float32, 1e-6, False), (torch.float64, 1e-9, False)]
)
def test_tolerances_finer_than_the_dtype_are_said(engine, dtype, rtol, said):
    y0, t = torch.ones(2, dtype=dtype), torch.tensor([0.0, 0.01])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pb.odeint(lambda t, y: -y, y0, t, rtol=rtol, atol=rtol / 2, method="dopri5", engine=engine)
    assert any(issubclass(one.category, pb.ToleranceWarning) for one in caught) == said
