"""A delay equation's functions over the flat state: the right-hand side, the history, and their products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.delay_tangents import Along, Solve
from pyode_bridge.equations.past import DelayedDynamic, Past
from pyode_bridge.equations.points import PointDynamics
from pyode_bridge.equations.products import parameter_product, state_product
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Delays, Part
from pyode_bridge.problem.jacobians import direction, pulled_back


class _Delayed(PointDynamics):
    """The right-hand side over points: the states at all lags and the state, one after another."""

    @override
    def _called(self, time: Tensor, y: Tensor) -> Tensor:
        *past, state = map(self.structure.unpack_copy, y.view(-1, self.size))
        return self._value(time, state, tuple(past))


class _Before(Dynamics):
    """The history, as dynamics that depend on no state."""

    def __init__(self, past: Past, of: Dynamics) -> None:
        super().__init__(of.func, of.structure, of.wanted, of.direction, "history(t)")
        self.parameters = of.parameters
        self._past = past

    @override
    def _called(self, time: Tensor, y: Tensor) -> Tensor:
        return self._past.at(time, time)


def with_delays(
    prepared: Prepared,
    func: DelayedDynamic,
    past: Past,
    lags: Sequence[float],
    given_lags: Tensor | None,
    solve: Solve,
) -> Prepared:
    """The equation over ``func`` and the ``past``, from what both were at the start, where `prepared` looked.

    Parameters are, beside the tensors that both functions use, the initial state where it is the history, and then the
    lags and the times of which a gradient is wanted; autograd gets these as the user gave them. Second derivatives
    are those of what ``solve`` solves.
    """
    problem, wants = prepared.problem, prepared.problem.sensitivity is not None
    wanted, y0 = problem.dynamics.wanted.widened(), problem.y0
    pairs = []
    if wants and past.history is None and prepared.y0.requires_grad:
        past = past.with_leaf()
        pairs.append((prepared.y0, past.y0))
    of_lags = wants and given_lags is not None and given_lags.requires_grad
    of_times = wants and prepared.t.requires_grad
    for is_wanted, tensor in ((of_lags, given_lags), (of_times, prepared.t)):
        if is_wanted and tensor is not None:
            pairs.append((tensor, tensor.detach().requires_grad_()))
    jumps = (of_lags or of_times) and not past.ends_in(prepared.y0, prepared.t)
    outside, inside = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    known = replace(wanted, parameters=[*wanted.parameters, *outside])
    dynamics = _Delayed(func, [*wanted.parameters, *inside], known, problem.dynamics, "func(t, y, delayed)")
    along = Along(
        func, past, dynamics.structure, dynamics.parameters, lags, prepared.t.detach(), of_lags, of_times, jumps, solve
    )
    starts = [prepared.t[0].item() - lag for lag in lags]
    with torch.no_grad():
        states = torch.cat([past(dynamics.time(s), s) for s in starts])
    form = Delays(
        _rhs(dynamics, states, y0),
        lags,
        Part(lambda s, t, _: past(t, s), (y0,), len(y0), lambda s, t, _: past.at(t, s)),
        (func, past.given, *inside),
        *_products(dynamics, past, torch.cat([states, y0]), y0, wants=wants),
        wants_lags=of_lags,
        wants_times=of_times,
        along=along if wants else None,
    )
    return replace(prepared, problem=replace(problem, dynamics=dynamics, form=form), t=prepared.t.detach())


def _rhs(dynamics: Dynamics, states: Tensor, y0: Tensor) -> Part:
    return Part(lambda s, t, states, y: dynamics.at(t, torch.cat([states, y])), (states, y0), len(y0))


def _products(
    dynamics: Dynamics, past: Past, point: Tensor, y0: Tensor, *, wants: bool
) -> tuple[Part | None, Part | None, Part | None, Part | None]:
    """Those of a vector with the derivatives of the right-hand side and of the history, if wanted."""
    if not wants:
        return None, None, None, None
    before = _Before(past, dynamics)

    def to_time(s: float, t: Tensor, v: Tensor) -> Tensor:
        return pulled_back(lambda t: past.at(t, s), t, v, ())[0].reshape(1).to(v.dtype)

    return (
        state_product(dynamics, point, len(y0)),
        parameter_product(dynamics, point, len(y0)),
        parameter_product(before, y0, len(y0)),
        Part(to_time, (direction(len(y0), y0),), 1),
    )
