"""Measured orders of convergence agree with the orders that Julia states."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE, Coupled

pytestmark = [pytest.mark.julia, pytest.mark.slow, pytest.mark.timeout(900)]

# Steps per unit of time, coarse enough that the error of a method of that order stands well above rounding.
STEPS = {1: 128, 2: 128, 3: 64, 4: 64, 5: 32, 6: 16, 7: 16, 8: 8}
# The end and times before it, which steps meet: at one time alone, terms of the error may happen to cancel.
TIMES = 0.1 + torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=DOUBLE)

# Not among the methods, because they are of another order where the dynamics depend on time, by faults of the packages
# (see `limited_solvers`) or by their construction:
# - Kvaerno3, Kvaerno4 and ESDIRK547L2SA2 (first), Kvaerno5 (third): an abscissa is not the sum of its row;
# - CKLLSRK54_3C and CKLLSRK95_4C (first): a coefficient is wrong; Anas5 (second): its second stage lacks the step;
# - Exp4, EPIRK and EXPRB53s3, Exprb32, RKG2 (first) and Exprb43 (second): made for autonomous dynamics;
# - SHLDDRK64: its coefficients have so few digits that errors end at 5e-7.
# At these steps, the leading error terms of BS5, Vern6, Vern8 and ABM54 are not the largest.
EXPLICIT_RK = "Euler Heun Midpoint Ralston BS3 OwrenZen3 OwrenZen4 OwrenZen5 RK4 Ralston4 DP5 Tsit5 DP8 Alshina6"
LOW_STORAGE_RK = "CarpenterKennedy2N54 NDBLSRK124 RK46NL ORK256 RDPK3Sp35 RDPK3Sp49 RDPK3SpFSAL49 CFRLDDRK64"
STRONG_STABILITY_RK = "SSPRK22 SSPRK33 SSPRK43 SSPRK54 SSPRK104 SSPRK932"
STABILISED = "ROCK2 ROCK4 RKC ESERK4"
MULTISTEP = "AB3 AB4 ABM32 ABM43"
ROSENBROCK = "Rosenbrock23 ROS3P Rodas3 Rodas4 Rodas4P Rodas5 Rodas5P GRK4T"
SDIRK = "ImplicitEuler ImplicitMidpoint Trapezoid TRBDF2 SDIRK2 KenCarp3 KenCarp4 KenCarp47 Cash4 ESDIRK54I8L2SA"
FIRK_AND_BDF = "RadauIIA3 RadauIIA5 GaussLegendre ABDF2 QNDF2"
METHODS = " ".join(
    [EXPLICIT_RK, LOW_STORAGE_RK, STRONG_STABILITY_RK, STABILISED, MULTISTEP, ROSENBROCK, SDIRK, FIRK_AND_BDF]
).split()


class Rotation(torch.nn.Module):
    """``dy/dt = 4 t (y2, -y1)``, solved by ``(cos 2 t^2, -sin 2 t^2)``."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return 4 * t * torch.stack([y[1], -y[0]])

    def exact(self, t: Tensor) -> Tensor:
        return torch.stack([torch.cos(2 * t**2), -torch.sin(2 * t**2)], dim=-1)


@functools.cache
def stated_orders() -> dict[str, int | None]:
    return {solver.name: solver.order for solver in pb.solvers("julia")}


def error(method: str, problem: Coupled | Rotation, steps: int) -> float:
    exact = problem.exact(TIMES)
    with torch.no_grad():
        y = pb.odeint(
            problem,
            exact[0],
            TIMES,
            method=method,
            engine="julia",
            rtol=1e-12,  # for the equations of implicit steps: the steps are fixed
            atol=1e-12,
            options={"dt": 1 / steps, "adaptive": False},
        )
    assert isinstance(y, Tensor)
    return (y / exact - 1).abs().max().item()


def check_order(method: str, problem: Coupled | Rotation) -> None:
    stated = stated_orders()[method]
    assert stated is not None
    coarse, fine = (error(method, problem, steps) for steps in (STEPS[stated], 2 * STEPS[stated]))
    measured = math.log2(coarse / fine)
    print(f"{method:22}{stated:3}{measured:7.2f}   {coarse:.1e} {fine:.1e}")
    assert measured == pytest.approx(stated, abs=0.3)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_is_as_stated(method: str) -> None:
    check_order(method, Coupled())


def test_the_order_of_vern7_is_as_stated_on_a_linear_problem() -> None:
    """Its leading error term is so small that on the other problem higher ones outweigh it."""
    check_order("Vern7", Rotation())
