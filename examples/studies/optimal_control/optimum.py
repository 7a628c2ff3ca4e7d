"""The problem, and its best cost: from the Riccati equation, or from Pontryagin's conditions where force is bounded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import root
from torch import Tensor

END = 4.0  # horizon
POSITION, SPEED, FORCE = 2.0, 0.5, 0.5  # weights of the cost, each for half a square
BOUND = 1.0  # of the force, where there is one
START = torch.tensor([1.5, 0.0], dtype=torch.float64)
POINTS = 201  # of curves

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """The least cost from a start, and the way to it: ``states``, ``(POINTS, 2)``, and ``forces``, ``(POINTS,)``."""

    cost: float
    states: Vector
    forces: Vector


def hamiltonian() -> Vector:
    """Of state and costate without a bound: ``d(x, l)/dt = H (x, l)``, where the force is ``-l2`` over its weight."""
    drift, entry = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.0], [1.0]])
    return np.block([[drift, -entry @ entry.T / FORCE], [-np.diag([POSITION, SPEED]), -drift.T]])


def riccati_matrix() -> Vector:
    """``P(0)`` of the Riccati equation without a cost at the end, in closed form; the costate at the start is P x."""
    end = expm(hamiltonian() * END)
    return -np.linalg.solve(end[2:, 2:], end[2:, :2])


def riccati(start: Tensor) -> Optimum:
    """The optimum without a bound; it costs ``½ x'P x``."""
    x = start.numpy()
    costate = riccati_matrix() @ x
    step = expm(hamiltonian() * END / (POINTS - 1))
    path = np.array(list(itertools.accumulate(range(POINTS - 1), lambda z, _: step @ z, initial=np.r_[x, costate])))
    return Optimum(float(x @ costate / 2), path[:, :2], -path[:, 3] / FORCE)


def pontryagin(start: Tensor) -> Optimum:
    """The optimum with a bound: the costate at the start, shot until none is left at the end, and the cost of that."""

    def rate(_t: float, z: Vector) -> list[float]:
        position, speed, first, second, _ = z
        u = min(max(-second / FORCE, -BOUND), BOUND)
        cost = (POSITION * position**2 + SPEED * speed**2 + FORCE * u**2) / 2
        return [speed, u, -POSITION * position, -SPEED * speed - first, cost]

    def shot(costate: Vector, t: Vector) -> Vector:
        begin = np.concatenate([start.numpy(), costate, [0.0]])
        return solve_ivp(rate, (0, END), begin, t_eval=t, method="LSODA", rtol=1e-8, atol=1e-9).y

    guess = riccati_matrix() @ start.numpy()
    found = root(lambda costate: shot(costate, np.array([END]))[2:4, -1], guess)
    if not found.success:
        raise RuntimeError(f"No costate was found for the start {start.tolist()}: {found.message}")
    path = shot(found.x, np.linspace(0, END, POINTS))
    return Optimum(float(path[4, -1]), path[:2].T, np.clip(-path[3] / FORCE, -BOUND, BOUND))
