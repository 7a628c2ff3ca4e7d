"""Differential-algebraic equations in residual form: closed forms, consistent starts, ROBER, and bad input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from examples.support.problems.stiff import PROBLEMS
from tests.julia_packages import skipping_what_is_missing
from tests.problems import DOUBLE

(ROBER,) = (problem for problem in PROBLEMS if problem.name == "ROBER")
T = torch.linspace(0, 1, 5, dtype=DOUBLE)
Y0 = torch.tensor([0.0, 1.0], dtype=DOUBLE)


def circle(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """``y0' = y1`` on the unit circle: ``sin t, cos t``."""
    return torch.stack([dy[0] - y[1], y[0] ** 2 + y[1] ** 2 - 1])


def robertson(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """ROBER with the conservation of mass in place of the third rate."""
    slow = 0.04 * y[0] - 1e4 * y[1] * y[2]
    return torch.stack([dy[0] + slow, dy[1] - slow + 3e7 * y[1] ** 2, y.sum() - 1])


def solve(t: Tensor = T, y0: Tensor = Y0, **settings: object) -> Tensor:
    y = pb.daeint(circle, y0, t, **{"engine": "julia", **settings})  # type: ignore[arg-type]
    assert isinstance(y, Tensor)
    return y


@pytest.mark.julia
@pytest.mark.parametrize(("method", "tolerance", "error"), [(None, 1e-8, 1e-5), ("DABDF2", 1e-6, 1e-3)])
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_the_circle(method: str | None, tolerance: float, error: float, backwards: bool) -> None:
    t = -T if backwards else T
    y = solve(t, method=method, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(y, torch.stack([torch.sin(t), torch.cos(t)], -1), rtol=0, atol=error)


@pytest.mark.julia
def test_an_algebraic_component_is_found_from_a_guess() -> None:
    y = solve(y0=torch.tensor([0.0, 0.9], dtype=DOUBLE), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(y[-1], torch.stack([torch.sin(T[-1]), torch.cos(T[-1])]), rtol=0, atol=1e-5)


@pytest.mark.julia
def test_robertson_reaches_the_published_reference() -> None:
    t = torch.tensor([0.0, ROBER.t_end], dtype=DOUBLE)
    atol = torch.tensor([1e-14, 1e-18, 1e-12], dtype=DOUBLE)
    y = pb.daeint(robertson, torch.tensor(ROBER.y0, dtype=DOUBLE), t, engine="julia", rtol=1e-8, atol=atol)
    assert isinstance(y, Tensor)
    torch.testing.assert_close(y[-1], torch.tensor(ROBER.y_end, dtype=DOUBLE), rtol=1e-3, atol=0)


@pytest.mark.julia
def test_a_dict_state() -> None:
    y0 = {"angle": torch.zeros((), dtype=DOUBLE), "height": torch.zeros(1, dtype=DOUBLE)}
    y = pb.daeint(
        lambda t, y, dy: {"angle": dy["angle"] - 1, "height": y["height"] - torch.sin(y["angle"])},
        y0,
        T,
        engine="julia",
        rtol=1e-8,
        atol=1e-8,
    )
    assert isinstance(y, dict)
    torch.testing.assert_close(y["height"][:, 0], torch.sin(T), rtol=0, atol=1e-6)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dy0": torch.zeros(3, dtype=DOUBLE)}, pb.InputError, "dy0|returned"),
        ({"differential": torch.zeros(3, dtype=DOUBLE)}, pb.InputError, "differential is shape"),
        ({"method": "GaussAdjoint"}, pb.UnknownSolverError, "GaussAdjoint"),
        ({"method": "DFBDG"}, pb.UnknownSolverError, "DFBDF"),
    ],
    ids=["dy0", "differential", "kind", "misspelt"],
)
def test_bad_input(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve(**settings)  # type: ignore[arg-type]


def compare(found: Tensor, exact: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Values, and gradients of a loss over all of them."""
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
    weights = torch.linspace(0.5, 2.0, found.numel(), dtype=DOUBLE).view_as(found)
    mine, theirs = (torch.autograd.grad((weights * y).sum(), inputs) for y in (found, exact))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


BACKWARDS = pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])


@pytest.mark.julia
@pytest.mark.parametrize(
    "settings",
    [
        {"method": "Rodas5P"},
        {"method": "FBDF"},
        {"method": "DFBDF"},
        {"method": "IDA"},
        {"method": "IDA", "lane": "callback"},
        {"method": "DFBDF", "sensealg": "InterpolatingAdjoint"},
        {"method": "IDA", "sensealg": "GaussAdjoint(checkpointing=true)"},
        {"method": "DFBDF", "sensealg": "QuadratureAdjoint", "adjoint_method": "Tsit5"},
    ],
    ids=lambda settings: " ".join(settings.values()),
)
@BACKWARDS
def test_gradients_on_the_circle(backwards: bool, settings: dict[str, Any]) -> None:
    """By the frequency, the radius, the start and the times; the algebraic component of the start is a guess."""
    frequency, radius, start = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (1.3, 2.0, 0.5))
    t = (-T if backwards else T).clone().requires_grad_()

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.stack([dy[0] - frequency * y[1], y[0] ** 2 + y[1] ** 2 - radius**2])

    y0 = torch.stack([start, torch.tensor(1.5, dtype=DOUBLE)])
    with skipping_what_is_missing():
        y = pb.daeint(residual, y0, t, engine="julia", rtol=1e-10, atol=1e-10, **settings)
    angle = torch.asin(start / radius) + frequency * (t - t[0])
    exact = radius * torch.stack([torch.sin(angle), torch.cos(angle)], -1)
    assert isinstance(y, Tensor)
    compare(y, exact, (frequency, radius, start, t))


@pytest.mark.julia
def test_gradients_of_an_equation_that_gives_no_derivative_by_itself() -> None:
    """``(y')³ = (k y)³``, with a dict for a state, and tolerances of its own for each component."""
    k = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    start = torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    y = pb.daeint(
        lambda t, y, dy: {"y": dy["y"] ** 3 - (k * y["y"]) ** 3},
        {"y": start},
        T,
        dy0={"y": torch.ones(2, dtype=DOUBLE)},
        method="Rodas5P",
        engine="julia",
        rtol=1e-9,
        atol=1e-9,
    )
    assert isinstance(y, dict)
    compare(y["y"], start * torch.exp(k * T)[:, None], (k, start))


@pytest.mark.julia
@pytest.mark.parametrize(
    ("residual", "settings", "message"),
    [
        (circle, {"y0": torch.tensor([2.0, 1.0], dtype=DOUBLE)}, "No consistent start"),
        (lambda t, y, dy: dy**3 - y**3, {}, "does not determine"),
        (lambda t, y, dy: torch.stack([dy[0] - y[1], y[0] - t]), {}, "does not determine"),
        (lambda t, y, dy: dy[:1], {}, "returned"),
    ],
    ids=["none", "singular", "index 2", "shape"],
)
def test_starts_that_cannot_be_found(residual: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.daeint(residual, **{"y0": Y0, "t": T, "method": "Rodas5P", "engine": "julia", **settings})


def test_the_embedded_engine_says_that_it_has_none() -> None:
    with pytest.raises(pb.UnsupportedError, match="ordinary differential equations over time alone"):
        solve(engine="embedded")
    with pytest.raises(pb.UnsupportedError, match="mass_matrix"):
        solve(engine="embedded", method="RadauIIA5")


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "formulation", "reason"),
    [
        ({}, "residual", "no method is named"),
        ({"method": "DFBDF"}, "residual", "DFBDF is a solver for it"),
        ({"method": "Rodas5P"}, "mass_matrix", "Rodas5P is a solver for it"),
        ({"formulation": "residual"}, "residual", "as asked for"),
        ({"formulation": "mass_matrix"}, "mass_matrix", "as asked for"),
        ({"formulation": "mass_matrix", "method": "FBDF"}, "mass_matrix", "as asked for"),
    ],
)
def test_a_solution_says_in_which_formulation_it_was_found(
    settings: dict[str, Any], formulation: str, reason: str
) -> None:
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    solution = pb.solve_dae(lambda t, y, dy: dy + y, torch.ones(2, dtype=torch.float64), t, **settings)
    assert (solution.formulation, solution.formulation_reason) == (formulation, reason)
    assert f"formulation={formulation}" in repr(solution)
    assert solution.algorithm.startswith(
        {"residual": "DFBDF", "mass_matrix": settings.get("method", "Rodas5P")}[formulation]
    )
    torch.testing.assert_close(solution.y, torch.exp(-t)[:, None].expand(5, 2), rtol=1e-5, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"formulation": "residual", "method": "Rodas5P"},
            "Rodas5P, which is a solver for formulation='mass_matrix'.*'DFBDF'",
        ),
        (
            {"formulation": "mass_matrix", "method": "DFBDF"},
            "DFBDF, which is a solver for formulation='residual'.*'Rodas5P'",
        ),
        ({"formulation": "implicit"}, "formulation is 'implicit'; expected one of 'residual', 'mass_matrix'"),
    ],
)
def test_a_solver_that_is_not_for_the_formulation_is_refused(settings: dict[str, Any], message: str) -> None:
    y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 1.0])
    with pytest.raises((pb.UnsupportedError, pb.InputError), match=message):
        pb.daeint(lambda t, y, dy: dy + y, y0, t, **settings)


