"""Where the steps of a method of fixed steps begin and end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.errors import InputError, SolverError
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.options import StepOptions


@dataclass(frozen=True)
class Grids:
    """Times of steps, by the options of a method that is given by its numbers; the same as torchdiffeq's.

    Attributes:
        method: its name.
        options: ``dt`` or ``grid_constructor``; without either, steps go from each time to the next.
        func, y0: the user's, for ``grid_constructor``.
        direction: of the user's time.
    """

    method: str
    options: StepOptions
    func: Any
    y0: Any
    direction: Direction

    def between(self, t: Tensor) -> Tensor:
        """From the first of a user's times ``t``, strictly monotone, float64, to the last; in a solver's time.

        Raises:
            InputError: ``grid_constructor`` returned no such times.
            SolverError: there are more steps than ``maxiters`` allows.
        """
        constructor, dt = self.options.grid_constructor, self.options.dt
        if constructor is not None:
            times = _checked(constructor(self.func, self.y0, t), t)
        elif dt is not None:
            self._check_count(t, (t[-1] - t[0]).abs().item() / dt)
            times = _equidistant(t, dt)
        else:
            times = t
        self._check_count(t, len(times) - 1)
        return self.direction.solver_time(times)

    def _check_count(self, t: Tensor, steps: float) -> None:
        if steps > self.options.maxiters:
            raise SolverError(
                f"{self.method} needs {math.ceil(steps)} steps from t = {t[0].item():.6g} to t = {t[-1].item():.6g}, "
                f"more than maxiters = {self.options.maxiters}, with retcode MaxIters. Raise it with "
                "options={'maxiters': ...}, or take longer steps.",
                retcode="MaxIters",
                t=t[0].item(),
                algorithm=self.method,
            )


def just_after(s: float, dtype: torch.dtype) -> float:
    """The next time that a dtype can hold, at which a perturbed step asks for what the dynamics are at its start."""
    return torch.tensor(s, dtype=dtype).nextafter(torch.tensor(torch.inf, dtype=dtype)).item()


def _equidistant(t: Tensor, dt: float) -> Tensor:
    """Steps of one length, the last of which may be shorter."""
    start, span = t[0].item(), (t[-1] - t[0]).item()
    times = torch.arange(math.ceil(abs(span) / dt + 1), dtype=torch.float64) * math.copysign(dt, span) + start
    times[-1] = t[-1]
    return times


def _checked(times: Any, t: Tensor) -> Tensor:
    if not isinstance(times, Tensor) or times.ndim != 1 or len(times) < 2:
        raise InputError(f"The option grid_constructor returned {times!r}; expected a tensor of two times or more.")
    found = times.detach().to("cpu", torch.float64)
    steps = found.diff() if t[-1] > t[0] else -found.diff()
    if not (steps > 0).all() or not torch.equal(found[[0, -1]], t[[0, -1]]):
        raise InputError(
            f"The option grid_constructor returned times from {found[0].item():g} to {found[-1].item():g}; expected "
            f"strictly monotone ones from {t[0].item():g} to {t[-1].item():g}."
        )
    return found
