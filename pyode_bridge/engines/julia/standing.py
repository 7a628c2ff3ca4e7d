"""Solves that stand: done again with other values, of which addresses cross to Julia and nothing else.

What was planned for a solve holds for every problem of the same settings over the same dynamics. What such a one costs
beside Julia's own work is writing some addresses, and a call of a C function.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.runtime.lane import Lane
from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.engines.julia.ends import check_end
from pyode_bridge.engines.julia.guard import Guard, RaisedHere
from pyode_bridge.engines.julia.plan import Backward, Plan
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance, type_name
from pyode_bridge.problem.mismatch import Mismatch, warn_of_mismatch
from pyode_bridge.problem.problem import AdjointStats, Gradients, Problem, SolverStats, Trajectory

# Slots of a request, as Julia's half has them: what is written here, then what is written there.
Y0, TIMES, LENGTH, YS, GRADS, DY0, DP, NFE, NJAC, ACCEPTED, REJECTED, FINITE, WORST, ERROR, SIZE = range(15)
_FUNCTION = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)  # called with Python's lock, as juliacall calls

LARGEST = 2**24  # bytes of a workspace: in larger ones nobody feels what a call costs, and each seat has its own


def is_small(workspace: Workspace) -> bool:
    """Whether a solve may stand in such a workspace."""
    return workspace.work_size + workspace.memory_size <= LARGEST


class Functions:
    """Julia's half, as C functions of the address of a `Seat`'s object; they return 0 for success.

    Attributes:
        solve, pull_back: as the request says.
        forget: lets go of what the backward solve would have needed.
    """

    def __init__(self, bridge: Any) -> None:
        self.solve, self.pull_back, forget = map(_FUNCTION, map(int, bridge.standing_functions()))
        self.forget: Callable[[int], int] = forget
        atexit.register(self._close)  # before Julia ends, which was told of earlier
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._close)

    def _close(self) -> None:
        self.forget = _nothing


class _Counts:
    """Evaluations, products and Jacobians in a workspace, by the last call."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.last = 0, 0, 0

    def count(self) -> None:
        """Note what was evaluated since the last time."""
        self.last = self._workspace.take_counts()


class Seat:
    """What one solve at a time has to itself: the workspace, and Julia's object.

    Attributes:
        workspace: that the equation works in.
        counts: what was evaluated.
        raised: a block of Julia's code.
        request, numbers: what crosses, as integers and as numbers.
        julia, address: Julia's object.
    """

    def __init__(self, bridge: Any, plan: Plan, lane: Lane) -> None:
        problem, backward = plan.problem, plan.backward
        guard, workspace = Guard(), lane.workspace
        workspace.rest()
        workspace.on_tick = guard.act(_not_told)
        self.workspace, self.counts = workspace, _Counts(workspace)
        self.raised = RaisedHere(guard, self.counts)
        self.request = (ctypes.c_int64 * (1 + SIZE))()
        self.numbers = (ctypes.c_double * (1 + SIZE)).from_buffer(self.request)
        self.julia = bridge.standing(
            plan.equation,
            type_name(problem.y0),
            problem.dynamics.size,
            0 if backward is None else problem.dynamics.parameter_size,
            plan.algorithm,
            julia_tolerance(problem.tolerances.atol),
            julia_tolerance(problem.tolerances.rtol),
            plan.control,
            None if backward is None else backward.sensealg,
            ctypes.addressof(self.request),
        )
        self.address = int(bridge.address(self.julia))
        if backward is not None:
            bounds = backward.sensitivity.tolerances
            bridge.stands_back(self.julia, backward.algorithm, bounds.atol, bounds.rtol, backward.control)


