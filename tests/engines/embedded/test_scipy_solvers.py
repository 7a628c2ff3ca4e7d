"""SciPy's solvers: its own numbers, and torchdiffeq's, by its options."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import pytest
import torch
from scipy.integrate import solve_ivp

import pyode_bridge as pb
from tests.engines.embedded.against import PAIR, Y0, Forced, Pair, T, both
from tests.problems import DOUBLE

SOLVERS = ["RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("options", [{}, {"max_step": 0.05}])
def test_values_are_torchdiffeqs(solver: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's own, of torchdiffeq's min_step
        theirs, ours = both(
            Forced(), Y0, T, method="scipy_solver", options={"solver": solver, **options}, rtol=1e-7, atol=1e-9
        )
    implicit = solver in ("Radau", "BDF", "LSODA")  # whose Jacobian is exact here, and by differences there
    bound = 1e-5 if implicit else 1e-12
    torch.testing.assert_close(ours, theirs, rtol=bound, atol=bound)


def test_the_solver_is_lsoda_without_another() -> None:
    theirs, ours = both(Pair(), PAIR, T, method="scipy_solver", rtol=1e-7, atol=1e-9)
    for expected, found in zip(theirs, ours, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert pb.solve(Forced(), Y0, T, method="scipy_solver").algorithm == "scipy_solver (LSODA)"


@pytest.mark.filterwarnings("ignore:lsoda:UserWarning")
def test_lsoda_takes_a_least_step() -> None:
    """What comes of it is SciPy's: up to 1.15 a solve that needs shorter steps fails, 1.17 takes them all the same."""
    func = Forced()
    found = solve_ivp(
        lambda t, y: func(torch.tensor(t), torch.tensor(y)).detach().numpy(),
        (0.0, 2.0),
        Y0.numpy(),
        "LSODA",
        T.numpy(),
        rtol=1e-6,
        atol=1e-8,
        min_step=0.02,
    )
    options = {"min_step": 0.02, "solver": "LSODA"}
    given: dict[str, Any] = {"method": "scipy_solver", "options": options, "rtol": 1e-6, "atol": 1e-8}
    with torch.no_grad(), contextlib.nullcontext() if found.success else pytest.raises(pb.SolverError, match="LSODA"):
        y = pb.odeint(func, Y0, T, engine="embedded", **given)
        torch.testing.assert_close(y, torch.tensor(found.y).mT, rtol=1e-5, atol=1e-5)


def test_a_least_step_for_another_solver_is_warned_of() -> None:
    with pytest.warns(pb.OptionWarning, match="RK45 has no least step"):
        pb.odeint(Forced(), Y0, T, method="scipy_solver", options={"solver": "RK45", "min_step": 0.01})


def test_gradients_are_those_of_a_fine_solve() -> None:
    found = []
    for method, options in (("scipy_solver", {"solver": "DOP853"}), ("dopri8", {})):
        func, y0 = Forced(), Y0.clone().requires_grad_()
        y = pb.odeint_adjoint(func, y0, T, method=method, options=options, rtol=1e-9, atol=1e-11, engine="embedded")
        found.append(torch.autograd.grad((y**2).sum(), (y0, *func.parameters())))
    for grad, other in zip(*found, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-6, atol=1e-6)


def test_single_precision_is_kept() -> None:
    y = pb.odeint(lambda t, y: -y, torch.ones(2), [0.0, 1.0], method="scipy_solver")
    assert y.dtype == torch.float32


def test_step_callbacks_that_nobody_would_call_are_refused() -> None:
    class Telling(Forced):
        def callback_step(self, t: Any, y: Any, dt: Any) -> None:
            raise AssertionError

    with pytest.raises(pb.UnsupportedError, match="callbacks of steps with RadauIIA5"):
        pb.odeint(Telling(), Y0, T, method="RadauIIA5", engine="embedded")
    with pytest.warns(pb.OptionWarning, match="callback_step"):
        pb.odeint(Telling(), Y0, T.to(DOUBLE), method="scipy_solver")
