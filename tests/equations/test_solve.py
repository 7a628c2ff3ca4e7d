"""Values: against closed forms, on every engine."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("problem", [Linear(SPIRAL), Logistic(), Driven()], ids=["linear", "logistic", "driven"])
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_values_match_the_closed_form(engine: str, problem: torch.nn.Module, backwards: bool) -> None:
    y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.linspace(0.2, 1.4, 7, dtype=DOUBLE)
    t = t.flip(0) if backwards else t
    y = pb.odeint(problem, y0, t, method="dopri5", engine=engine, **TIGHT)
    assert isinstance(y, Tensor)
    assert y.shape == (7, 2)
    assert y.dtype == DOUBLE
    torch.testing.assert_close(y, problem.exact(y0, t), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("method", ["DP5", "BS3", "Heun"])
def test_values_at_times_within_the_steps(engine: str, method: str) -> None:
    problem, y0 = Driven(), torch.tensor([0.5, 0.3], dtype=DOUBLE)
    t = torch.tensor([0.2, 0.7, 1.4], dtype=DOUBLE)
    y = pb.odeint(problem, y0, t, method=method, engine=engine, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(y, problem.exact(y0, t), rtol=0, atol=1e-5 if method == "Heun" else 2e-6)


@pytest.mark.parametrize("shape", [(), (1,), (3, 2), (2, 1, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_shape_and_dtype_are_kept(engine: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    y0 = torch.rand(shape, dtype=dtype) + 0.5
    seen: list[tuple[torch.Size, torch.dtype, torch.dtype]] = []

    def decay(t: Tensor, y: Tensor) -> Tensor:
        seen.append((y.shape, y.dtype, t.dtype))
        assert t.ndim == 0
        return -y

    t = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    y = pb.odeint(decay, y0, t, engine=engine, rtol=1e-6, atol=1e-7)
    assert y.shape == (3, *shape)
    assert y.dtype == dtype
    assert set(seen) == {(torch.Size(shape), dtype, dtype)}
    exact = y0 * torch.exp(-t).reshape(-1, *[1] * len(shape))
    torch.testing.assert_close(y, exact, rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(y[0], y0, rtol=0, atol=0)


def test_a_tuple_state_comes_back_as_a_tuple(engine: str) -> None:
    position, velocity = torch.tensor([1.0, 0.5], dtype=DOUBLE), torch.tensor([[0.0, 0.2]], dtype=DOUBLE)
    t = torch.linspace(0, 2, 5, dtype=DOUBLE)
    result = pb.odeint(lambda t, state: (state[1][0], -state[0][None]), (position, velocity), t, engine=engine, **TIGHT)
    assert isinstance(result, tuple)
    assert [part.shape for part in result] == [(5, 2), (5, 1, 2)]
    angle = t[:, None]
    torch.testing.assert_close(
        result[0], position * torch.cos(angle) + velocity[0] * torch.sin(angle), rtol=1e-8, atol=1e-8
    )


def test_a_dict_state_comes_back_as_a_dict(engine: str) -> None:
    y0 = {"prey": torch.tensor(1.0, dtype=DOUBLE), "predator": torch.tensor([2.0], dtype=DOUBLE)}
    t = torch.linspace(0, 3, 4, dtype=DOUBLE)

    def lotka_volterra(t: Tensor, y: dict[str, Tensor]) -> dict[str, Tensor]:
        prey, predator = y["prey"], y["predator"]
        return {"predator": predator * (prey - 1), "prey": prey * (1 - predator[0])}

    result = pb.odeint(lotka_volterra, y0, t, engine=engine, **TIGHT)
    assert isinstance(result, dict)
    assert list(result) == ["prey", "predator"]
    assert result["predator"].shape == (4, 1)
    prey, predator = result["prey"], result["predator"][:, 0]
    invariant = prey - prey.log() + predator - predator.log()
    torch.testing.assert_close(invariant, invariant[0].expand(4), rtol=1e-8, atol=0)


def test_tolerances_may_differ_between_components(engine: str) -> None:
    y0 = (torch.ones(2, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE))
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    loose_and_tight = ((1e-3, 1e-10), (1e-4, 1e-12))
    result = pb.odeint(
        lambda t, y: (-y[0], -2 * y[1]),
        y0,
        t,
        engine=engine,
        method="dopri5",
        rtol=loose_and_tight[0],
        atol=loose_and_tight[1],
    )
    assert (result[1][-1] - torch.exp(torch.tensor(-2.0, dtype=DOUBLE))).abs().item() < 1e-9


def test_the_solution_says_what_ran(engine: str) -> None:
    t = torch.linspace(0, 1, 3, dtype=DOUBLE)
    calls = 0

    def decay(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return -y

    solution = pb.solve(decay, torch.ones(2, dtype=DOUBLE), t, method="dopri5", engine=engine)
    assert solution.engine == engine
    assert solution.algorithm == "DP5"
    assert solution.retcode == "Success"
    assert solution.lane == {"julia": "callback", "embedded": "native"}[engine]
    assert solution.sensealg is None
    assert solution.stats.accepted is not None
    assert solution.stats.accepted > 0
    # One call more than the solver's own: the trial evaluation that checks the dynamics.
    assert calls - 1 == pytest.approx(solution.stats.nfe, abs=2)
    assert engine in repr(solution)


def test_fixed_steps_follow_the_times(engine: str) -> None:
    t = torch.linspace(0, 1, 11, dtype=DOUBLE)
    y = pb.odeint(lambda t, y: -y, torch.ones(1, dtype=DOUBLE), t, method="euler", engine=engine)
    assert y[-1].item() == pytest.approx(0.9**10, rel=1e-12)
    coarse = t[::5]
    y = pb.odeint(
        lambda t, y: -y, torch.ones(1, dtype=DOUBLE), coarse, method="euler", engine=engine, options={"step_size": 0.1}
    )
    assert y[-1].item() == pytest.approx(0.9**10, rel=1e-12)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun2", 2), ("rk4", 4)])
def test_fixed_step_methods_converge_with_their_order(engine: str, method: str, order: int) -> None:
    problem = Driven()
    y0 = torch.tensor([1.0], dtype=DOUBLE)
    steps = torch.tensor([40, 80, 160])
    errors = []
    for count in steps.tolist():
        t = torch.linspace(0, 2, count + 1, dtype=DOUBLE)
        y = pb.odeint(problem, y0, t, method=method, engine=engine)
        errors.append((y - problem.exact(y0, t)).abs().max())
    slope = (torch.stack(errors).log().diff() / steps.log().diff()).mean().item()
    assert slope == pytest.approx(-order, abs=0.25)


def test_no_grad_keeps_nothing_for_a_backward_pass(engine: str) -> None:
    problem = Linear(SPIRAL)
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    with torch.no_grad():
        solution = pb.solve(problem, torch.ones(2, dtype=DOUBLE), t, engine=engine)
    assert not solution.y.requires_grad
    assert solution.trajectory.pullback is None


def saved(solution: pb.Solution) -> pb.Solution:
    file = io.BytesIO()
    torch.save(solution, file)
    file.seek(0)
    found: pb.Solution = torch.load(file, weights_only=False)
    return found


TRAVELS = {
    "torch.save": saved,
    "pickle": lambda solution: pickle.loads(pickle.dumps(solution)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", TRAVELS)
def test_a_solution_travels_without_its_solver(engine: str, way: str) -> None:
    problem, dense = Logistic(), engine == "julia"
    y0 = (torch.ones(2, dtype=DOUBLE), torch.ones((), dtype=DOUBLE))
    t = torch.linspace(0, 1, 3, dtype=DOUBLE)
    func = lambda t, y: (problem(t, y[0]), -y[1])  # noqa: E731
    solution = pb.solve(func, y0, t, engine=engine, method="dopri5", dense=dense)
    solution.y[0].sum().backward(retain_graph=True)
    found = TRAVELS[way](solution)
    assert not any(part.requires_grad for part in found.y)
    for mine, theirs in zip((*found.y, found.t), (*solution.y, solution.t), strict=True):
        assert torch.equal(mine, theirs)
    for name in ("stats", "adjoint_stats", "retcode", "engine", "algorithm", "lane", "lane_reason", "sensealg",
                 "sensealg_reason"):  # fmt: skip
        assert getattr(found, name) == getattr(solution, name)
    assert repr(found) == repr(solution)
    with pytest.raises(pb.UnsupportedError, match="stayed behind" if dense else "dense=True"):
        found(0.3)
    with pytest.raises(pb.UnsupportedError, match="stayed behind" if dense else "dense=True"):
        _ = found.steps
    solution.y[1].sum().backward()  # the one that was solved for is as it was
    assert copy.copy(solution) is solution


@pytest.mark.parametrize("method", ["dopri5", "RadauIIA5"])
def test_no_absolute_tolerance_is_needed_where_a_component_is_zero(engine, method):
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    y0, end = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True), torch.tensor(1.0, dtype=torch.float64)
    settings = {"method": method, "rtol": 1e-8, "atol": 0.0, "engine": engine}
    adjoint = {"sensealg": "BacksolveAdjoint", "adjoint_method": "dopri5"}
    y = pb.odeint(lambda t, y: turn @ y, y0, torch.tensor([0.0, 1.0]), **settings, **adjoint)
    torch.testing.assert_close(y[-1], torch.stack([end.cos(), -end.sin()]), rtol=1e-6, atol=0)
    (grad,) = torch.autograd.grad(y[-1, 0], y0)
    torch.testing.assert_close(grad, torch.stack([end.cos(), end.sin()]), rtol=1e-6, atol=0)
