"""Differential equations inside PyTorch, solved by Julia's DifferentialEquations.jl with adjoint gradients."""

from pyode_bridge.catalogue import solvers
from pyode_bridge.errors import (
    BridgeError,
    EngineUnavailableError,
    InputError,
    SolverError,
    UnknownSensealgError,
    UnknownSolverError,
    UnsupportedError,
)
from pyode_bridge.events import Event, EventRecord, EventSolution, odeint_event, solve_events
from pyode_bridge.neural_ode import NeuralODE
from pyode_bridge.odeint import odeint, odeint_adjoint, solve
from pyode_bridge.problem import SolverInfo
from pyode_bridge.solution import Solution

__version__ = "0.1.0"

__all__ = [
    "BridgeError",
    "EngineUnavailableError",
    "Event",
    "EventRecord",
    "EventSolution",
    "InputError",
    "NeuralODE",
    "Solution",
    "SolverError",
    "SolverInfo",
    "UnknownSensealgError",
    "UnknownSolverError",
    "UnsupportedError",
    "odeint",
    "odeint_adjoint",
    "odeint_event",
    "solve",
    "solve_events",
    "solvers",
]
