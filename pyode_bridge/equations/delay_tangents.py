"""A delay equation with the derivative of its solution along a direction, which is a delay equation of the same lags.

Where ``y0``, the parameters ``p``, the lags and the times move at some speeds,

    ``y' = f(t, y(t - lag), ..., y)``,
    ``u' = ∂f/∂t + Σ ∂f/∂y(t - lag) u(t - lag) + ∂f/∂y u``,
    ``s' = ∂f/∂p speed(p) + Σ ∂f/∂y(t - lag) (s(t - lag) - speed(lag) u(t - lag)) + ∂f/∂y s``,

with ``u = y'``, and values at a time move by ``s + speed(t) u``. Where the history ends with another slope than that
with which ``y`` begins, ``u`` jumps at the start, and the time at which a lag shows that moves with the lag: the
adjoint of this equation counts it, as for any state that jumps there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives.any_order import recorded
from pyode_bridge.equations.past import DelayedDynamic, History, Lags, Past
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem.jacobians import along
from pyode_bridge.problem.state import Structure

# Solves a delay equation over flat states, whose functions use the last argument's tensors, with autograd: of the
# right-hand side, the initial state, the times, the lags and the history; returns values of shape (T, n).
Solve = Callable[[DelayedDynamic, Tensor, Tensor, Lags, History, Sequence[Tensor]], Tensor]
Field = Callable[[Tensor, Tensor], Tensor]  # of a time, and the states at all lags and the state, shape (L + 1, n)


@dataclass(frozen=True)
class Speeds:
    """How fast all moves that a solution depends on; what is None stands still.

    Attributes:
        y0: of the flat initial state.
        parameters: of each parameter.
        lags: of each lag, shape ``(L,)``.
        times: of each time, shape ``(T,)``.
    """

    y0: Tensor | None
    parameters: Sequence[Tensor | None]
    lags: Tensor | None
    times: Tensor | None

    @property
    def of_time(self) -> bool:
        """Whether the solution is seen at other times, so that it matters how fast it changes."""
        return self.lags is not None or self.times is not None


@dataclass(frozen=True)
class Along:
    """How fast the values of a delay equation move along a direction; see `Delays.along`.

    Attributes:
        func, past: the user's right-hand side, and what is before the start.
        structure: of the user's state.
        parameters: what both use; with ``of_lags`` the last are the lags, and with ``of_times`` behind them the times.
        lags: where they are not among the parameters.
        t: likewise.
        of_lags, of_times: whether a gradient with respect to these is wanted.
        jumps: whether the solution does at the start, or would after a change of what it depends on.
        solve: solves the joint equation.
    """

    func: DelayedDynamic
    past: Past
    structure: Structure
    parameters: Sequence[Tensor]
    lags: Lags
    t: Tensor
    of_lags: bool
    of_times: bool
    jumps: bool
    solve: Solve

    def __call__(self, y0: Tensor, of_y0: Tensor | None, *of_parameters: Tensor | None) -> Tensor:
        """Shape ``(T, n)``, with autograd; ``of_parameters`` are the speeds of these.

        Raises:
            UnsupportedError: lags or times move, and the solution jumps at the start.
        """
        parameters, lags, times = self._taken_apart(self.parameters, self.lags, self.t)
        speeds = Speeds(of_y0, *self._taken_apart(list(map(_moving, of_parameters)), None, None))
        if speeds.of_time and self.jumps:
            raise UnsupportedError(
                "Second derivatives with respect to lags or times are not available where the history does not end in "
                "y0, or would not after a change of what both depend on: the solution jumps at the start, or would. "
                "Pass y0=history(t[0]), or lags and t that require no gradient, or call autograd without create_graph."
            )
        field, moving = _field(self.func, self.structure), (parameters, speeds.parameters)
        joint = _joint(field, self.structure.size, moving, speeds.lags, of_time=speeds.of_time)
        before = _joint_history(self.past, moving, of_time=speeds.of_time)
        start = _joint_start(field, self.past, y0, times[0].to(self.structure.time_dtype), lags, speeds)
        used = [tensor for tensor in (*parameters, *speeds.parameters, speeds.lags) if tensor is not None]
        return _speeds_of_values(self.solve(joint, start, times, lags, before, used), self.structure.size, speeds)

    def _taken_apart(self, given: Sequence[Any], lags: Any, times: Any) -> tuple[tuple[Any, ...], Any, Any]:
        """What is given for the parameters, for the lags, and for the times; the latter two where they are among it."""
        *rest, times = given if self.of_times else (*given, times)
        *rest, lags = rest if self.of_lags else (*rest, lags)
        return tuple(rest), lags, times


def _moving(speed: Tensor | None) -> Tensor | None:
    """A speed that is not zero, or of which a derivative is wanted."""
    return speed if speed is not None and (speed.requires_grad or speed.any()) else None


# Parameters, and the speed of each.
_Moving = tuple[Sequence[Tensor], Sequence[Tensor | None]]


def _field(func: DelayedDynamic, structure: Structure) -> Field:
    def value(t: Tensor, ys: Tensor) -> Tensor:
        *past, y = map(structure.unpack_copy, ys)
        return structure.pack_returned(func(t.to(structure.time_dtype), y, tuple(past)), "func(t, y, delayed)", t)

    return value


def _joint(field: Field, size: int, moving: _Moving, lag_speeds: Tensor | None, *, of_time: bool) -> DelayedDynamic:
    """The joint right-hand side."""
    parameters, speeds = moving

    def joint(t: Tensor, z: Tensor, past: tuple[Tensor, ...]) -> Tensor:
        differentiable = torch.is_grad_enabled()
        points = torch.stack([*past, z]).view(len(past) + 1, -1, size)
        time, ys, us, ss = recorded(t), recorded(points[:, 0]), points[:, 1], points[:, -1]
        if lag_speeds is not None:
            ss = ss - torch.cat([lag_speeds.to(us), us.new_zeros(1)])[:, None] * us
        with torch.enable_grad():
            y = field(time, ys)
            found = [y, along(y, (ys, *parameters), (ss, *speeds), create_graph=differentiable)]
            if of_time:
                found.insert(1, along(y, (time, ys), (torch.ones_like(t), us), create_graph=differentiable))
        joined = torch.cat(found)
        return joined if differentiable else joined.detach()

    return joint


def _joint_history(past: Past, moving: _Moving, *, of_time: bool) -> History:
    """The joint state before the start."""
    parameters, speeds = moving

    def before(t: Tensor) -> Tensor:
        differentiable, time = torch.is_grad_enabled(), recorded(t)
        with torch.enable_grad():
            y = past.at(time, time)
            found = [y, along(y, parameters, speeds, create_graph=differentiable)]
            if of_time:
                found.insert(1, along(y, (time,), (torch.ones_like(t),), create_graph=differentiable))
        joined = torch.cat(found)
        return joined if differentiable else joined.detach()

    return before


def _joint_start(field: Field, past: Past, y0: Tensor, t: Tensor, lags: Lags, speeds: Speeds) -> Tensor:
    """The joint state at the start, a scalar tensor ``t``."""
    s = torch.zeros_like(y0) if speeds.y0 is None else speeds.y0
    if not speeds.of_time:
        return torch.cat([y0, s])
    u = field(t, torch.stack([*(past.at((t - lag).to(t.dtype), t) for lag in lags), y0]))
    return torch.cat([y0, u, s if speeds.times is None else s - speeds.times[0].to(u) * u])


def _speeds_of_values(zs: Tensor, size: int, speeds: Speeds) -> Tensor:
    """Those at the times, shape ``(T, n)``, of the joint solution."""
    s = zs[:, -size:]
    return s if speeds.times is None else s + speeds.times.to(zs)[:, None] * zs[:, size : 2 * size]
