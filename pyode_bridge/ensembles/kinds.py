"""Equations that `solve_ensemble` solves many times over. Of an ordinary one, users give the function alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self, override

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.ensembles.stack import Stack
from pyode_bridge.equations.ddeint import prepared_dde, solve_dde
from pyode_bridge.equations.event import Event
from pyode_bridge.equations.event_solution import EventSolution
from pyode_bridge.equations.events import solve_events
from pyode_bridge.equations.following import prepared_hybrid
from pyode_bridge.equations.julia_dynamics import JuliaDynamics
from pyode_bridge.equations.odeint import solve
from pyode_bridge.equations.past import Lags
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.result import Result
from pyode_bridge.equations.sdeint import Both, NoiseName, checked_seed, prepared_sde, solve_sde
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import InputError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.settings import AdjointSettings, SensealgSettings, SolverSettings, complete
from pyode_bridge.problem.state import State, Structure, Times
from pyode_bridge.problem.trajectories import Moving


class Kind:
    """An equation of many trajectories.

    Attributes:
        settings: the keyword arguments that its solves take.
        members: what is solved, one by one.
    """

    settings: ClassVar[type]
    members: ClassVar[str] = "trajectories"

    def check(self) -> None:
        """Raise InputError where a part of it is no function."""
        raise NotImplementedError

    def for_count(self, count: int) -> Self:
        """The same for so many trajectories, with everything drawn that is random."""
        return self

    def beginning_at(self, first: int) -> Self:
        """The same for trajectories from this number on."""
        return self

    def bound(self, p: State) -> Self:
        """With the parameters that its functions take last."""
        raise NotImplementedError

    def of_first(self, states: Stack) -> tuple[Self, Sequence[Moving]]:
        """The same for the first trajectory, and what is another one's for each, beside states and parameters."""
        return self, ()

    def prepared(self, y0: State, t: Times, settings: SolverSettings) -> Prepared:
        """One trajectory, checked."""
        raise NotImplementedError

    def solved(self, number: int, y0: State, t: Times, settings: SolverSettings) -> Result:
        """What its own function returns of one trajectory alone, by its number."""
        raise NotImplementedError

    def whole(self) -> Dynamic:
        """A function of time and state that uses every tensor which a gradient may have to reach, for executors."""
        raise NotImplementedError


@dataclass(frozen=True)
class Ordinary(Kind):
    """``dy/dt = func(t, y)``."""

    settings: ClassVar[type] = SolverSettings
    func: Callable[..., State]

    @override
    def check(self) -> None:
        checks.function(self.func, "func")

    @override
    def bound(self, p: State) -> Self:
        return replace(self, func=_bound(self.func, p))

    @override
    def prepared(self, y0: State, t: Times, settings: SolverSettings) -> Prepared:
        return prepare(self.func, y0, t, complete("solve_ensemble", self.settings, settings))

    @override
    def solved(self, number: int, y0: State, t: Times, settings: SolverSettings) -> Solution:
        return solve(self.func, y0, t, **settings)

    @override
    def whole(self) -> Dynamic:
        return self.func


@dataclass(frozen=True)
class SDE(Kind):
    """A stochastic equation for `solve_ensemble`, as `sdeint` solves one; each trajectory is a path with its own noise.

    Args:
        drift, diffusion, noise: as for `sdeint`; where ``params`` are given, both functions take a row of them last.
        seed: fixes the paths: that of trajectory ``k``, from 0, is the one of `sdeint` with ``seed + k``, however many
            threads, workers or processes solve. Default: drawn from torch's generator.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> walk = pb.SDE(lambda t, y, p: -p * y, lambda t, y, p: torch.ones_like(y), seed=1)
        >>> rates = torch.linspace(0.5, 1.5, 10)[:, None]
        >>> sol = pb.solve_ensemble(walk, torch.ones(10, 1), torch.tensor([0.0, 1.0]), rates)
    """

    settings: ClassVar[type] = SensealgSettings
    drift: Callable[..., State]
    diffusion: Callable[..., State]
    noise: NoiseName = "diagonal"
    seed: int | None = None

    @override
    def check(self) -> None:
        checks.function(self.drift, "drift")
        checks.function(self.diffusion, "diffusion")

    @override
    def for_count(self, count: int) -> Self:
        return replace(self, seed=checked_seed(self.seed, count))

    @override
    def beginning_at(self, first: int) -> Self:
        assert self.seed is not None
        return replace(self, seed=self.seed + first)

    @override
    def bound(self, p: State) -> Self:
        return replace(self, drift=_bound(self.drift, p), diffusion=_bound(self.diffusion, p))

    @override
    def prepared(self, y0: State, t: Times, settings: SolverSettings) -> Prepared:
        return prepared_sde("solve_ensemble", self.drift, self.diffusion, y0, t, self.noise, self.seed, settings)

    @override
    def solved(self, number: int, y0: State, t: Times, settings: SolverSettings) -> Solution:
        assert self.seed is not None
        own: Any = settings  # of which there are those that it takes
        return solve_sde(self.drift, self.diffusion, y0, t, noise=self.noise, seed=self.seed + number, **own)

    @override
    def whole(self) -> Dynamic:
        return Both(self.drift, self.diffusion)


