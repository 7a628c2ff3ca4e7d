"""SciMLSensitivity's adjoints through the bridge: against closed forms and finite differences."""

from __future__ import annotations

import functools
import itertools
import math
import resource
import warnings

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.derivatives.test_gradients import gradients, relative_error
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic, Robertson
from tests.sensealgs import ADJOINTS, SENSEALGS, serves

pytestmark = pytest.mark.julia

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
TOLERANCES = [1e-6, 1e-10]
BOUND = 1e-6


@pytest.mark.filterwarnings("ignore:QuadratureAdjoint with a backward solve")
@pytest.mark.parametrize("problem", [Linear(SPIRAL), Logistic(), Driven()], ids=["linear", "logistic", "driven"])
@pytest.mark.parametrize(
    ("sensealg", "method"),
    [pair for pair in itertools.product(SENSEALGS, ["Tsit5", "Vern7", "Rodas5P"]) if serves(*pair)],
)
def test_closed_forms_within_ten_times_the_tolerance(sensealg: str, method: str, problem: nn.Module) -> None:
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 6, dtype=DOUBLE)
    weights = torch.randn(6, 2, dtype=DOUBLE)

    exact = gradients(problem, y0, t, weights, problem.exact)
    for tolerance in TOLERANCES:

        def solve(y0: Tensor, t: Tensor, tolerance: float = tolerance) -> Tensor:
            bounds = {"rtol": tolerance, "atol": tolerance}
            return pb.odeint(problem, y0, t, method=method, engine="julia", sensealg=sensealg, **bounds)

        for mine, theirs in zip(gradients(problem, y0, t, weights, solve), exact, strict=True):
            assert relative_error(mine, theirs) <= 10 * tolerance


@pytest.mark.parametrize("sensealg", SENSEALGS)
def test_finite_differences(sensealg: str) -> None:
    problem = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    y0 = torch.tensor([0.5, -0.3], dtype=DOUBLE)
    t = torch.linspace(0, 1, 4, dtype=DOUBLE)

    def loss() -> Tensor:
        func = lambda t, y: problem(y)  # noqa: E731
        y = pb.odeint(func, y0, t, method="Vern7", engine="julia", sensealg=sensealg, **TIGHT)
        return y.square().sum()

    (found,) = torch.autograd.grad(loss(), problem[0].weight)
    step = 1e-4
    weight = problem[0].weight
    differences = torch.empty_like(weight)
    with torch.no_grad():
        for index in range(weight.numel()):
            values = []
            for factor in (2, 1, -1, -2):
                original = weight.view(-1)[index].clone()
                weight.view(-1)[index] += factor * step
                values.append(loss())
                weight.view(-1)[index] = original
            differences.view(-1)[index] = (-values[0] + 8 * values[1] - 8 * values[2] + values[3]) / (12 * step)
    assert relative_error(found, differences) <= BOUND


@pytest.mark.parametrize("size", [1e-6, 1e6])
@pytest.mark.parametrize("sensealg", ADJOINTS)
def test_losses_of_any_size_in_single_precision(sensealg: str, size: float) -> None:
    problem, y0, t = Linear(SPIRAL), torch.tensor([0.5, 0.3], dtype=DOUBLE), torch.linspace(0, 1, 4, dtype=DOUBLE)
    weights = size * torch.randn(4, 2, dtype=DOUBLE)
    exact = gradients(problem, y0, t, weights, problem.exact)
    problem.float()

    def solve(y0: Tensor, t: Tensor) -> Tensor:
        tolerances = {"rtol": 1e-5, "atol": 1e-7, "adjoint_atol": 1e-7 * size}
        return pb.odeint(problem, y0, t, method="Tsit5", engine="julia", sensealg=sensealg, **tolerances)

    found = gradients(problem, y0.float(), t.float(), weights.float(), solve)
    for mine, theirs in zip(found, exact, strict=True):
        assert relative_error(mine.double(), theirs) <= 1e-4


@pytest.mark.parametrize(("method", "why"), [("rk4", "adaptive steps"), ("VCABM", "first step")])
def test_checkpointing_is_refused_to_solvers_that_cannot_start_anew(method: str, why: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=why):
        pb.odeint(
            Driven(),
            torch.ones(1, dtype=DOUBLE),
            torch.tensor([0.0, 1.0], dtype=DOUBLE),
            method=method,
            engine="julia",
            sensealg="InterpolatingAdjoint(checkpointing=true)",
        )


