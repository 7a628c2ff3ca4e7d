"""The seam between the user's call and an engine: plain data in, plain data out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Beside, Form, Part
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.noise_path import NoisePath
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.sparsity import Sparsity
from pyode_bridge.problem.step_callbacks import StepCallbacks


@dataclass(frozen=True)
class Tolerances:
    """Relative and absolute error bounds: scalars, or tensors with one entry a state component."""

    rtol: float | Tensor
    atol: float | Tensor

    def above_zero(self, dtype: torch.dtype) -> Tolerances:
        """The same where no absolute tolerance is zero, with which the error of a component that is zero is 0 / 0."""
        least = torch.finfo(dtype).tiny ** (1 / 3)  # the squares of what is divided by it are numbers
        atol = self.atol.clamp(min=least) if isinstance(self.atol, Tensor) else max(self.atol, least)
        return Tolerances(self.rtol, atol)


@dataclass(frozen=True)
class SolverSpec:
    """Which solver is to solve, to which tolerances, and how it may step."""

    method: Method
    tolerances: Tolerances
    options: StepOptions


RECORDING = ("TorchAdjoint", "TorchAdjoint()")  # sensitivity algorithms by which autograd records the steps


@dataclass(frozen=True)
class Sensitivity(SolverSpec):
    """How gradients are to be computed: the solver of the backward solve, with scalar tolerances, and the algorithm.

    Attributes:
        sensealg: the sensitivity algorithm in SciMLSensitivity's syntax; None for the engine's default.
        asked: names of the arguments that say so, beside ``sensealg``.
        continuous: whether it is to be one that solves the adjoint's equation, with fixed steps too.
    """

    sensealg: str | None
    asked: tuple[str, ...] = ()
    continuous: bool = False

    @property
    def again(self) -> Sensitivity:
        """The same for the adjoint's equation itself, whose right-hand side takes gradients.

        Not by recording its steps: autograd would go on from each such gradient to all steps before.
        """
        sensealg = None if self.sensealg in RECORDING else self.sensealg
        return replace(self, sensealg=sensealg, continuous=True)


class Standing(Protocol):
    """How an engine solves problems that differ in values alone."""

    def solve(self, problem: Problem) -> Trajectory | None:
        """Solve; None where that has to be done in the ordinary way."""


@dataclass(slots=True)
class Settled:
    """What is the same for all solves of which the user asks the same.

    Attributes:
        asked: the settings as a key.
        standing: how the engine does them again; None where it has not done any, or does each anew.
    """

    asked: Hashable
    standing: Standing | None = None


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Problem:
    """An initial value problem over a flat state, ready for any engine.

    Attributes:
        dynamics: the right-hand side and its derivatives.
        y0: state at ``t[0]``, shape ``(n,)``, detached.
        t: times of the result, shape ``(T,)``, float64 on the CPU, strictly increasing.
        method: the solver asked for.
        tolerances: error bounds of the forward solve.
        options: step options of the forward solve.
        sensitivity: how gradients are computed; None when none are wanted, and then nothing is kept for them.
        mass_matrix: ``M`` of ``M dy/ds = f``, shape ``(n, n)``; None for the identity.
        form: what the equation has beside or within the right-hand side; None for an ordinary one.
        sparsity: pattern of the Jacobian; None for a full one.
        find_sparsity: whether the engine may look for a pattern where there is none.
        dense: whether values between the times will be wanted.
        progress: whether to show a progress bar.
        lane: how the dynamics are to be evaluated: ``"callback"``, ``"compiled"``, or ``"auto"`` for what can be had.
        grid: where the steps of a method of fixed steps that is given by its numbers begin and end, as `t`; None for
            any other.
        backward_grid: the same of its backward solve from ``t[i + 1]`` to ``t[i]``, by ``i``, decreasing.
        step_callbacks: who hears of the steps of the forward solve.
        backward_callbacks: who hears of those of the backward solve; they take the state of that, see `AdjointState`.
        predicates: those among the options that may be compiled, by name: they do nothing but answer.
        settled: what the user's settings say, by which an engine knows another problem of the same dynamics; None
            where they are more than names and numbers, and in what is made of a problem by `replace`.
    """

    dynamics: Dynamics
    y0: Tensor
    t: Tensor
    method: Method
    tolerances: Tolerances
    options: StepOptions
    sensitivity: Sensitivity | None
    mass_matrix: Tensor | None = None
    form: Form | None = None
    sparsity: Sparsity | None = None
    find_sparsity: bool = False
    dense: bool = False
    progress: bool = False
    lane: str = "auto"
    grid: Tensor | None = None
    backward_grid: Callable[[int], Tensor] | None = None
    step_callbacks: StepCallbacks | None = None
    backward_callbacks: StepCallbacks | None = None
    predicates: Mapping[str, Part] = field(default_factory=dict)
    settled: Settled | None = field(default=None, init=False)

    @property
    def adjoint(self) -> Sensitivity:
        """How gradients are computed, of a problem that wants some."""
        assert self.sensitivity is not None
        return self.sensitivity

    @property
    def beside(self) -> Beside:
        """What the solve calls beside the dynamics' own functions."""
        form, asked = self.form, tuple(getattr(self.options, name) for name in self.predicates)
        if form is None:
            return Beside(self.predicates, asked)
        return Beside({**form.parts, **self.predicates}, (*form.functions, *asked), form.has_rhs)