@dataclass(frozen=True)
class DDE(Kind):
    """A delay equation for `solve_ensemble`, as `ddeint` solves one; where a gradient is wanted, one after another.

    Args:
        func, lags, history: as for `ddeint`; where ``params`` are given, both functions take a row of them last.
            Without a history, each trajectory has been at its own ``y0`` all along.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> growth = pb.DDE(lambda t, y, past, p: p * y * (1 - past[0]), lags=[1.0])
        >>> rates = torch.linspace(0.5, 2.0, 10)[:, None]
        >>> sol = pb.solve_ensemble(growth, torch.full((10, 1), 0.5), torch.linspace(0.0, 20.0, 101), rates)
    """

    settings: ClassVar[type] = AdjointSettings
    func: Callable[..., State]
    lags: Lags
    history: Callable[..., State] | None = None

    @override
    def check(self) -> None:
        checks.function(self.func, "func", "t, y and the past")

    @override
    def bound(self, p: State) -> Self:
        history = None if self.history is None else _bound(self.history, p)
        return replace(self, func=_bound(self.func, p), history=history)

    @override
    def of_first(self, states: Stack) -> tuple[Self, Sequence[Moving]]:
        if self.history is not None:
            return self, ()
        own = [Moving(tensor[0].detach().clone(), tensor.detach()) for tensor in states.tensors]
        start = states.rebuild([item.first for item in own])
        return replace(self, history=lambda t: start), own

    @override
    def prepared(self, y0: State, t: Times, settings: SolverSettings) -> Prepared:
        prepared = prepared_dde("solve_ensemble", self.func, y0, t, self.lags, self.history, settings)
        if prepared.problem.sensitivity is not None:
            raise UnsupportedDynamicsError("a gradient of delay equations is wanted, which come one by one")
        return prepared

    @override
    def solved(self, number: int, y0: State, t: Times, settings: SolverSettings) -> Solution:
        own: Any = settings  # of which there are those that it takes
        return solve_dde(self.func, y0, t, lags=self.lags, history=self.history, **own)

    @override
    def whole(self) -> Dynamic:
        return lambda t, y: self.func(t, y, tuple(y for _ in self.lags))


@dataclass(frozen=True)
class Hybrid(Kind):
    """An equation with events for `solve_ensemble`, as `solve_events` solves one.

    Trajectories are solved on Julia's threads where the dynamics, the conditions and the affects compile, and no
    gradient is wanted; else one after another. ``workers`` and ``executor`` are refused.

    Args:
        func, events, max_events: as for `solve_events`; where ``params`` are given, ``func``, conditions and affects
            take a row of them last. So many events may happen in each trajectory.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> bounce = pb.Event(lambda t, y, p: y[0], lambda t, y, p: torch.stack([y[0], -p * y[1]]), direction="falling")
        >>> ball = pb.Hybrid(lambda t, y, p: torch.stack([y[1], torch.full_like(y[1], -9.81)]), [bounce])
        >>> y0 = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
        >>> sol = pb.solve_ensemble(ball, y0, torch.linspace(0.0, 1.0, 11), torch.linspace(0.5, 0.9, 5))
    """

    settings: ClassVar[type] = SolverSettings
    func: Callable[..., State]
    events: Sequence[Event]
    max_events: int = 10_000

    @override
    def check(self) -> None:
        checks.function(self.func, "func")
        given: Sequence[object] = self.events
        wrong = next((event for event in given if not isinstance(event, Event)), None)
        if wrong is not None or not self.events:
            what = "empty" if wrong is None else f"a list with a {type(wrong).__name__}"
            raise InputError(f"events is {what}; expected at least one Event, and nothing else.")

    @override
    def bound(self, p: State) -> Self:
        events = [
            replace(
                event,
                condition=_bound(event.condition, p),
                affect=None if event.affect is None else _bound(event.affect, p),
            )
            for event in self.events
        ]
        return replace(self, func=_bound(self.func, p), events=events)

    @override
    def prepared(self, y0: State, t: Times, settings: SolverSettings) -> Prepared:
        chosen = complete("solve_ensemble", self.settings, settings)
        times, _ = checks.times(t, Structure.of(y0))
        found = prepared_hybrid(self.func, y0, times, self.events, None, self.max_events, chosen)
        if found is None:
            raise UnsupportedDynamicsError("no engine solves it from event to event")
        return found

    @override
    def solved(self, number: int, y0: State, t: Times, settings: SolverSettings) -> EventSolution:
        return solve_events(self.func, y0, t, self.events, max_events=self.max_events, **settings)


def kind_of(given: Any) -> Kind:
    """What users gave as ``func``, checked."""
    kind = given if isinstance(given, Kind) else Ordinary(given)
    kind.check()
    return kind


def first_of(kind: Kind, states: Stack, parameters: Stack | None) -> tuple[Kind, list[Moving]]:
    """The equation of the first trajectory, and what is another one's for each, beside states."""
    moving: list[Moving] = []
    if parameters is not None:
        moving = [Moving(_own(tensor), tensor) for tensor in parameters.tensors]
        kind = kind.bound(parameters.rebuild([item.first for item in moving]))
    one, own = kind.of_first(states)
    return one, [*moving, *own]


def _own(tensor: Tensor) -> Tensor:
    """The first row as a leaf of its own, laid out as each row of the contiguous whole."""
    first = tensor[0].detach().clone(memory_format=torch.contiguous_format)
    return first.requires_grad_(tensor.requires_grad and torch.is_grad_enabled())


def _bound(func: Callable[..., Any], p: Any) -> Callable[..., Any]:
    """With the parameters that it takes last."""
    return JuliaDynamics(func.source, p) if is_written(func) else lambda *args: func(*args, p)