IMPLICIT = [
    ("Rodas5P", "GaussAdjoint"),
    ("FBDF", "InterpolatingAdjoint"),
    *(
        pytest.param(method, sensealg, marks=pytest.mark.slow)  # each combination is compiled anew
        for method in ("Rodas5P", "KenCarp4", "QNDF", "FBDF", "AutoTsit5(Rosenbrock23())")
        for sensealg in ("GaussAdjoint", "InterpolatingAdjoint")
    ),
]


@pytest.mark.parametrize(("method", "sensealg"), IMPLICIT)
def test_implicit_solvers_are_differentiated(method: str, sensealg: str) -> None:
    problem = Driven()
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 3, dtype=DOUBLE)
    weights = torch.randn(3, 2, dtype=DOUBLE)

    def solve(y0: Tensor, t: Tensor) -> Tensor:
        return pb.odeint(problem, y0, t, method=method, engine="julia", sensealg=sensealg, rtol=1e-7, atol=1e-8)

    exact = gradients(problem, y0, t, weights, problem.exact)
    for mine, theirs in zip(gradients(problem, y0, t, weights, solve), exact, strict=True):
        assert relative_error(mine, theirs) <= 1e-4


def test_the_adjoint_takes_its_own_solver_and_tolerances() -> None:
    problem = Driven()
    y0 = torch.tensor([0.5], dtype=DOUBLE)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    counts = []
    for adjoint_rtol in (1e-4, 1e-10):
        solution = pb.solve(
            problem,
            y0,
            t,
            method="Rodas5P",
            engine="julia",
            adjoint_method="Vern7",
            adjoint_rtol=adjoint_rtol,
            adjoint_atol=adjoint_rtol,
        )
        solution.y[-1].sum().backward()
        counts.append(solution.adjoint_stats.nvjp)
    assert counts[1] > counts[0]


def test_one_autograd_pass_serves_both_products() -> None:
    problem = Logistic()
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    passes = 0
    original = torch.autograd.grad

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal passes
        passes += 1
        return original(*args, **kwargs)

    settings = {"method": "Tsit5", "engine": "julia", "sensealg": "InterpolatingAdjoint", "lane": "callback"}
    solution = pb.solve(problem, torch.ones(1, dtype=DOUBLE), t, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.autograd, "grad", counted)
        solution.y.sum().backward()
    assert passes == solution.adjoint_stats.nvjp
    # Tsit5 evaluates 6 slopes a step: without sharing there would be two passes for each.
    assert passes <= 7 * (solution.stats.accepted + 12)


