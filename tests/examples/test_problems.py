"""The examples' problems: their equations and end values, checked with codes other than those that made the values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import pyode_bridge as pb
from examples.support.problems import references
from examples.support.problems.brusselator import brusselator, first_state
from examples.support.problems.nonstiff import KEPLER, MASSES
from examples.support.problems.nonstiff import PROBLEMS as NONSTIFF
from examples.support.problems.problem import Problem
from examples.support.problems.stiff import PROBLEMS as STIFF

RTOL = 1e-8


def solved(problem: Problem, method: str) -> torch.Tensor:
    with torch.no_grad():
        y = pb.odeint(
            problem.f,
            problem.start(),
            problem.times(),
            method=method,
            engine="embedded",
            rtol=RTOL,
            atol=problem.atol,
        )
    return y[-1]


@pytest.mark.parametrize("problem", [*STIFF, brusselator(16), brusselator(32)], ids=lambda problem: problem.name)
def test_radau_meets_the_reference(problem: Problem) -> None:
    assert problem.stiff
    error = problem.error(solved(problem, "RadauIIA5"))
    print(f"{problem.name} {error:.3e}")
    assert error < 50 * RTOL


# The sensitivity of the end to errors on the way: chaos (Lorenz), close encounters (Pleiades), a phase that drifts.
GROWTH = {"Lotka-Volterra": 50, "Lorenz": 1000, "Pleiades": 1000, "Kepler": 50}


@pytest.mark.parametrize("problem", NONSTIFF, ids=lambda problem: problem.name)
def test_an_explicit_method_meets_the_reference(problem: Problem) -> None:
    error = problem.error(solved(problem, "DP8"))
    print(f"{problem.name} {error:.3e}")
    assert error < GROWTH[problem.name] * RTOL


@pytest.mark.parametrize("name", ["Lotka-Volterra", "Lorenz"])
def test_stored_values_agree_with_taylor_series(name: str) -> None:
    mpmath = pytest.importorskip("mpmath")
    problem = next(problem for problem in NONSTIFF if problem.name == name)
    with mpmath.workdps(20):
        half, beta = mpmath.mpf(3) / 2, mpmath.mpf(8) / 3
        rates = {
            "Lotka-Volterra": lambda _t, y: [half * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]],
            "Lorenz": lambda _t, y: [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - beta * y[2]],
        }[name]
        series = mpmath.odefun(rates, 0, [mpmath.mpf(value) for value in problem.y0])
        end = [float(value) for value in series(problem.t_end)]
    np.testing.assert_allclose(problem.y_end, end, rtol=1e-13)


@pytest.mark.parametrize("points", [16, 32])
def test_stored_brusselator_agrees_with_another_code(points: int) -> None:
    """LSODA over the right-hand side in numpy, with a banded Jacobian."""
    ended = solve_ivp(
        lambda _t, y: references.brusselator(y).astype(float),
        (0, 10),
        first_state(points),
        method="LSODA",
        rtol=1e-12,
        atol=1e-13,
        lband=2,
        uband=2,
    )
    np.testing.assert_allclose(references.stored(f"Brusselator-{points}"), ended.y[:, -1], rtol=1e-9)


def test_stored_values_were_made_with_steps_small_enough() -> None:
    for name in references.tasks():
        found = references._read()["problems"][name]
        assert found["difference_at_half_the_steps"] < 1e-14, name
        assert found["difference_to_dop853"] < 1e-10, name


def test_reference_code_is_of_order_16_and_exact() -> None:
    errors = []
    for steps in (4, 8):
        y = references.bulirsch_stoer(lambda y: np.array([y[1], -y[0]]), np.array([1, 0], np.longdouble), 8.0, steps)
        exact = np.array([np.cos(np.longdouble(8)), -np.sin(np.longdouble(8))])
        errors.append(float(np.abs(y - exact).max()))
    print(errors)
    assert errors[1] < errors[0] / 2**14
    assert errors[1] < 1e-12


def test_kepler_energy_and_orbit() -> None:
    """The vis-viva equation with a semi-major axis of 1, at both ends of it."""
    assert KEPLER.invariant is not None
    far = torch.tensor([-1.5, 0.0, 0.0, -((1 / 3) ** 0.5)], dtype=torch.float64)
    torch.testing.assert_close(
        KEPLER.invariant(torch.stack([KEPLER.start(), far])), torch.full((2,), -0.5, dtype=torch.float64)
    )
    with torch.no_grad():
        half = pb.odeint(
            KEPLER.f, KEPLER.start(), KEPLER.times() / 2, method="DP8", engine="embedded", rtol=1e-10, atol=1e-10
        )
    torch.testing.assert_close(half[-1], far, rtol=0, atol=1e-7)


def test_pleiades_keeps_its_momentum() -> None:
    problem = next(problem for problem in NONSTIFF if problem.name == "Pleiades")
    accelerations = problem.f(torch.tensor(0.0), problem.start())[14:].reshape(2, 7)
    torch.testing.assert_close((MASSES * accelerations).sum(-1), torch.zeros(2, dtype=torch.float64))


def test_errors_are_relative_to_each_component() -> None:
    assert KEPLER.error(KEPLER.start()) == 0
    y = KEPLER.start()
    y[0] *= 1 + 1e-3
    assert KEPLER.error(y) == pytest.approx(1e-3)
    y = KEPLER.start()
    y[1] = 1e-3
    assert KEPLER.error(y) == pytest.approx(1e-3 / 3**0.5)


def test_brusselator_of_another_size_has_no_reference() -> None:
    with pytest.raises(ValueError, match="end values are known for"):
        brusselator(17)
