"""The embedded engine: looks the algorithm up, runs it, and attaches the paper's adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.engines.embedded.adjoint import PaperAdjoint
from pyode_bridge.engines.embedded.algorithms import ALGORITHMS, Algorithm
from pyode_bridge.engines.embedded.discrete import TorchAdjoint, recorded
from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration, Integrator
from pyode_bridge.errors import UnsupportedError, near_names
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import AS_ASKED, Happened, Problem, Pullback, Sensitivity, SolverInfo, Trajectory
from pyode_bridge.problem.retcodes import raise_for_retcode
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.torchdiffeq import METHODS
from pyode_bridge.problem.trajectories import Moving, Notify

CONTINUOUS = ("BacksolveAdjoint", "BacksolveAdjoint()", PaperAdjoint.sensealg)
DISCRETE = ("TorchAdjoint", "TorchAdjoint()")

DEFAULT = "DP5"

GET_JULIA = "Run `python -m pyode_bridge install` for the Julia engine, which has every solver."


class EmbeddedEngine:
    """Solvers from PyPI, on the CPU."""

    name = "embedded"
    compiles = False

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnsupportedError for a solver or sensitivity algorithm that this engine lacks."""
        if method.kind != "ODE":
            raise UnsupportedError(
                f"The embedded engine solves ordinary differential equations over time alone. {GET_JULIA}"
            )
        _algorithm(method)
        if sensitivity is None:
            return
        _algorithm(sensitivity.method)
        if sensitivity.sensealg in DISCRETE and _algorithm(method).source != "torchdiffeq":
            able = ", ".join(name for name, algorithm in ALGORITHMS.items() if algorithm.source == "torchdiffeq")
            raise UnsupportedError(
                f"TorchAdjoint goes through the steps of solvers that are written in torch, {able}; {_name(method)} is "
                "none of them. Choose 'BacksolveAdjoint'."
            )
        if sensitivity.sensealg in DISCRETE and sensitivity.asked:
            raise UnsupportedError(
                f"{', '.join(sensitivity.asked)} say how to solve backwards, which TorchAdjoint does not: it goes "
                "through the steps of the solve. Leave them out, or choose 'BacksolveAdjoint'."
            )
        if sensitivity.sensealg not in (None, *CONTINUOUS, *DISCRETE):
            raise UnsupportedError(
                f"sensealg={sensitivity.sensealg!r} is not served by the embedded engine, which has the paper's "
                f"adjoint, 'BacksolveAdjoint', and the discrete one, 'TorchAdjoint'. {GET_JULIA}"
            )

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        _check(problem)
        if problem.lane == "compiled":
            raise UnsupportedError(f"lane='compiled' is not served by the embedded engine. {GET_JULIA}")
        name, sensitivity, dynamics = _name(problem.method), problem.sensitivity, problem.dynamics
        ivp = _forward(problem)
        discrete = sensitivity is not None and _is_discrete(sensitivity, problem.method)
        if discrete:
            ivp = recorded(ivp, dynamics)
        with torch.set_grad_enabled(discrete):
            integration = _integrate(ivp, problem.method)
        raise_for_retcode(integration.retcode, integration.t_reached, problem, name)
        ys, stats = integration.ys, integration.stats
        assert ys is not None  # a retcode of success carries the values
        pullback: Pullback | None = None
        if sensitivity is not None:
            why = AS_ASKED if sensitivity.sensealg else "the steps are fixed: it is their own gradient"
            pullback = (
                TorchAdjoint(dynamics, ivp.y0, ys, stats.nfe, why)
                if discrete
                else PaperAdjoint(problem, sensitivity, ys, _backward)
            )
        reason = "the embedded engine runs in Python"
        return Trajectory(
            ys.detach(),
            stats,
            integration.retcode,
            self.name,
            name,
            "native",
            pullback,
            lane_reason=reason,
            tolerances=problem.tolerances,
        )

    def locate(self, problem: Problem, happened: Happened) -> None:
        """Solve until something has happened, or to the end of the problem's span."""
        _check(problem)
        name, ivp = _name(problem.method), _forward(problem)
        locator = ALGORITHMS[name].events
        if locator is None or ivp.fixed_step:
            able = ", ".join(name for name, algorithm in ALGORITHMS.items() if algorithm.events)
            raise UnsupportedError(f"The embedded engine finds events with {able}, not with {name}. {GET_JULIA}")
        ended = locator(ivp, happened)
        raise_for_retcode(ended.retcode, ended.t_reached, problem, name)

    def recall(self, guards: Guards, structure: Structure, direction: Direction) -> None:
        """Nothing is known: nothing is compiled."""

    def ensemble(self, problem: Problem, y0s: Tensor, moving: Sequence[Moving], notify: Notify) -> NoReturn:
        """Raise UnsupportedDynamicsError."""
        raise UnsupportedDynamicsError("the embedded engine has no compiled lane")

    def call(self, name: str, dynamics: Dynamics, out: Tensor, vectors: Sequence[Tensor], s: float) -> NoReturn:
        """Raise UnsupportedError."""
        raise UnsupportedError(f"Dynamics that are written in Julia are not served by the embedded engine. {GET_JULIA}")

    def solvers(self) -> Sequence[SolverInfo]:
        """The solvers whose packages are installed."""
        return [algorithm.info(name) for name, algorithm in ALGORITHMS.items() if algorithm.installed]


