"""The embedded engine: looks the algorithm up, runs it, and attaches an adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.engines.embedded import following
from pyode_bridge.engines.embedded.adjoint import PaperAdjoint
from pyode_bridge.engines.embedded.algorithms import ALGORITHMS
from pyode_bridge.engines.embedded.choice import GET_JULIA, check_served, name_of, named, stepping
from pyode_bridge.engines.embedded.discrete import Recording, TorchAdjoint
from pyode_bridge.engines.embedded.initial_value import forward
from pyode_bridge.engines.embedded.integrator import NOBODY, InitialValueProblem, Integration
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.problem import (
    AS_ASKED,
    RECORDING,
    Happened,
    Problem,
    Pullback,
    Sensitivity,
    SolverInfo,
    Trajectory,
)
from pyode_bridge.problem.retcodes import raise_for_retcode
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.trajectories import Moving, Notify

CONTINUOUS = ("BacksolveAdjoint", "BacksolveAdjoint()", PaperAdjoint.sensealg)


class EmbeddedEngine:
    """Solvers from PyPI, on the CPU."""

    name = "embedded"
    compiles = False

    def adjoint_method(self, problem: Problem) -> Method:
        """That of the problem's backward solve."""
        return problem.adjoint.method

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnsupportedError for a solver or sensitivity algorithm that this engine lacks."""
        if method.kind != "ODE":
            raise UnsupportedError(
                f"The embedded engine solves ordinary differential equations over time alone. {GET_JULIA}"
            )
        named(method)
        if sensitivity is None:
            return
        named(sensitivity.method)
        if sensitivity.sensealg in RECORDING and not named(method).is_recorded:
            able = ", ".join(name for name, algorithm in ALGORITHMS.items() if algorithm.is_recorded)
            raise UnsupportedError(
                f"TorchAdjoint goes through the steps of solvers that are written in torch, {able}; {name_of(method)} "
                "is none of them. Choose 'BacksolveAdjoint'."
            )
        if sensitivity.sensealg in RECORDING and sensitivity.asked:
            raise UnsupportedError(
                f"{', '.join(sensitivity.asked)} say how to solve backwards, which TorchAdjoint does not: it goes "
                "through the steps of the solve. Leave them out, or choose 'BacksolveAdjoint'."
            )
        if sensitivity.sensealg not in (None, *CONTINUOUS, *RECORDING):
            raise UnsupportedError(
                f"sensealg={sensitivity.sensealg!r} is not served by the embedded engine, which has the paper's "
                f"adjoint, 'BacksolveAdjoint', and the discrete one, 'TorchAdjoint'. {GET_JULIA}"
            )

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        check_served(problem)
        steps, fixed = stepping(problem.method, problem.options)
        name, sensitivity = name_of(problem.method), problem.sensitivity
        ivp = forward(problem, fixed=fixed)
        recording = None
        if sensitivity is not None and _is_discrete(sensitivity, problem.method):
            recording = Recording(problem.dynamics, ivp.y0)
            ivp = recording.of(ivp)
        with torch.set_grad_enabled(recording is not None):
            integration = following.integrate(steps, ivp)
        raise_for_retcode(integration.retcode, integration.t_reached, problem, name)
        ys = integration.ys
        assert ys is not None  # a retcode of success carries the values
        pullback: Pullback | None = None
        if sensitivity is not None:
            if recording is None:
                pullback = _paper(problem, sensitivity, ys)
            else:
                pullback = TorchAdjoint(recording, ys, integration.stats.nfe, _why(sensitivity, fixed=fixed))
        return Trajectory(
            ys.detach(),
            integration.stats,
            integration.retcode,
            self.name,
            name,
            "native",
            pullback,
            integration.interpolant,
            lane_reason="the embedded engine runs in Python",
            tolerances=problem.tolerances,
        )

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span."""
        check_served(problem)
        steps, fixed = stepping(problem.method, problem.options)
        name, options = name_of(problem.method), problem.options
        if fixed and options.dt is None and options.grid_constructor is None:
            raise UnsupportedError(
                f"Events by the fixed steps of {name} need their length: give options={{'step_size': ...}}."
            )
        ivp = replace(forward(problem, fixed=fixed), listeners=NOBODY)  # who hear of the solve that ends at the event
        ended = following.locate(steps, ivp, happened)
        raise_for_retcode(ended.retcode, ended.t_reached, problem, name)

    def follow(self, problem: Problem) -> None:
        """None: conditions of events are Python's."""

    def recall(self, guards: Guards, structure: Structure, direction: Direction) -> None:
        """Nothing is known: nothing is compiled."""

    def ensemble(self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify) -> NoReturn:
        """Raise UnsupportedDynamicsError."""
        raise UnsupportedDynamicsError("the embedded engine has no compiled lane")

    def follow_ensemble(self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify) -> NoReturn:
        """Raise UnsupportedDynamicsError."""
        raise UnsupportedDynamicsError("the embedded engine has no compiled lane")

    def call(self, name: str, dynamics: Dynamics, out: Tensor, vectors: Sequence[Tensor], s: float) -> NoReturn:
        """Raise UnsupportedError."""
        raise UnsupportedError(f"Dynamics that are written in Julia are not served by the embedded engine. {GET_JULIA}")

    def solvers(self) -> Sequence[SolverInfo]:
        """The solvers whose packages are installed."""
        return [algorithm.info(name) for name, algorithm in ALGORITHMS.items() if algorithm.installed]


def _is_discrete(sensitivity: Sensitivity, method: Method) -> bool:
    """Whether the gradient goes through the steps: where it was asked for, and by default where they are torch's."""
    if sensitivity.sensealg is None:
        return named(method).is_recorded and not sensitivity.continuous and not sensitivity.asked
    return sensitivity.sensealg in RECORDING


def _why(sensitivity: Sensitivity, *, fixed: bool) -> str:
    if sensitivity.sensealg:
        return AS_ASKED
    return "the steps are fixed: it is their own gradient" if fixed else "the solver's steps are torch's operations"


def _paper(problem: Problem, sensitivity: Sensitivity, ys: Tensor) -> PaperAdjoint:
    steps, fixed = stepping(sensitivity.method, sensitivity.options)

    def solve(segment: InitialValueProblem) -> Integration:
        return following.integrate(steps, segment)

    return PaperAdjoint(problem, sensitivity, ys, solve, fixed=fixed)
