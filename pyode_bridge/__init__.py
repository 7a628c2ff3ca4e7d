"""Differential equations inside PyTorch, solved by Julia's DifferentialEquations.jl with adjoint gradients."""

from pyode_bridge.engines import start_julia
from pyode_bridge.ensembles.ensemble import solve_ensemble
from pyode_bridge.ensembles.kinds import DDE, SDE, Hybrid
from pyode_bridge.ensembles.result import EnsembleSolution, EventEnsembleSolution, EventTable
from pyode_bridge.equations.catalogue import solvers
from pyode_bridge.equations.daeint import DAESolution, daeint, solve_dae
from pyode_bridge.equations.ddeint import ddeint, solve_dde
from pyode_bridge.equations.event import Event
from pyode_bridge.equations.event_solution import EventRecord, EventSolution
from pyode_bridge.equations.events import solve_events
from pyode_bridge.equations.julia_dynamics import JuliaDynamics
from pyode_bridge.equations.neural_ode import NeuralODE
from pyode_bridge.equations.odeint import odeint, odeint_adjoint, odeint_event, solve
from pyode_bridge.equations.odeint_dense import odeint_dense
from pyode_bridge.equations.parts import Partitioned, Quasilinear, SecondOrder, Split
from pyode_bridge.equations.result import Result
from pyode_bridge.equations.sdeint import sdeint, solve_sde
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.steady_state import solve_steady_state, steady_state
from pyode_bridge.errors import (
    BridgeError,
    EngineUnavailableError,
    GradientWarning,
    InputError,
    MissingPackageError,
    OptionWarning,
    RandomWarning,
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
from pyode_bridge.views.solver_table import SolverTable

__version__ = "0.1.0"

__all__ = [
    "DDE",
    "SDE",
    "BridgeError",
    "DAESolution",
    "EngineUnavailableError",
    "EnsembleSolution",
    "Event",
    "EventEnsembleSolution",
    "EventRecord",
    "EventSolution",
    "EventTable",
    "GradientWarning",
    "Hybrid",
    "InputError",
    "JuliaDynamics",
    "MissingPackageError",
    "NeuralODE",
    "OptionWarning",
    "Partitioned",
    "Quasilinear",
    "RandomWarning",
    "Result",
    "SecondOrder",
    "Solution",
    "SolverError",
    "SolverInfo",
    "SolverSettings",
    "SolverTable",
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
    "odeint_dense",
    "odeint_event",
    "sdeint",
    "solve",
    "solve_dae",
    "solve_dde",
    "solve_ensemble",
    "solve_events",
    "solve_sde",
    "solve_steady_state",
    "solvers",
    "start_julia",
    "steady_state",
]