@pytest.mark.parametrize(
    ("sensealg", "error", "message"),
    [
        ("InterpolatingAdjont", pb.UnknownSensealgError, "Did you mean InterpolatingAdjoint"),
        ("Tsit5", pb.UnknownSensealgError, "no name"),
        ("ReverseDiffAdjoint", pb.UnsupportedError, "dynamics in Julia.* choose InterpolatingAdjoint"),
        ("ForwardLSS", pb.UnsupportedError, "averages.* choose InterpolatingAdjoint"),
        ("ZygoteVJP", pb.UnsupportedError, "not a sensitivity algorithm"),
    ],
)
def test_unsuitable_sensealgs_are_refused_before_the_solve(sensealg: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pb.odeint(Logistic(), torch.ones(1), torch.tensor([0.0, 1.0]), engine="julia", sensealg=sensealg)


@pytest.mark.parametrize("method", ["Rodas5P", "Exp4"])
def test_dual_numbers_go_through_explicit_solvers_alone(method: str) -> None:
    weight = torch.tensor(-1.0, dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    told = {"method": method, "engine": "julia", "sensealg": "ForwardDiffSensitivity", **TIGHT}
    with pytest.raises(pb.UnsupportedError, match=r"dual numbers.*adjoint_method"):
        pb.odeint(lambda t, y: weight * y, torch.ones(1, dtype=DOUBLE), t, **told)
    if method == "Rodas5P":
        y = pb.odeint(lambda t, y: weight * y, torch.ones(1, dtype=DOUBLE), t, adjoint_method="Tsit5", **told)
        y[-1].sum().backward()
        assert weight.grad is not None
        assert weight.grad.item() == pytest.approx(math.exp(-1.0), rel=1e-8)


@pytest.mark.parametrize("method", ["VCABM", "ROCK4", "BS5", "SSPRK43", "Feagin10", "AitkenNeville"])
@pytest.mark.parametrize("norm", ["rms", "max"])
def test_dual_numbers_with_other_solvers(norm: str, method: str) -> None:
    """More directions than one solve takes along, and those of the state alone."""
    matrix = torch.tensor([[-1.0, 2.0], [-2.0, -0.5]], dtype=DOUBLE, requires_grad=True)
    y0 = torch.tensor([0.3, -0.7], dtype=DOUBLE, requires_grad=True)
    t = torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
    y = pb.odeint(
        lambda t, y: matrix @ y,
        y0,
        t,
        method=method,
        engine="julia",
        sensealg="ForwardDiffSensitivity(chunk_size=4)",
        options={"norm": norm},
        rtol=1e-9,
        atol=1e-9,
    )
    exact = torch.stack([torch.linalg.matrix_exp(time * matrix) @ y0 for time in t])
    weights = torch.randn_like(exact)
    found = torch.autograd.grad((weights * y).sum(), [y0, matrix])
    for mine, theirs in zip(found, torch.autograd.grad((weights * exact).sum(), [y0, matrix]), strict=True):
        assert relative_error(mine, theirs) <= 1e-5


def chosen(method: str | None, parameters: int, **solver: object) -> pb.Solution:
    """A solve with as many parameters, of which none is named a sensitivity algorithm."""
    weights = torch.ones(parameters, dtype=DOUBLE, requires_grad=True)
    y0, t = torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    return pb.solve(lambda t, y: -y * weights.mean(), y0, t, method=method, engine="julia", **solver)


@pytest.mark.parametrize(
    ("method", "parameters", "sensealg", "reason"),
    [
        ("Tsit5", 3, "InterpolatingAdjoint", "explicit"),
        ("Tsit5", 200, "GaussAdjoint", "200 parameters"),
        ("Rodas5P", 3, "GaussAdjoint", "implicit"),
        ("AutoTsit5(Rosenbrock23())", 3, "GaussAdjoint", "implicit"),
        ("RadauIIA5", 3, "GaussAdjoint", "implicit"),
        ("KenCarp4", 3, "GaussAdjoint", "Rodas5P solves backwards"),
        ("FBDF", 3, "GaussAdjoint", "Rodas5P solves backwards"),
        ("VCABM", 200, "GaussAdjoint", "Vern7 solves backwards"),
        ("AutoTsit5(TRBDF2())", 200, "GaussAdjoint", "Rodas5P solves backwards"),
    ],
)
def test_the_engine_chooses_and_says_why(method: str, parameters: int, sensealg: str, reason: str) -> None:
    for solution in (chosen(method, parameters), chosen(method, parameters, sensealg="auto")):
        assert solution.sensealg == sensealg
        assert reason in str(solution.sensealg_reason)
        solution.y[-1].backward()


def test_a_named_algorithm_is_not_second_guessed() -> None:
    solution = chosen("Rodas5P", 3, sensealg="GaussKronrodAdjoint")
    assert (solution.sensealg, solution.sensealg_reason) == ("GaussKronrodAdjoint", "as asked for")


REACTION = {"t": [0.0, 1e-3, 1.0, 100.0], "weights": [1.0, 3e4, 2.0]}  # as large as each other


def reaction_loss(reaction: Robertson, **solver: object) -> Tensor:
    """Of Robertson's reaction until the fast component has long been in balance with the slow ones."""
    y0, t, weights = (torch.tensor(value, dtype=DOUBLE) for value in ([1.0, 0.0, 0.0], *REACTION.values()))
    return (weights * pb.odeint(reaction, y0, t, engine="julia", **solver)[1:]).square().sum()


@functools.cache
def reaction_gradient() -> Tensor:
    """By differences of solves. No fixture: one of a module is made before a test without Julia is skipped."""
    step, found = 1e-3, []
    with torch.no_grad():
        for shift in step * torch.eye(3, dtype=DOUBLE):
            above, below = Robertson(), Robertson()
            above.log_rates += shift
            below.log_rates -= shift
            solver = {"method": "Rodas5P", "rtol": 1e-10, "atol": 1e-14}
            found.append((reaction_loss(above, **solver) - reaction_loss(below, **solver)) / (2 * step))
    return torch.stack(found)


@pytest.mark.parametrize("method", ["Rodas5P", "RadauIIA5", "KenCarp4", "FBDF"])
def test_the_choice_is_right_for_stiff_dynamics(method: str) -> None:
    reaction = Robertson()
    reaction_loss(reaction, method=method, rtol=1e-6, atol=1e-10).backward()
    assert relative_error(reaction.log_rates.grad, reaction_gradient()) <= 1e-3


WARNED = [
    {"adjoint_method": "KenCarp4", "sensealg": "GaussAdjoint"},
    {"adjoint_method": "KenCarp4", "sensealg": "GaussKronrodAdjoint"},
    {"adjoint_method": "FBDF", "sensealg": "GaussAdjoint"},
    {"adjoint_method": "AutoTsit5(KenCarp4())", "sensealg": "GaussAdjoint"},
    {"adjoint_method": "Rosenbrock23", "sensealg": "GaussAdjoint"},
    {"adjoint_method": "VCABM", "sensealg": "GaussAdjoint"},
    {"method": "Rodas5P", "sensealg": "QuadratureAdjoint"},
]
SILENT = [
    {"method": "Tsit5", "sensealg": "GaussAdjoint"},
    {"method": "Rodas5P", "sensealg": "GaussAdjoint"},
    {"method": "RadauIIA5", "sensealg": "GaussAdjoint"},
    {"method": "VCABM", "sensealg": "GaussKronrodAdjoint"},
    {"method": "Tsit5", "sensealg": "QuadratureAdjoint"},
    {"method": "KenCarp4", "sensealg": "GaussAdjoint"},
    {"method": "FBDF", "sensealg": "GaussKronrodAdjoint"},
    {"method": "KenCarp4", "adjoint_method": "Rodas5P", "sensealg": "GaussAdjoint"},
    {"method": "KenCarp4", "sensealg": "InterpolatingAdjoint"},
    {"method": "KenCarp4"},
]


@pytest.mark.parametrize("solver", WARNED)
def test_a_named_adjoint_that_would_mislead_warns(solver: dict[str, str]) -> None:
    with pytest.warns(pb.GradientWarning, match="may give a wrong gradient .* Choose sensealg='InterpolatingAdjoint'"):
        chosen(parameters=3, **{"method": "Tsit5", **solver})


@pytest.mark.parametrize("solver", SILENT)
def test_an_adjoint_that_does_not_mislead_is_silent(solver: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pb.GradientWarning)
        chosen(parameters=3, **solver)


@pytest.mark.parametrize("method", ["FBDF(linsolve=KrylovJL_GMRES())", "KenCarp4(linsolve=KrylovJL_GMRES())"])
def test_gradients_by_products_alone_make_no_matrix(method: str) -> None:
    n, waves, end = 20_000, 4_000, 1.0  # one dense matrix would take 3.2 GB
    rate = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)

    def heat(t: Tensor, y: Tensor) -> Tensor:
        return rate * (torch.roll(y, 1) - 2 * y + torch.roll(y, -1))

    wave = torch.sin(2 * math.pi * waves / n * torch.arange(n, dtype=DOUBLE))
    y0, before = (wave + 1).requires_grad_(), peak_memory()
    y = pb.odeint(heat, y0, torch.tensor([0.0, end]), method=method, engine="julia", rtol=1e-6, atol=1e-8)
    by_rate, by_start = torch.autograd.grad((y[-1] * wave).sum(), (rate, y0))
    assert peak_memory() - before < 1e9

    decay = (2 - 2 * math.cos(2 * math.pi * waves / n)) * end
    kept = math.exp(-0.3 * decay)
    assert relative_error(by_rate, -decay * kept * wave.square().sum()) < 1e-5
    torch.testing.assert_close(by_start, kept * wave, rtol=0, atol=1e-5)


def peak_memory() -> int:
    """Bytes that the process had in memory at most."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
