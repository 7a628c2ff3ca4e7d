"""Many solves of compiled dynamics on Julia's threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.engines.julia.ends import check_end
from pyode_bridge.engines.julia.following import NO_NUMBERS, NOT_FOLLOWED, TOO_MANY
from pyode_bridge.engines.julia.lanes import why_compiled
from pyode_bridge.engines.julia.plan import Plan
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance, type_name
from pyode_bridge.problem.checks import not_finite
from pyode_bridge.problem.forms import Hybrid
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.norms import lanes_of
from pyode_bridge.problem.problem import Sensitivity, SolverStats
from pyode_bridge.problem.retcodes import SUCCESS, too_many_events
from pyode_bridge.problem.trajectories import FollowedTrajectories, Moving, Notify


class EnsembleRequest(NamedTuple):
    """What `solve_ensemble` takes, in its order; arrays and functions by their addresses."""

    equation: Any
    workspace: int
    workspace_size: int
    work_size: int
    memory_size: int
    moving: list[tuple[int, int, int]]
    type_name: str
    y0s: Any
    size: int
    first: int
    trajectories: int
    parameter_size: int
    t: Any
    times: int
    ys: Any
    algorithm: Any
    atol: float | list[float]
    rtol: float | list[float]
    control: Any
    sensealg: Any
    notify: int


class EnsemblePullbackRequest(NamedTuple):
    """What `pull_back_ensemble` takes, in its order; arrays and functions by their addresses."""

    solved: Any
    type_name: str
    grads: Any
    dy0s: Any
    size: int
    times: int
    dps: Any
    parameter_size: int
    algorithm: Any
    sensealg: Any
    atol: Any
    rtol: Any
    control: Any
    notify: int


class SharedOut(Protocol):
    """Who solves an ensemble."""

    def solve(self, y0s: Tensor, moving: Sequence[Moving]) -> Solved:
        """Solve from each row of ``y0s``, shape ``(B, n)``."""

    def pull_back(self, solved: Solved, grads: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with respect to each state, ``(B, n)``, and to all parameters, ``(B, p)``, for ``(B, T, n)``."""


