"""A problem as one of the Julia package's equations, whose parts are C callbacks."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor

from pyode_bridge.compiled.runtime.workspace import Workspace
from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.translation import julia_tolerance, type_name
from pyode_bridge.problem.forms import (
    Delays,
    Form,
    Halves,
    Hybrid,
    Noise,
    Operator,
    Residual,
    Steady,
    Terms,
    effect_name,
)
from pyode_bridge.problem.problem import LOOKS, Problem

RESIDUAL_PRODUCTS = "residual_vjp_p", "residual_vjp_t"
DELAY_PRODUCTS = "delayed_vjp", "delayed_vjp_p", "history_vjp_p", "history_vjp_t"


class Equations:
    """Makes those of one Julia; of compiled dynamics, those without a mass matrix, a pattern and jumps are kept.

    Such a one is for the same workspace alone, whose address it holds, and lasts as long as that.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self._kept: weakref.WeakKeyDictionary[Workspace, dict[bool, Any]] = weakref.WeakKeyDictionary()

    def of(self, problem: Problem, callbacks: Callbacks) -> Any:
        """That of a problem; keep ``callbacks`` as long as it is in use."""
        lane = callbacks.lane
        known: dict[bool, Any] = {}
        own = problem.mass_matrix is not None or problem.sparsity is not None or _jumps(problem)
        if lane is not None and not own:
            known = self._kept.setdefault(lane.workspace, known)
        builder = Builder(self._bridge, problem, callbacks, known)
        form = problem.form
        if form is None:
            return builder.ordinary()
        if isinstance(form, Hybrid):
            return builder.hybrid(form)
        if isinstance(form, Halves):
            return builder.partitioned(form)
        if isinstance(form, Terms):
            return builder.split(form)
        if isinstance(form, Operator):
            return builder.quasilinear(form)
        if isinstance(form, Noise):
            return builder.stochastic(form)
        if isinstance(form, Delays):
            return builder.delayed(form)
        if isinstance(form, Residual):
            return builder.residual(form)
        assert isinstance(form, Steady)
        return builder.steady(form)


class Builder:
    """Makes the equations of one problem; ``known`` are ordinary ones, by whether they have products."""

    def __init__(self, bridge: Any, problem: Problem, callbacks: Callbacks, known: dict[bool, Any]) -> None:
        self._bridge = bridge
        self._problem = problem
        self._callbacks = callbacks
        self._known = known
        self._size = problem.y0.numel()
        self._type = type_name(problem.y0)

    def ordinary(self) -> Any:
        """``M y' = f(t, y)``."""
        known, products = self._known, self._problem.sensitivity is not None
        if products not in known:
            known[products] = self._new_ordinary()
        return known[products]

    def _new_ordinary(self) -> Any:
        mass, sparsity = self._problem.mass_matrix, self._problem.sparsity
        in_order = None if mass is None else columns(mass)
        return self._bridge.ordinary_equation(
            *self._callbacks.functions(sparsity, products=self._problem.sensitivity is not None),
            self._type,
            self._size,
            0 if in_order is None else self._bridge.reads(in_order),
            0 if sparsity is None else self._bridge.reads(sparsity.starts),
            0 if sparsity is None else self._bridge.reads(sparsity.rows),
            _jumps(self._problem),
        )

    def hybrid(self, form: Hybrid) -> Any:
        """``y' = f(t, y)``, with events."""
        effects = [self._part(form, effect_name(index)) for index in range(len(form.effects))]
        return self._bridge.hybrid_equation(
            self.ordinary(),
            self._part(form, "conditions"),
            effects,
            list(form.directions),
            list(form.ends),
            form.most,
            LOOKS,
        )

    def partitioned(self, form: Halves) -> Any:
        """``q' = velocity``, ``p' = force``."""
        return self._bridge.partitioned_equation(
            self._part(form, "force"), self._part(form, "velocity"), self.ordinary()
        )

    def split(self, form: Terms) -> Any:
        """``y' = implicit + explicit``."""
        explicit, implicit = self._part(form, "explicit"), form.implicit
        if isinstance(implicit, Tensor):
            in_order = columns(implicit)
            return self._bridge.semilinear_equation(
                self._bridge.reads(in_order), self._type, self._size, explicit, self.ordinary()
            )
        return self._bridge.split_equation(
            self._part(form, "implicit"), self._part(form, "implicit_jacobian"), explicit, self.ordinary()
        )

    def quasilinear(self, form: Operator) -> Any:
        """``y' = A(t, y) y``."""
        return self._bridge.quasilinear_equation(self._part(form, "matrix"), self.ordinary())

    def stochastic(self, form: Noise) -> Any:
        """``dy = f dt + g dW``."""
        products = self._problem.sensitivity is not None
        diffusion = [self._part(form, name) for name in ("diffusion", "diffusion_vjp", "diffusion_vjp_p")]
        if form.diffusion_vjp_p is None:
            diffusion[-1] = self._callbacks.empty_product(), 0
        drift = self._callbacks.functions(products=products)
        return self._bridge.stochastic_equation(
            *drift, tuple(diffusion), form.kind, form.processes, form.seed, products
        )

    def steady(self, form: Steady) -> Any:
        """``0 = f(t, y)``."""
        tolerances = julia_tolerance(form.atol), julia_tolerance(form.rtol)
        return self._bridge.steady_equation(self.ordinary(), self._type, self._size, *tolerances)

    def delayed(self, form: Delays) -> Any:
        """``y' = f(t, y, y(t - lag), ...)``."""
        rhs, history = self._part(form, "delayed_rhs"), self._part(form, "history")
        given = rhs, self._type, self._size, list(form.lags), history
        if self._problem.sensitivity is None:
            return self._bridge.delayed_equation(*given)
        products = [self._part(form, name) for name in DELAY_PRODUCTS]
        return self._bridge.delayed_equation(*given, tuple(products), form.wants_lags, form.wants_times)

    def residual(self, form: Residual) -> Any:
        """``0 = F(t, y', y)``."""
        function, jacobian = self._part(form, "residual"), self._part(form, "residual_jacobian")
        dy0 = form.dy0.contiguous()
        given = function, jacobian, self._type, self._size, self._bridge.reads(dy0), list(form.differential)
        if self._problem.sensitivity is None:
            return self._bridge.residual_equation(*given)
        products = [self._part(form, name) for name in RESIDUAL_PRODUCTS]
        return self._bridge.residual_equation(*given, tuple(products), form.wants_times)

    def _part(self, form: Form, name: str) -> tuple[int, int]:
        """Address and environment of a function of the equation; zeros where it has none of that name."""
        part = form.parts.get(name)
        return (0, 0) if part is None else self._callbacks.part(name, part)


def _jumps(problem: Problem) -> tuple[float, ...]:
    """The times at which the dynamics jump, by the options of either direction."""
    specs = (problem,) if problem.sensitivity is None else (problem, problem.sensitivity)
    times = {time for spec in specs for time in spec.options.d_discontinuities}
    return tuple(sorted(map(problem.dynamics.direction.solver_time, times)))


def columns(matrix: Tensor) -> Tensor:
    """The matrix in Julia's order, column by column."""
    return matrix.mT.contiguous()