@dataclass(frozen=True)
class SolverStats:
    """Work of a solve; None where the solver does not report a count.

    Attributes:
        nfe: evaluations of the dynamics.
        njac: Jacobians.
        accepted: accepted steps.
        rejected: rejected steps.
        compile_seconds: spent on translating and compiling the dynamics; 0 where that was done before.
    """

    nfe: int
    njac: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    compile_seconds: float = 0.0

    @classmethod
    def total(cls, parts: Sequence[SolverStats]) -> SolverStats:
        """The work of several solves together; a count that one of them does not report is not known of all."""

        def added(name: str) -> int | None:
            counts = [getattr(one, name) for one in parts]
            return None if None in counts else sum(counts)

        nfe, seconds = sum(one.nfe for one in parts), sum(one.compile_seconds for one in parts)
        return cls(nfe, added("njac"), added("accepted"), added("rejected"), seconds)


@dataclass(frozen=True)
class AdjointStats:
    """Work of the last backward solve: evaluations of the dynamics and vector-Jacobian products."""

    nfe: int
    nvjp: int


class Gradients(NamedTuple):
    """Gradients of a scalar loss: with respect to ``y0``, shape ``(n,)``, and to the flat parameters, ``(p,)``.

    They may be known to be finite.
    """

    y0: Tensor
    parameters: Tensor
    are_finite: bool = False


class Interpolant(Protocol):
    """The solution between the times of the result."""

    @property
    def steps(self) -> Tensor:
        """Times at which the solver's steps began and ended, shape ``(N,)``, float64, increasing."""

    def __call__(self, s: Tensor, derivative: int) -> Tensor:
        """Values, or derivatives of that order, at times ``s`` of shape ``(T,)``; shape ``(T, n)``."""


AS_ASKED = "as asked for"


class Pullback(Protocol):
    """Maps gradients with respect to the values at ``t`` to gradients with respect to ``y0`` and parameters.

    Attributes:
        sensealg: the sensitivity algorithm.
        reason: why this one.
    """

    sensealg: str
    reason: str

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """``grad_ys`` has shape ``(T, n)``."""


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Trajectory:
    """What an engine returns.

    Attributes:
        ys: values at the problem's times, shape ``(T, n)``.
        stats: work of the solve.
        retcode: SciMLBase's return code.
        engine: name of the engine that ran.
        algorithm: the algorithm that ran, as the engine names it.
        lane: how the dynamics were evaluated, ``"compiled"``, ``"callback"`` or ``"native"``.
        lane_reason: why in this way.
        jacobian: what an implicit solver's matrix is, and what solves with it; empty where nothing is known of it.
        pullback: present if the problem asked for sensitivities.
        interpolant: present if the problem asked for dense output.
        tolerances: those of the solve.
        path: the steps along noise, where the pullback goes back through them.
    """

    ys: Tensor = field(repr=False)
    stats: SolverStats
    retcode: str
    engine: str
    algorithm: str
    lane: str
    pullback: Pullback | None = field(default=None, repr=False)
    interpolant: Interpolant | None = field(default=None, repr=False)
    lane_reason: str = ""
    jacobian: str = ""
    tolerances: Tolerances | None = None
    path: Callable[[], NoisePath] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Followed:
    """A solve from event to event.

    Attributes:
        trajectory: the values at those times that it passed, and what it took.
        t: when each event happened, in the user's time, shape ``(K,)``.
        indices: which each was.
        by_time: whether time alone made it happen.
        states: the flat ones at the last time before each event, at it and after it, shape ``(K, 3, n)``.
        too_many: the time of one more event than may happen, or None.
    """

    trajectory: Trajectory
    t: Tensor
    indices: Sequence[int]
    by_time: Sequence[bool]
    states: Tensor
    too_many: float | None

    @property
    def stopped(self) -> bool:
        """Whether the last event ended it."""
        return self.trajectory.retcode == "Terminated"


# Whether something has happened at time ``s`` and the flat state there.
Happened = Callable[[float, Tensor], bool]


STIFF_FAMILIES = ("BDF/NDF", "stabilised", "exponential")  # whether or not a solver says that it is implicit


@dataclass(frozen=True)
class SolverInfo:
    """A solver that an engine offers.

    Attributes:
        name: its name in ``method``.
        source: the package that it comes from.
        family: the kind of method, such as ``"Rosenbrock"``.
        order: order of convergence; None where it varies or is not stated.
        adaptive: whether it chooses its steps by itself.
        implicit: whether it solves equations in each step, as solvers for stiff problems do.
        problem: ``"ODE"``, ``"partitioned"`` (two coupled parts, such as positions and velocities), ``"DAE"`` (in
            residual form), ``"SDE"`` or ``"DDE"`` (for which any ``"ODE"`` solver serves).
        summary: a line about it.
        limit: why it does not work as it stands, where it does not; see the engine's own list.
        calculus: whose an ``"SDE"`` solver follows, ``"Ito"`` or ``"Stratonovich"``; else empty.
    """

    name: str
    source: str
    family: str
    order: int | None
    adaptive: bool
    implicit: bool
    problem: str
    summary: str
    limit: str = ""
    calculus: str = ""

    @property
    def stiff(self) -> bool:
        """Whether it is for stiff problems: implicit, or of a family that is stable there.

        Solvers of Julia packages beside OrdinaryDiffEq and StochasticDiffEq do not tell, and are none here.
        """
        return self.implicit or self.family in STIFF_FAMILIES


LOOKS = 10  # of an engine into each step, for what happens between its ends
