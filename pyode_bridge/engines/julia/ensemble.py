"""Many solves of compiled dynamics on Julia's threads."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pyode_bridge.engines.julia import unnamed
from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.equation import columns, type_name
from pyode_bridge.engines.julia.translation import julia_errors, julia_tolerance
from pyode_bridge.problem.problem import Problem, Sensitivity, SolverStats
from pyode_bridge.problem.retcodes import SUCCESS, raise_for_retcode


@dataclass(frozen=True)
class Moving:
    """A tensor that differs between trajectories: that of the first, which the dynamics use, and all, ``(B, ...)``."""

    first: Tensor
    all: Tensor


@dataclass(frozen=True)
class Settings:
    """What Julia is told: solvers and step control of both directions, the sensitivity algorithm, or None, and why."""

    algorithm: Any
    control: Any
    sensitivity: Sensitivity | None
    sensealg: Any
    reason: str
    backward: Any
    backward_control: Any


class Ensemble:
    """Solves like one problem, but for the states at the start and the tensors that move.

    Args:
        bridge: the Julia package.
        problem: the first.
        callbacks: of its dynamics, which are compiled.
        notify: told now and then how many solves are done; what it raises ends them all.
        settings: for Julia.
    """

    def __init__(
        self, bridge: Any, problem: Problem, callbacks: Callbacks, notify: Callable[[int], None], settings: Settings
    ) -> None:
        assert callbacks.lane is not None
        self._bridge, self._problem, self._callbacks, self._settings = bridge, problem, callbacks, settings
        self._lane = callbacks.lane
        self._told = callbacks.told(notify)
        weakref.finalize(self, callbacks.lane.free)

    def solve(self, y0s: Tensor, moving: Sequence[Moving], *, first: int = 0, count: int | None = None) -> Solved:
        """Solve from each row of ``y0s``, shape ``(B, n)``; the first has this number among so many."""
        problem, lane, settings = self._problem, self._lane, self._settings
        y0s, t = y0s.contiguous(), problem.t.contiguous()
        kept = [self._moving(item) for item in moving]
        ys = y0s.new_empty(len(y0s), len(t), y0s.shape[1])
        mass_matrix = None if problem.mass_matrix is None else columns(problem.mass_matrix)
        environment = lane.environment
        bridge = self._bridge
        with bridge.one_ensemble, self._callbacks.raised(), julia_errors(problem.method):
            solved = bridge.solve_ensemble(
                self._callbacks.compiled(products=settings.sensitivity is not None),
                environment.address,
                environment.size,
                environment.work_size,
                environment.memory_size,
                [(place, held.data_ptr(), step) for place, held, step in kept],
                type_name(y0s),
                bridge.reads(y0s),
                y0s.shape[1],
                len(y0s),
                0 if settings.sensitivity is None else problem.dynamics.parameter_size,
                0 if mass_matrix is None else bridge.reads(mass_matrix),
                bridge.reads(t),
                len(t),
                bridge.writes(ys),
                settings.algorithm,
                julia_tolerance(problem.tolerances.atol),
                julia_tolerance(problem.tolerances.rtol),
                settings.control,
                settings.sensealg,
                self._told,
            )
        numbers = first, len(y0s) if count is None else count
        self._raise_for_early_end(solved, t[-1].item(), f"Trajectory {{}} of {{}}: {problem.method}", numbers)
        nfe, njac, accepted, rejected = bridge.totals(solved)
        stats, chosen = SolverStats(nfe, njac, accepted, rejected, lane.seconds), settings.sensitivity
        name = None if chosen is None else str(chosen.sensealg)
        return Solved(ys, stats, solved, kept, numbers, name, settings.reason)

    def _moving(self, item: Moving) -> tuple[int, Any, int]:
        """Where the tensor stands in the environment, all in Julia's memory, and the bytes from one to the next."""
        everything = item.all.detach().contiguous()
        step = everything.stride(0) * everything.element_size()
        return self._lane.place(item.first), self._bridge.keep(everything), step

    def pull_back(self, solved: Solved, grads: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with respect to each state, ``(B, n)``, and to all parameters, ``(B, p)``, for ``(B, T, n)``."""
        problem, settings = self._problem, self._settings
        sensitivity = settings.sensitivity
        assert sensitivity is not None
        name = str(sensitivity.sensealg)
        grads = grads.contiguous()
        count, times, n = grads.shape
        dy0s, dps = grads.new_empty(count, n), grads.new_empty(count, problem.dynamics.parameter_size)
        bridge = self._bridge
        with bridge.one_ensemble, self._callbacks.raised(), julia_errors(name):
            ended = bridge.pull_back_ensemble(
                solved.julia,
                type_name(grads),
                bridge.reads(grads),
                bridge.writes(dy0s),
                n,
                times,
                bridge.writes(dps),
                dps.shape[1],
                settings.backward,
                settings.sensealg,
                sensitivity.tolerances.atol,
                sensitivity.tolerances.rtol,
                settings.backward_control,
                self._told,
            )
        algorithm = f"trajectory {{}} of {{}}: {sensitivity.method}"
        self._raise_for_early_end(ended, problem.t[0].item(), algorithm, solved.numbers, sensitivity)
        return dy0s, dps

    def _raise_for_early_end(
        self,
        ended: Any,
        t_end: float,
        algorithm: str,
        numbers: tuple[int, int],
        sensitivity: Sensitivity | None = None,
    ) -> None:
        """Raise for the first trajectory that ended early; its number among all takes two places in ``algorithm``."""
        found = self._bridge.early_end(ended, tuple(SUCCESS))
        if found is None:
            return
        if sensitivity is None:
            self._problem.dynamics.check_start(self._problem.t[0].item(), self._problem.y0)
        place, retcode, reached = found
        if retcode == unnamed.STIFF:
            raise unnamed.StiffError(reached)
        sign = self._problem.dynamics.sign
        asked = self._problem if sensitivity is None else sensitivity
        raise_for_retcode(
            retcode,
            t=sign * reached,
            t_end=sign * t_end,
            algorithm=algorithm.format(numbers[0] + place, numbers[1]),
            sensealg=None if sensitivity is None else str(sensitivity.sensealg),
            rtol=asked.tolerances.rtol,
            dtype=self._problem.y0.dtype,
        )


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
