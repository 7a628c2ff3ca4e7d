"""Steps of schemes along grids: torchdiffeq's values and gradients, on both engines and lanes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge.problem.torchdiffeq import FIXED, IMPLICIT, METHODS
from tests.engines.embedded.against import CLOSE, Forced
from tests.problems import DOUBLE

pytestmark = pytest.mark.filterwarnings("ignore:implicit_adams corrected")

T = torch.tensor([0.0, 0.5, 1.1, 2.0], dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
OPTIONS: dict[str, dict[str, Any]] = {
    "from time to time": {},
    "cubic": {"step_size": 0.07, "interp": "cubic"},
    "perturbed": {"step_size": 0.07, "perturb": True},
    "uneven": {"grid_constructor": lambda f, y0, t: t[0] + (t[-1] - t[0]) * torch.linspace(0, 1, 9, dtype=DOUBLE) ** 2},
}
SCHEMES = {name: method.made for name, method in METHODS.items() if method.steps == IMPLICIT}


def results(odeint: Any, t: Tensor, **settings: Any) -> list[Tensor]:
    """Values, and gradients of a loss of them."""
    func, y0 = Forced(), Y0.clone().requires_grad_()
    y = odeint(func, y0, t, rtol=1e-7, atol=1e-9, **settings)
    return [y.detach(), *torch.autograd.grad((y**2).cos().sum(), (y0, *func.parameters()))]


def same(found: list[Tensor], true: list[Tensor], **bounds: float) -> None:
    for one, other in zip(found, true, strict=True):
        torch.testing.assert_close(one, other, **(bounds or CLOSE))


@pytest.mark.filterwarnings("ignore:.*solves the state again")
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("method", ["euler", "midpoint", "heun2", "heun3", "rk4"])
def test_values_and_both_gradients_are_torchdiffeqs(engine: str, method: str, name: str) -> None:
    given: dict[str, Any] = {"method": method, "options": OPTIONS[name]}
    for t in (T, T.flip(0)):
        same(results(pb.odeint, t, engine=engine, **given), results(torchdiffeq.odeint, t, **given))
    t = T[[0, 3]] if name == "uneven" else T
    same(results(pb.odeint_adjoint, t, engine=engine, **given), results(torchdiffeq.odeint_adjoint, t, **given))


@pytest.mark.julia
@pytest.mark.parametrize("method", ["rk4", "radauIIA3", "implicit_adams"])
def test_both_lanes_and_a_worker_compute_the_same(method: str) -> None:
    def there(odeint: Any, **where: Any) -> list[Tensor]:
        return results(odeint, T, method=method, options={"step_size": 0.1}, engine="julia", **where)

    for odeint in (pb.odeint, pb.odeint_adjoint):
        compiled = there(odeint, lane="compiled")
        same(there(odeint, lane="callback"), compiled, rtol=1e-11, atol=1e-11)
        same(there(odeint, isolation="process"), compiled, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("options", [{"max_order": 5}, {"max_order": 6, "max_iters": 20, "interp": "cubic"}])
@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_adams_steps_and_their_gradients_are_torchdiffeqs(engine: str, method: str, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"method": method, "options": {"step_size": 0.05, **options}}
    same(results(pb.odeint, T, engine=engine, **given), results(torchdiffeq.odeint, T, **given), rtol=1e-11, atol=1e-11)
    found, true = results(pb.odeint_adjoint, T, engine=engine, **given), results(torchdiffeq.odeint_adjoint, T, **given)
    same(found, true, rtol=1e-8, atol=1e-8)  # which iterates the adjoint of time too


@pytest.mark.julia
def test_adams_steps_that_do_not_converge_are_warned_of() -> None:
    given: dict[str, Any] = {"method": "implicit_adams", "options": {"step_size": 0.1, "max_iters": 1}}
    with pytest.warns(RuntimeWarning, match="corrected .* steps as often as max_iters"):
        found = results(pb.odeint, T, engine="julia", **given)
    with pytest.warns(UserWarning, match="did not converge"):
        same(found, results(torchdiffeq.odeint, T, **given))


def iterated(scheme: Any) -> Any:
    """Steps by a tableau whose stages are found by iteration, through which autograd goes."""
    a, b, c = (torch.tensor(numbers, dtype=DOUBLE) for numbers in (scheme.a, scheme.b, scheme.c))

    def odeint(func: nn.Module, y0: Tensor, t: Tensor, **_: Any) -> Tensor:
        y, values = y0, [y0]
        for start, stop in itertools.pairwise(t):
            h, k = stop - start, torch.zeros(len(b), len(y0), dtype=DOUBLE)
            for _ in range(80):
                k = torch.stack([func(start + node * h, y + h * row @ k) for node, row in zip(c, a, strict=True)])
            y = y + h * b @ k
            values.append(y)
        return torch.stack(values)

    return odeint


@pytest.mark.parametrize("method", SCHEMES)
def test_implicit_steps_solve_their_equations(engine: str, method: str) -> None:
    t = torch.linspace(0.0, 1.0, 9, dtype=DOUBLE)
    same(
        results(pb.odeint, t, method=method, engine=engine), results(iterated(SCHEMES[method]), t), rtol=1e-9, atol=1e-9
    )


@pytest.mark.filterwarnings("ignore:.*solves the state again")
@pytest.mark.julia
@pytest.mark.parametrize("method", ["implicit_euler", "trapezoid", "gl6"])
def test_implicit_adjoints_of_both_engines_agree(method: str) -> None:
    """They are the same equations, solved in ways that have nothing in common."""
    given: dict[str, Any] = {"method": method, "options": {"step_size": 0.05}}
    one, other = (results(pb.odeint_adjoint, T, engine=engine, **given) for engine in ("julia", "embedded"))
    same(one, other, rtol=1e-6, atol=1e-6)


def test_stages_that_are_not_found_end_the_solve(engine: str) -> None:
    with pytest.raises(pb.SolverError, match="ConvergenceFailure"):
        pb.odeint(Forced(), Y0, T, method="gl4", options={"max_iters": 1}, engine=engine)


def test_a_jump_at_a_grids_time_is_seen_from_within_the_steps(engine: str) -> None:
    def jump(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1.0, 3.0, -1.0) * torch.ones_like(y)

    t, y0 = torch.tensor([0.0, 1.0, 2.0], dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE)
    given: dict[str, Any] = {"method": "heun2", "options": {"step_size": 0.25, "perturb": True}}
    y = pb.odeint(jump, y0, t, engine=engine, **given)
    assert y[:, 0].tolist() == pytest.approx([0.0, 3.0, 2.0], abs=1e-13)
    for method in ("midpoint", "rk4", "heun2"):
        given["method"] = method
        torch.testing.assert_close(
            pb.odeint(jump, y0, t, engine=engine, **given), torchdiffeq.odeint(jump, y0, t, **given)
        )


@pytest.mark.parametrize("method", [name for name, made in METHODS.items() if made.steps in (FIXED, IMPLICIT)])
def test_nothing_is_evaluated_at_a_grids_time_where_a_jump_may_be(engine: str, method: str) -> None:
    seen = set()

    def watched(t: Tensor, y: Tensor) -> Tensor:
        seen.add(t.item())
        return -y * (1 + y)

    options = {"step_size": 0.5, "perturb": True}
    settings = {"method": method, "options": options, "engine": engine, "lane": "callback"}
    y = pb.odeint(watched, Y0, torch.tensor([0.0, 1.0], dtype=DOUBLE), **settings)
    assert seen.isdisjoint({0.5, 1.0})
    assert bool(y.isfinite().all())


@pytest.mark.parametrize("interp", ["linear", "cubic"])
@pytest.mark.parametrize("method", ["midpoint", "rk4", "implicit_adams"])
def test_events_are_found_within_steps_as_torchdiffeqs(engine: str, method: str, interp: str) -> None:
    given: dict[str, Any] = {"method": method, "options": {"step_size": 0.1, "interp": interp}}

    def event(t: Tensor, y: Tensor) -> Tensor:
        return y[0] - 0.2

    true, _ = torchdiffeq.odeint_event(lambda t, y: -y, Y0, T[0], event_fn=event, atol=1e-12, rtol=1e-9, **given)
    found, _ = pb.odeint_event(lambda t, y: -y, Y0, T[0], event_fn=event, atol=1e-12, rtol=1e-9, engine=engine, **given)
    bound = 2e-6 if method == "implicit_adams" else 1e-9  # its corrections end within the tolerances
    assert found.item() == pytest.approx(true.item(), abs=bound)


@pytest.mark.julia
def test_single_precision_takes_the_same_steps() -> None:
    func = Forced().float()
    for method in ("rk4", "implicit_adams", "trapezoid"):
        y = pb.odeint(func, Y0.float(), T.float(), method=method, options={"step_size": 0.1}, engine="julia")
        double = pb.odeint(func.double(), Y0, T, method=method, options={"step_size": 0.1}, engine="julia")
        func.float()
        assert y.dtype == torch.float32
        torch.testing.assert_close(y.double(), double, rtol=1e-3, atol=1e-3)


@pytest.mark.julia
def test_other_adjoints_see_cubics_between_the_steps() -> None:
    exact = results(pb.odeint, T, method="Vern9", engine="julia")
    for sensealg in ("InterpolatingAdjoint", "GaussAdjoint", "QuadratureAdjoint"):
        given: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.01}, "sensealg": sensealg}
        same(results(pb.odeint, T, engine="julia", **given), exact, rtol=1e-4, atol=1e-4)
