"""The embedded engine: looks the algorithm up, runs it, and attaches the paper's adjoint."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pyode_bridge.engines.embedded.adjoint import PaperAdjoint
from pyode_bridge.engines.embedded.algorithms import ALGORITHMS, Algorithm
from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration, Integrator
from pyode_bridge.errors import UnsupportedError, near_names
from pyode_bridge.methods import Method
from pyode_bridge.problem import Problem, Sensitivity, SolverInfo, Trajectory
from pyode_bridge.retcodes import raise_for_retcode

SENSEALGS = ("BacksolveAdjoint", "BacksolveAdjoint()", PaperAdjoint.sensealg)

GET_JULIA = "Run `python -m pyode_bridge install` for the Julia engine, which has every solver."


class EmbeddedEngine:
    """Solvers from PyPI, on the CPU."""

    name = "embedded"

    def check(self, method: Method, sensitivity: Sensitivity | None) -> None:
        """Raise UnsupportedError for a solver or sensitivity algorithm that this engine lacks."""
        _algorithm(method)
        if sensitivity is None:
            return
        _algorithm(sensitivity.method)
        if sensitivity.sensealg not in (None, *SENSEALGS):
            raise UnsupportedError(
                f"sensealg={sensitivity.sensealg!r} is not served by the embedded engine, which has the paper's "
                f"adjoint alone, 'BacksolveAdjoint'. {GET_JULIA}"
            )

    def solve(self, problem: Problem) -> Trajectory:
        """Solve; raises SolverError, or what the dynamics raised."""
        dynamics = problem.dynamics
        algorithm, options = problem.method, problem.options
        ivp = InitialValueProblem(
            f=dynamics,
            jacobian=dynamics.jacobian,
            y0=problem.y0,
            t=problem.t,
            tolerances=problem.tolerances,
            options=options,
            fixed_step=algorithm.fixed_step or options.adaptive is False,
            blocks=(dynamics.size,),
        )
        integration, ys = _integrate(ivp, algorithm, sign=dynamics.sign)
        sensitivity = problem.sensitivity
        pullback = None if sensitivity is None else PaperAdjoint(problem, sensitivity, ys, _backward)
        return Trajectory(ys, integration.stats, integration.retcode, self.name, _name(algorithm), "native", pullback)

    def solvers(self) -> Sequence[SolverInfo]:
        """The solvers whose packages are installed."""
        return [
            SolverInfo(name, algorithm.source, algorithm.summary)
            for name, algorithm in ALGORITHMS.items()
            if algorithm.installed
        ]


def _backward(ivp: InitialValueProblem, sensitivity: Sensitivity) -> Tensor:
    _, ys = _integrate(ivp, sensitivity.method, sign=-1.0)
    return ys[-1]


def _integrate(ivp: InitialValueProblem, method: Method, *, sign: float) -> tuple[Integration, Tensor]:
    name = _name(method)
    integration = _integrator(name, ivp.fixed_step)(ivp)
    raise_for_retcode(
        integration.retcode, t=sign * integration.t_reached, t_end=sign * ivp.t[-1].item(), algorithm=name
    )
    assert integration.ys is not None  # a retcode of success carries the values
    return integration, integration.ys


def _integrator(name: str, fixed_step: bool) -> Integrator:
    algorithm = ALGORITHMS[name]
    integrator = algorithm.fixed if fixed_step else algorithm.default
    if integrator is None:
        has, hint = ("adaptive", "") if fixed_step else ("fixed", " Ask for it with options={'adaptive': False}.")
        raise UnsupportedError(f"The embedded engine has {name} with {has} steps only.{hint} {GET_JULIA}")
    return integrator


def _name(method: Method) -> str:
    return str(method).removesuffix("()")


def _algorithm(method: Method) -> Algorithm:
    name = _name(method)
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise UnsupportedError(
            f"method={str(method)!r} is not a solver of the embedded engine, which has {', '.join(ALGORITHMS)}."
            f"{near_names(name, ALGORITHMS)} {GET_JULIA}"
        )
    if not algorithm.installed:
        raise UnsupportedError(
            f"{name} needs the package scikit-sundae: pip install 'pyode_bridge[sundials]'. {GET_JULIA}"
        )
    return algorithm
