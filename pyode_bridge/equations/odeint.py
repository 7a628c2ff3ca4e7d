"""Solving an initial value problem: `odeint`, `odeint_adjoint`, `odeint_event` and `solve`."""

from __future__ import annotations

from typing import overload

from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives import transforms
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.equations.event import Condition
from pyode_bridge.equations.events import until_event
from pyode_bridge.equations.parts import refuse_parts
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import solution_of
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.settings import Settings, SolverSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times


@overload
def odeint(
    func: Dynamic, y0: State, t: Times, *, event_fn: None = None, **settings: Unpack[SolverSettings]
) -> State: ...


@overload
def odeint(
    func: Dynamic, y0: State, t: Times, *, event_fn: Condition, **settings: Unpack[SolverSettings]
) -> tuple[Tensor, State]: ...


@between_graphs
@with_settings
def odeint(
    func: Dynamic,
    y0: State,
    t: Times,
    *,
    event_fn: Condition | None = None,
    **settings: Unpack[SolverSettings],
) -> State | tuple[Tensor, State]:
    """Solve ``dy/dt = func(t, y)``, ``y(t[0]) = y0``, and return the values at ``t``, with autograd.

    A drop-in for ``torchdiffeq.odeint`` whose gradients come from an adjoint solve (Chen et al. 2018), with respect
    to ``y0``, ``t`` and every parameter that ``func`` uses.

    ``torch.func`` and ``torch.vmap`` go through it: forward mode solves the forward sensitivities, with the settings of
    the solve, and a batch is solved as one system, which shares its steps and its ``t``. ``torch.compile`` leaves the
    solve between its graphs.

    Args:
        func: maps a scalar tensor ``t`` and the state to the state's derivative, of the same structure. It may
            change its arguments in place and keep them. `SecondOrder`, `Partitioned`, `Split` and `Quasilinear` say
            which parts it has, for solvers that treat them differently.
        y0: initial state: a tensor of any shape, or a tuple or dict of tensors; real or complex. Half precision is
            solved in float32 and comes back as it was, and tensors of a state may differ in precision.
        t: times, shape ``(T,)``, strictly increasing or decreasing; ``y0`` belongs to ``t[0]``.
        event_fn: solves until ``event_fn(t, y)`` crosses zero, as `odeint_event` does, from ``t[0]`` towards ``t[1]``;
            the other times do not matter.
        **settings: how to solve: ``method``, ``rtol``, ``atol``, ``sensealg``, ...; see `SolverSettings`.

    Returns:
        Values at ``t``, shape ``(T, *y0.shape)``, or a tuple or dict of such; the first row is ``y0``. With
        ``event_fn``, what `odeint_event` returns.

    Raises:
        InputError: unusable input, before any solver runs.
        UnknownSolverError, UnknownSensealgError, UnsupportedError: the name is not one the engine serves.
        EngineUnavailableError: the engine cannot start.
        SolverError: the solve ended early; carries the retcode and the time reached.
        WorkerError: the process of ``isolation="process"`` ended.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]))
    """
    return _values(func, y0, t, event_fn, complete("odeint", SolverSettings, settings))


@overload
def odeint_adjoint(
    func: Dynamic, y0: State, t: Times, *, event_fn: None = None, **settings: Unpack[SolverSettings]
) -> State: ...


@overload
def odeint_adjoint(
    func: Dynamic, y0: State, t: Times, *, event_fn: Condition, **settings: Unpack[SolverSettings]
) -> tuple[Tensor, State]: ...


@between_graphs
@with_settings
def odeint_adjoint(
    func: Dynamic,
    y0: State,
    t: Times,
    *,
    event_fn: Condition | None = None,
    **settings: Unpack[SolverSettings],
) -> State | tuple[Tensor, State]:
    """Solve as `odeint` does; gradients are those of the continuous adjoint (Chen et al. 2018) with any method.

    It differs from `odeint` with torchdiffeq's fixed-step names and on the embedded engine, as it does there: `odeint`
    gives the gradient of the steps, which is exact and keeps them, and this one solves the adjoint backwards by such
    steps, in memory that does not grow with their number.
    """
    return _values(func, y0, t, event_fn, complete("odeint_adjoint", SolverSettings, settings, continuous=True))


@between_graphs
@with_settings
def odeint_event(
    func: Dynamic,
    y0: State,
    t0: Tensor,
    *,
    event_fn: Condition,
    reverse_time: bool = False,
    odeint_interface: object = odeint,
    **settings: Unpack[SolverSettings],
) -> tuple[Tensor, State]:
    """Solve until ``event_fn(t, y)`` crosses zero; a drop-in for ``torchdiffeq.odeint_event``.

    Args:
        func, y0: as for `odeint`.
        t0: start time, a scalar tensor.
        event_fn: a real tensor; the first of its elements to cross zero is the event.
        reverse_time: whether to solve towards earlier times.
        odeint_interface: `odeint`, or `odeint_adjoint` for its gradients.
        **settings: as for `odeint`; see `SolverSettings`.

    Returns:
        The time of the event, and the state at ``t0`` and at the event, shape ``(2, *y0.shape)`` or a tuple or dict of
        such; both with gradients to ``y0``, ``t0`` and the parameters of ``func`` and ``event_fn``.

    Raises:
        SolverError: there is no event within a span of some 10⁹ time units, or a solve failed on the way.
    """
    continuous = odeint_interface is odeint_adjoint
    chosen = complete("odeint_event", SolverSettings, settings, continuous=continuous)
    return until_event(func, y0, t0, event_fn, Direction(-1.0 if reverse_time else 1.0), chosen)


@between_graphs
@with_settings
def solve(
    func: Dynamic,
    y0: State,
    t: Times,
    *,
    dense: bool = False,
    **settings: Unpack[SolverSettings],
) -> Solution:
    """Solve as `odeint` does, and return a `Solution`: values, statistics, retcode, engine, algorithm and lane.

    With ``dense``, the solution can be called at any time within the span.
    """
    return _solution(func, y0, t, complete("solve", SolverSettings, settings, dense=dense))


def _values(
    func: Dynamic, y0: State, t: Times, event_fn: Condition | None, settings: Settings
) -> State | tuple[Tensor, State]:
    if event_fn is None:
        return _solution(func, y0, t, settings).y
    times, values = checks.times(t, Structure.of(y0), least=1)
    return until_event(func, y0, times[0], event_fn, Direction.of(values), settings)


def _solution(func: Dynamic, y0: State, t: Times, settings: Settings) -> Solution:
    checks.function(func, "func")
    if levels.active():
        refuse_parts(func)
        times, y, trajectory, structure = transforms.solved(func, y0, t, settings, prepare)
        return Solution(t=times, y=y, trajectory=trajectory, structure=structure)
    return solution_of(prepare(func, y0, t, settings))
