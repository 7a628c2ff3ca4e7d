"""Differential equations inside PyTorch, solved by Julia's DifferentialEquations.jl with adjoint gradients."""

from pyode_bridge.catalogue import solvers
from pyode_bridge.daeint import daeint
from pyode_bridge.ddeint import ddeint
from pyode_bridge.ensemble import EnsembleSolution, solve_ensemble
from pyode_bridge.errors import (
    BridgeError,
    EngineUnavailableError,
    GradientWarning,
    InputError,
    SolverError,
    ToleranceWarning,
    UnknownSensealgError,
    UnknownSolverError,
    UnsupportedError,
    WorkerError,
)
from pyode_bridge.events import Event, EventRecord, EventSolution, odeint_event, solve_events
from pyode_bridge.julia_dynamics import JuliaDynamics
from pyode_bridge.neural_ode import NeuralODE
from pyode_bridge.odeint import odeint, odeint_adjoint, solve
from pyode_bridge.parts import Partitioned, Quasilinear, SecondOrder, Split
from pyode_bridge.problem import SolverInfo
from pyode_bridge.sdeint import sdeint
from pyode_bridge.solution import Solution
from pyode_bridge.steady_state import steady_state

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
    "Split",
    "ToleranceWarning",
    "UnknownSensealgError",
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
