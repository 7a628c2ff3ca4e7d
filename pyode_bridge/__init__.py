"""Differential equations inside PyTorch, solved by Julia's DifferentialEquations.jl with adjoint gradients."""

from pyode_bridge.ensembles.ensemble import EnsembleSolution, solve_ensemble
from pyode_bridge.equations.catalogue import solvers
from pyode_bridge.equations.daeint import daeint
from pyode_bridge.equations.ddeint import ddeint
from pyode_bridge.equations.event import Event
from pyode_bridge.equations.events import EventRecord, EventSolution, odeint_event, solve_events
from pyode_bridge.equations.julia_dynamics import JuliaDynamics
from pyode_bridge.equations.neural_ode import NeuralODE
from pyode_bridge.equations.odeint import odeint, odeint_adjoint, solve
from pyode_bridge.equations.parts import Partitioned, Quasilinear, SecondOrder, Split
from pyode_bridge.equations.sdeint import sdeint
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.steady_state import steady_state
from pyode_bridge.errors import (
    BridgeError,
    EngineUnavailableError,
    GradientWarning,
    InputError,
    SolverError,
    ToleranceWarning,
    UnknownSensealgError,
    UnknownSettingError,
    UnknownSolverError,
    UnsupportedError,
    WorkerError,
)
from pyode_bridge.problem.problem import SolverInfo
from pyode_bridge.problem.settings import SolverSettings

__version__ = "0.1.0"

__all__ = [
    "BridgeError",
    "EngineUnavailableError",
    "EnsembleSolution",
    "Event",
    "EventRecord",
    "EventSolution",
    "GradientWarning",
    "InputError",
    "JuliaDynamics",
    "NeuralODE",
    "Partitioned",
    "Quasilinear",
    "SecondOrder",
    "Solution",
    "SolverError",
    "SolverInfo",
    "SolverSettings",
    "Split",
    "ToleranceWarning",
    "UnknownSensealgError",
    "UnknownSettingError",
    "UnknownSolverError",
    "UnsupportedError",
    "WorkerError",
    "daeint",
    "ddeint",
    "odeint",
    "odeint_adjoint",
    "odeint_event",
    "sdeint",
    "solve",
    "solve_ensemble",
    "solve_events",
    "solvers",
    "steady_state",
]