class Ensemble:
    """Solves like one problem, but for the states at the start and the tensors that move.

    Args:
        bridge: the Julia package.
        plan: for the first.
        lane: its compiled dynamics.
        notify: told now and then how many solves are done; what it raises ends them all.
    """

    def __init__(self, bridge: Any, plan: Plan, lane: Lane, notify: Notify) -> None:
        self._bridge, self._plan, self._lane = bridge, plan, lane
        self._listener = plan.callbacks.listener(notify)

    def solve(self, y0s: Tensor, moving: Sequence[Moving], *, first: int = 0, count: int | None = None) -> Solved:
        """Solve from each row of ``y0s``, shape ``(B, n)``; the first has this number among so many."""
        plan, backward = self._plan, self._plan.backward
        ys, kept, ended = self._run(y0s, moving, first)
        numbers = first, len(y0s) if count is None else count
        self._raise_for_early_end(ended, plan.problem.method, numbers)
        name, reason = (None, "") if backward is None else (str(backward.sensitivity.sensealg), backward.reason)
        return Solved(ys, self._stats(ended), ended, kept, numbers, name, reason)

    def follow(self, y0s: Tensor, moving: Sequence[Moving]) -> FollowedTrajectories:
        """Solve from event to event from each row of ``y0s``, shape ``(B, n)``."""
        plan, bridge, count = self._plan, self._bridge, len(y0s)
        direction, method = plan.problem.dynamics.direction, plan.problem.method
        ys, _, ended = self._run(y0s, moving, 0)
        self._raise_for_events(ended, count)
        counts, stopped = (torch.empty(count, dtype=torch.int64) for _ in range(2))
        all_events = bridge.write_counts(ended, *map(bridge.writes, (counts, stopped)))
        s, indices, by_time = (
            torch.empty(all_events, dtype=kind) for kind in (torch.float64, torch.int64, torch.int64)
        )
        states = y0s.new_empty(all_events, 3, y0s.shape[1])
        bridge.write_events(ended, *map(bridge.writes, (s, indices, by_time, states)))
        return FollowedTrajectories(
            ys=ys,
            stopped=stopped.bool(),
            counts=counts,
            t=direction.user_time(s),
            indices=indices,
            states=states[:, 1:],
            stats=self._stats(ended),
            algorithm=str(method.algorithm),
            lane_reason=why_compiled(plan.problem.dynamics.func),
        )

    def _run(self, y0s: Tensor, moving: Sequence[Moving], first: int) -> tuple[Tensor, list[tuple[int, Any, int]], Any]:
        """The values, shape ``(B, T, n)``, what has to be kept, and what Julia says of it."""
        plan, problem, bridge = self._plan, self._plan.problem, self._bridge
        y0s, t = y0s.contiguous(), problem.t.contiguous()
        kept = [self._moving(item) for item in moving]
        ys = y0s.new_empty(len(y0s), len(t), y0s.shape[1])
        workspace, backward = self._lane.workspace, plan.backward
        request = EnsembleRequest(
            equation=plan.equation,
            workspace=workspace.address,
            workspace_size=workspace.size,
            work_size=workspace.work_size,
            memory_size=workspace.memory_size,
            moving=[(place, held.data_ptr(), step) for place, held, step in kept],
            type_name=type_name(y0s),
            y0s=bridge.reads(y0s),
            size=y0s.shape[1],
            first=first,
            trajectories=len(y0s),
            parameter_size=0 if backward is None else problem.dynamics.parameter_size,
            t=bridge.reads(t),
            times=len(t),
            ys=bridge.writes(ys),
            algorithm=plan.algorithm,
            atol=julia_tolerance(problem.tolerances.atol),
            rtol=julia_tolerance(problem.tolerances.rtol),
            control=plan.control,
            sensealg=None if backward is None else backward.sensealg,
            notify=self._listener,
        )
        with bridge.one_ensemble, plan.callbacks.raised(), julia_errors(problem.method):
            ended = bridge.solve_ensemble(*request)
        return ys, kept, ended

    def _stats(self, ended: Any) -> SolverStats:
        nfe, njac, accepted, rejected = self._bridge.totals(ended)
        return SolverStats(nfe, njac, accepted, rejected, self._lane.seconds)

    def _moving(self, item: Moving) -> tuple[int, Any, int]:
        """Where the tensor stands in the workspace, all in Julia's memory, and the bytes from one to the next."""
        everything = item.all.detach().contiguous()
        step = everything.stride(0) * everything.element_size()
        return self._lane.slot(item.first), self._bridge.keep(everything), step

    def pull_back(self, solved: Solved, grads: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with respect to each state, ``(B, n)``, and to all parameters, ``(B, p)``, for ``(B, T, n)``."""
        plan, bridge, backward = self._plan, self._bridge, self._plan.backward
        assert backward is not None
        sensitivity = backward.sensitivity
        grads = grads.contiguous()
        count, times, n = grads.shape
        dy0s, dps = grads.new_empty(count, n), grads.new_empty(count, plan.problem.dynamics.parameter_size)
        request = EnsemblePullbackRequest(
            solved=solved.julia,
            type_name=type_name(grads),
            grads=bridge.reads(grads),
            dy0s=bridge.writes(dy0s),
            size=n,
            times=times,
            dps=bridge.writes(dps),
            parameter_size=dps.shape[1],
            algorithm=backward.algorithm,
            sensealg=backward.sensealg,
            atol=sensitivity.tolerances.atol,
            rtol=sensitivity.tolerances.rtol,
            control=backward.control,
            notify=self._listener,
        )
        with bridge.one_ensemble, plan.callbacks.raised(), julia_errors(str(sensitivity.sensealg)):
            ended = bridge.pull_back_ensemble(*request)
        self._raise_for_early_end(ended, sensitivity.method, solved.numbers, sensitivity)
        return dy0s, dps

    def _raise_for_events(self, ended: Any, count: int) -> None:
        """Raise for the first trajectory that was not followed to its end."""
        problem, bridge = self._plan.problem, self._bridge
        assert isinstance(problem.form, Hybrid)
        found = bridge.early_end(ended, tuple(SUCCESS))
        if found is None:
            return
        place, retcode, s = found
        t, name = problem.dynamics.direction.user_time(s), f"Trajectory {place} of {count}"
        if retcode == NOT_FOLLOWED:
            raise UnsupportedDynamicsError(f"{problem.method} has steps that cannot be cut at an event")
        if retcode == NO_NUMBERS:
            values = problem.y0.new_empty(len(problem.form.ends))
            bridge.write_conditions(ended, place, bridge.writes(values))
            raise not_finite(values.tolist(), t)
        if retcode == TOO_MANY:
            t_end = problem.dynamics.direction.user_time(problem.t[-1].item())
            raise too_many_events(t, t_end, problem.form.most, f"{name}: ")
        check_end(retcode, s, problem, f"{name}: {problem.method}")

    def _raise_for_early_end(
        self, ended: Any, method: Method, numbers: tuple[int, int], backward: Sensitivity | None = None
    ) -> None:
        """Raise for the first trajectory that ended early, by its number among all; or pack of these."""
        found = self._bridge.early_end(ended, tuple(SUCCESS))
        if found is None:
            return
        place, retcode, s = found
        name = _name(numbers[0] + place, numbers[1], lanes_of(self._plan.problem.options.norm))
        name = name if backward is None else name[0].lower() + name[1:]
        check_end(retcode, s, self._plan.problem, f"{name}: {method}", backward)


def _name(place: int, count: int, lanes: int | None) -> str:
    """What a message calls a trajectory, or a pack of so many."""
    if lanes is None:
        return f"Trajectory {place} of {count}"
    return f"Pack {place} of {count}, of {lanes} trajectories that share their steps"


@dataclass(frozen=True)
class Solved:
    """What came of a solve.

    Attributes:
        ys: values, shape ``(B, T, n)``.
        stats: the work of all.
        julia, kept: what the backward solves need.
        numbers: that of the first trajectory, and how many there are of which these may be a part.
        sensealg, reason: the sensitivity algorithm, or None, and why this one.
    """

    ys: Tensor
    stats: SolverStats
    julia: Any
    kept: Sequence[tuple[int, Any, int]]
    numbers: tuple[int, int]
    sensealg: str | None
    reason: str