def _is_discrete(sensitivity: Sensitivity, method: Method) -> bool:
    """Whether the gradient goes through the steps: where it was asked for, and by default through fixed ones."""
    if sensitivity.sensealg is None:
        return method.fixed_step and sensitivity.method == method
    return sensitivity.sensealg in DISCRETE


def _forward(problem: Problem) -> InitialValueProblem:
    dynamics, options = problem.dynamics, problem.options
    return InitialValueProblem(
        f=dynamics,
        jacobian=dynamics.jacobian,
        y0=problem.y0,
        t=problem.t,
        tolerances=problem.tolerances,
        options=options,
        fixed_step=options.adaptive_by(problem.method) is False,
        blocks=(dynamics.size,),
    )


def _check(problem: Problem) -> None:
    wanted = _unserved(problem.method, problem.options)
    if problem.sensitivity is not None:
        wanted += _unserved(problem.sensitivity.method, problem.sensitivity.options)
    if problem.mass_matrix is not None:
        wanted.append("mass_matrix")
    if problem.sparsity is not None:
        wanted.append("jac_sparsity")
    if problem.dense:
        wanted.append("dense")
    if wanted:
        raise UnsupportedError(f"The embedded engine does not serve {', '.join(dict.fromkeys(wanted))}. {GET_JULIA}")


def _unserved(method: Method, options: StepOptions) -> list[str]:
    """The options that were set and that the solver has no use for."""
    algorithm, adaptive = _algorithm(method), options.adaptive_by(method)
    unserved = options.others_than(algorithm.served(adaptive))
    if adaptive and not algorithm.is_adaptive:
        unserved.append("adaptive=True")
    return [f"{option} with {_name(method)}" for option in unserved]


def _backward(ivp: InitialValueProblem, sensitivity: Sensitivity) -> Integration:
    return _integrate(ivp, sensitivity.method)


def _integrate(ivp: InitialValueProblem, method: Method) -> Integration:
    return _integrator(_name(method), ivp.fixed_step)(ivp)


def _integrator(name: str, fixed_step: bool) -> Integrator:
    algorithm = ALGORITHMS[name]
    integrator = algorithm.fixed if fixed_step else algorithm.default
    if integrator is None:
        has, hint = ("adaptive", "") if fixed_step else ("fixed", " Ask for it with options={'adaptive': False}.")
        raise UnsupportedError(f"The embedded engine has {name} with {has} steps only.{hint} {GET_JULIA}")
    return integrator


def _name(method: Method) -> str:
    return DEFAULT if method.algorithm is None else str(method).removesuffix("()")


def _algorithm(method: Method) -> Algorithm:
    name = _name(method)
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise UnsupportedError(
            f"method={str(method)!r} is not a solver of the embedded engine, which has {', '.join(ALGORITHMS)}."
            f"{near_names(name, (*METHODS, *ALGORITHMS))} {GET_JULIA}"
        )
    if not algorithm.installed:
        raise UnsupportedError(
            f"{name} needs the package scikit-sundae: pip install 'pyode_bridge[sundials]'. {GET_JULIA}"
        )
    return algorithm