class Standing:
    """Solves like one that was planned, over compiled dynamics that call nothing of Python's.

    Args:
        bridge: the Julia package.
        functions: its half of this.
        lane: the compiled dynamics.
        backward: how gradients are computed; None where none are wanted.
        like: what came of the first solve.
        seated: makes a `Seat` for a problem; holds none.
    """

    def __init__(
        self,
        bridge: Any,
        functions: Functions,
        lane: Lane,
        backward: Backward | None,
        like: Trajectory,
        seated: Callable[[Problem], Seat],
    ) -> None:
        self.bridge, self.functions, self.backward = bridge, functions, backward
        self._translation, self._read = lane.translation, lane.read
        self._is_joint = backward is not None and backward.joint_products and "joint" in lane.names
        self._facts = like.engine, like.algorithm, like.lane_reason
        self._seated = seated
        self._idle: list[Seat] = []

    def solve(self, problem: Problem) -> Trajectory | None:
        """Solve; None where that ended otherwise than well, which a solve in the ordinary way tells of."""
        if self._translation.refusal is not None:
            return None
        seat = self._take(problem)
        y0, t = problem.y0.contiguous(), problem.t.contiguous()
        times = t.numel()
        ys = y0.new_empty(times, y0.numel())
        request = seat.request
        request[: YS + 1] = [y0.data_ptr(), t.data_ptr(), times, ys.data_ptr()]
        with seat.raised:
            failed = self.functions.solve(seat.address)
        if failed:
            return None
        nfe, njac, accepted, rejected = request[NFE : REJECTED + 1]
        evaluated = seat.counts.last[0]
        stats = SolverStats(evaluated) if nfe < 0 else SolverStats(nfe or evaluated, njac, accepted, rejected)
        engine, algorithm, reason = self._facts
        pullback = None
        if self.backward is None:
            self.give_back(seat)
        else:
            pullback = StandingPullback(self, seat, self.backward, problem)
        return Trajectory(
            ys=ys,
            stats=stats,
            retcode="Success",
            engine=engine,
            algorithm=algorithm,
            lane="compiled",
            lane_reason=reason,
            pullback=pullback,
            tolerances=problem.tolerances,
        )

    def _take(self, problem: Problem) -> Seat:
        """A seat that nobody has, ready for a solve."""
        try:  # no look first whether there is one: other threads take them too
            seat = self._idle.pop()
        except IndexError:
            seat = self._seated(problem)
        seat.workspace.begin(self._read)
        seat.workspace.compute_jointly(self._is_joint)
        return seat

    def give_back(self, seat: Seat) -> None:
        """Let the next solve have it."""
        self._idle.append(seat)


class StandingPullback:
    """Maps gradients with respect to the values at ``t`` to those with respect to ``y0`` and the parameters.

    It has the seat of its solve, which is free again once this is gone.

    Attributes:
        sensealg: the sensitivity algorithm.
        reason: why this one.
        stats: work of the last backward solve; None before.
    """

    def __init__(self, standing: Standing, seat: Seat, backward: Backward, problem: Problem) -> None:
        self.sensealg, self.reason = str(backward.sensitivity.sensealg), backward.reason
        self.stats: AdjointStats | None = None
        self._standing, self._seat, self._backward, self._problem = standing, seat, backward, problem
        self._thread = threading.get_ident()

    def __del__(self) -> None:
        if threading.get_ident() == self._thread:  # another may never have called Julia
            self._standing.functions.forget(self._seat.address)
        self._standing.give_back(self._seat)

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        dynamics, seat = self._problem.dynamics, self._seat
        grads, request = grad_ys.contiguous(), seat.request
        dy0, dp = grads.new_empty(dynamics.size), grads.new_empty(dynamics.parameter_size)
        request[GRADS : DP + 1] = [grads.data_ptr(), dy0.data_ptr(), dp.data_ptr()]
        with seat.raised:
            failed = self._standing.functions.pull_back(seat.address)
        nfe, nvjp, _ = seat.counts.last
        self.stats = AdjointStats(nfe, nvjp)
        s, error, size = self._again(grads, dy0, dp) if failed else seat.numbers[WORST : SIZE + 1]
        if error:  # of a state that was solved for again
            t = dynamics.direction.user_time(s)
            warn_of_mismatch(Mismatch(t, error, size), self._backward.sensitivity, self.sensealg)
        return Gradients(dy0, dp, are_finite=not failed and bool(request[FINITE]))

    def _again(self, grads: Tensor, dy0: Tensor, dp: Tensor) -> tuple[float, float, float]:
        """The same in the ordinary way, which tells what is wrong."""
        bridge, backward, seat = self._standing.bridge, self._backward, self._seat
        sensitivity = backward.sensitivity
        with seat.raised, julia_errors(self.sensealg):
            retcode, s, error, size = bridge.pull_back(
                bridge.solved(seat.julia),
                *(bridge.reads(grads), bridge.writes(dy0), len(dy0), bridge.writes(dp)),
                *(backward.algorithm, backward.sensealg, sensitivity.tolerances.atol, sensitivity.tolerances.rtol),
                backward.control,
            )
        check_end(retcode, s, self._problem, str(sensitivity.method), sensitivity)
        return s, error, size


def _nothing(_: object) -> int:
    """What is called in Julia's place where it has ended."""
    return 0


def _not_told(s: float) -> None:
    """Nobody is told the time."""
