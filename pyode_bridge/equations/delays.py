"""A delay equation's functions over the flat state: the right-hand side, the history, and their products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.points import PointDynamics
from pyode_bridge.equations.products import parameter_product, state_product
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.forms import Delays, Part
from pyode_bridge.problem.jacobians import direction, pulled_back
from pyode_bridge.problem.state import State, Structure

DelayedDynamic = Callable[[Tensor, Any, tuple[Any, ...]], State]
History = Callable[[Tensor], State]


class Past:
    """The flat state before the start.

    Attributes:
        history: a user's function; None where the state was that at the start all along.
        y0: that one.
    """

    def __init__(self, history: History | None, structure: Structure, y0: Tensor) -> None:
        self.history, self.y0 = history, y0
        self._structure = structure

    def __call__(self, t: Tensor, s: float) -> Tensor:
        """At a user's time; raises InputError where it is not finite."""
        flat = self.at(t, s)
        checks.finite(flat, f"history(t) at t = {s:.6g}")
        return flat

    def at(self, t: Tensor, s: float | Tensor) -> Tensor:
        """The same, unchecked, as a trace needs it."""
        return self.y0 if self.history is None else self._structure.pack_returned(self.history(t), "history(t)", s)

    @property
    def given(self) -> object:
        """What the user gave for it."""
        return self.y0 if self.history is None else self.history

    def with_leaf(self) -> Past:
        """The same of another ``y0``, with respect to which it can be differentiated."""
        return Past(self.history, self._structure, self.y0.clone().requires_grad_())


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
    prepared: Prepared, func: DelayedDynamic, past: Past, lags: Sequence[float], given_lags: Tensor | None
) -> Prepared:
    """The equation over ``func`` and the ``past``, from what both were at the start, where `prepared` looked.

    Parameters are, beside the tensors that both functions use, the initial state where it is the history, and then the
    lags and the times of which a gradient is wanted; autograd gets these as the user gave them.
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
    outside, inside = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    known = replace(wanted, parameters=[*wanted.parameters, *outside])
    dynamics = _Delayed(func, [*wanted.parameters, *inside], known, problem.dynamics, "func(t, y, delayed)")
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
