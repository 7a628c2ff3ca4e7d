"""A solver's steps, followed for what is wanted: values at times, values anywhere, or the first event."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pyode_bridge.engines.embedded.integrator import InitialValueProblem, Integration, Stepping, Work
from pyode_bridge.engines.embedded.steps import Ended, Step
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.problem import LOOKS, Happened


def integrate(stepping: Stepping, problem: InitialValueProblem) -> Integration:
    """Solve for the values at the problem's times."""
    work = Work(problem.t[0].item())
    times, values, kept = problem.t.tolist(), [problem.y0], []
    try:
        for step in _finite(stepping(problem, work), work):
            while len(values) < len(times) and times[len(values)] <= step.t1:
                values.append(step(times[len(values)]))
            if problem.dense:
                kept.append(step)
    except Ended as end:
        return Integration(None, work.stats, end.retcode, work.t)
    interpolant = Between(kept, problem) if problem.dense else None
    return Integration(torch.stack(values), work.stats, "Success", problem.end, interpolant)


def locate(stepping: Stepping, problem: InitialValueProblem, happened: Happened) -> Integration:
    """Solve until something has happened, as `Engine.locate` says; without values."""
    work = Work(problem.t[0].item())
    try:
        for step in _finite(stepping(problem, work), work):
            if _happened_within(happened, step, step.t0, min(step.t1, problem.end)):
                break
    except Ended as end:
        return Integration(None, work.stats, end.retcode, work.t)
    return Integration(None, work.stats, "Success", work.t)


def _finite(steps: Iterator[Step], work: Work) -> Iterator[Step]:
    """The steps, of which none may lead to infinity."""
    for step in steps:
        if not torch.isfinite(step.y1).all():
            work.t = step.t0
            raise Ended("Unstable")
        work.t = step.t1
        yield step


def _happened_within(happened: Happened, state: Callable[[float], Tensor], start: float, end: float) -> bool:
    """Ask about a step, as `Engine.locate` says."""
    resolution, earlier = math.ulp(max(abs(start), abs(end))), start
    for look in range(1, LOOKS + 1):
        later = end if look == LOOKS else start + (end - start) * look / LOOKS
        if happened(later, state(later)):
            while later - earlier > resolution:
                middle = earlier + (later - earlier) / 2
                if happened(middle, state(middle)):
                    later = middle
                else:
                    earlier = middle
            return True
        earlier = later
    return False


class Between:
    """The solution between the times, by the steps (`Interpolant`); its slope is that of the dynamics there."""

    def __init__(self, steps: Sequence[Step], problem: InitialValueProblem) -> None:
        self._steps, self._f, self._end = steps, problem.f, problem.end
        self._ends = [step.t1 for step in steps]

    @property
    def steps(self) -> Tensor:
        """Times at which steps began and ended; a last step beyond the span counts to the end of that."""
        return torch.tensor([self._steps[0].t0, *self._ends[:-1], self._end], dtype=torch.float64)

    @torch.no_grad()
    def __call__(self, s: Tensor, derivative: int) -> Tensor:
        """Values at times ``s``, or for ``derivative=1`` slopes."""
        if derivative not in (0, 1):
            raise UnsupportedError(
                f"derivative={derivative}: the embedded engine gives values between the times and their first "
                "derivative. The Julia engine gives higher ones, where its solver's interpolant has them."
            )
        times = s.tolist()
        values = [self._value(time) for time in times]
        if derivative:
            values = [self._f(time, value).detach() for time, value in zip(times, values, strict=True)]
        return torch.stack(values) if values else self._steps[0].y1.new_empty(0, len(self._steps[0].y1))

    def _value(self, s: float) -> Tensor:
        step = self._steps[min(bisect_left(self._ends, s), len(self._steps) - 1)]
        return step(s).detach()