@pytest.mark.julia
@pytest.mark.parametrize("formulation", ["residual", "mass_matrix"])
def test_both_formulations_have_gradients(formulation: str) -> None:
    rate, t = torch.tensor(0.5, dtype=torch.float64, requires_grad=True), torch.tensor([0.0, 1.0])
    y0 = torch.ones(1, dtype=torch.float64)
    solution = pb.solve_dae(lambda t, y, dy: dy + rate * y, y0, t, formulation=formulation)  # type: ignore[arg-type]
    solution.y[-1].sum().backward()
    torch.testing.assert_close(rate.grad, -torch.exp(-rate.detach()), rtol=1e-5, atol=0)
    assert solution.sensealg == {"residual": "GaussAdjoint", "mass_matrix": "InterpolatingAdjoint"}[formulation]


@pytest.mark.julia
def test_gradients_of_a_residual_that_depends_on_time() -> None:
    """``y0' = -k y0 + y1``, ``y1 = k t``, by the rate and the times; ``y1`` moves with the first time."""
    k = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    t = torch.tensor([0.3, 1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    y0 = torch.tensor([1.0, 0.0], dtype=DOUBLE)
    y = pb.daeint(
        lambda t, y, dy: torch.stack([dy[0] + k * y[0] - y[1], y[1] - k * t]),
        y0,
        t,
        engine="julia",
        rtol=1e-10,
        atol=1e-10,
    )
    assert isinstance(y, Tensor)
    particular = lambda t: t - 1 / k  # noqa: E731
    exact = torch.stack([particular(t) + (1 - particular(t[0])) * torch.exp(-k * (t - t[0])), k * t], -1)
    compare(y, exact, (k, t))


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", ["BacksolveAdjoint", "DiscreteAdjoint", "DelayAdjoint", "ForwardSensitivity"])
def test_sensitivity_algorithms_that_do_not_suit_residuals_are_refused(sensealg: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=f"{sensealg}.*does not differentiate residual equations"):
        solve(y0=Y0.clone().requires_grad_(), sensealg=sensealg)


@pytest.mark.julia
def test_second_derivatives_by_a_mass_matrix() -> None:
    """``y0' = -k y1``, ``0 = y1 - c y0``, so that ``y0 = exp(-k c t)``."""
    k, c = (torch.tensor(value, dtype=DOUBLE, requires_grad=True) for value in (0.7, 1.3))

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.stack([dy[0] + k * y[1], y[1] - c * y[0]])

    y = pb.daeint(
        residual,
        torch.tensor([1.0, 1.3], dtype=DOUBLE),
        T,
        dy0=torch.tensor([-0.91, -1.183], dtype=DOUBLE),
        differential=torch.tensor([True, False]),
        formulation="mass_matrix",
        engine="julia",
        rtol=1e-10,
        atol=1e-10,
    )
    assert isinstance(y, Tensor)
    losses = y[-1, 1] ** 2 + y[2, 0], (c * torch.exp(-k * c)) ** 2 + torch.exp(-k * c / 2)
    firsts = [torch.autograd.grad(loss, (k, c), create_graph=True) for loss in losses]
    for one, other in zip(*firsts, strict=True):
        seconds = [torch.autograd.grad(first, (k, c), retain_graph=True) for first in (one, other)]
        torch.testing.assert_close(*seconds, rtol=1e-6, atol=1e-6)
