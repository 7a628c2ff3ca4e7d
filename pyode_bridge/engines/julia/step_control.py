"""What Julia is told of how a solve may step: options, grids, and the functions of Python that it asks or tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor

from pyode_bridge.engines.julia.callbacks import Callbacks
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.problem import norms, predicates
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.norms import AdjointNorm, AdjointState, lanes_of, of_lanes
from pyode_bridge.problem.options import SEMINORM, Norm, StepOptions
from pyode_bridge.problem.problem import Problem, Sensitivity, SolverSpec
from pyode_bridge.problem.step_callbacks import Listener, StepCallbacks

Once = Callable[[Any, Callable[[], Any]], Any]

OWN_NORM = "own"


class StepControls:
    """Those of one Julia.

    Args:
        bridge: the Julia package.
        once: remembers what is made for a key.
    """

    def __init__(self, bridge: Any, once: Once) -> None:
        self._bridge, self._once = bridge, once

    def forward(self, problem: Problem, callbacks: Callbacks) -> Any:
        """How the forward solve may step."""
        dynamics, options = problem.dynamics, problem.options
        further = self._stops(options, dynamics.direction)
        further |= _listeners(problem.step_callbacks, callbacks, lambda parts: parts[0])
        further |= {name: callbacks.predicate(name, asked) for name, asked in predicates.given(options).items()}
        if is_called(options.norm):
            measure = norms.of_state(options.norm, dynamics.structure)
            further |= _own_norm(callbacks, lambda parts: measure(parts[0]))
        return self._made(problem, self._sizes(problem, options.norm), problem.grid, further)

    def backward(self, problem: Problem, sensitivity: Sensitivity, callbacks: Callbacks) -> Any:
        """How the backward solve may step."""
        dynamics, options = problem.dynamics, sensitivity.options
        further = self._stops(options, dynamics.direction)
        further |= _listeners(problem.backward_callbacks, callbacks, lambda parts: parts)
        if is_called(options.norm):
            norm, unpack = options.norm, AdjointState(dynamics.structure, dynamics.parameters).unpack
            further |= _own_norm(callbacks, lambda parts: norms.number(norm(unpack(*parts))))
        sizes = self._sizes(problem, options.norm)
        if sizes:
            further["parameters"] = dynamics.parameter_size
        return self._made(sensitivity, sizes, self._backward_grid(problem), further)

    def _made(self, spec: SolverSpec | Problem, sizes: tuple[int, ...], grid: Tensor | None, further: Any) -> Any:
        options, method = spec.options, spec.method
        given = _named(options.norm) | {"sizes": sizes} | further
        if grid is not None:
            given["grid"] = (self._bridge.reads(grid), len(grid))

        def made() -> Any:
            with julia_errors(options.controller or "", argument="controller"):
                return self._bridge.step_control(
                    dt=options.dt,
                    dtmin=options.dtmin,
                    dtmax=options.dtmax,
                    force_dtmin=options.force_dtmin,
                    maxiters=options.maxiters,
                    adaptive=options.adaptive_by(method),
                    controller=options.controller,
                    gamma=options.gamma,
                    qmin=options.qmin,
                    qmax=options.qmax,
                    until_stiff=method.until_stiff,
                    **given,
                )

        if further or grid is not None:
            return made()
        return self._once(("control", options, method.fixed_step, method.until_stiff, sizes), made)

    def _stops(self, options: StepOptions, direction: Direction) -> dict[str, Any]:
        """Times that steps are to end on."""
        names = "tstops", "d_discontinuities"
        given = {name: getattr(options, name) for name in names if getattr(options, name)}
        return {name: tuple(map(direction.solver_time, times)) for name, times in given.items()}

    def _sizes(self, problem: Problem, norm: Norm) -> tuple[int, ...]:
        """Of the state's tensors; none for a single one, unless the norm has to know where it ends."""
        structure = problem.dynamics.structure
        whole = structure.keys is None and norm != SEMINORM and lanes_of(norm) is None
        return () if whole else tuple(structure.sizes)

    def _backward_grid(self, problem: Problem) -> Tensor | None:
        """All the way back, strictly decreasing: sums of steps may meet a time before it is to be met, or pass it."""
        t, between = problem.t, problem.backward_grid
        if between is None:
            return None
        parts = [t[-1:]]
        for i in reversed(range(len(t) - 1)):
            times = between(i)
            parts += [times[(times < t[i + 1]) & (times > t[i])], t[i : i + 1]]
        return torch.cat(parts)


def is_called(norm: Norm) -> TypeGuard[Callable[[Any], Any]]:
    """Whether a norm is a function of Python's, which Julia has to call."""
    return callable(norm) and lanes_of(norm) is None


def _named(norm: Norm) -> dict[str, Any]:
    """What Julia calls a norm that it need not call."""
    known = of_lanes(norm)
    if known is None:
        return {"norm": norm}
    return {"norm": SEMINORM if isinstance(norm, AdjointNorm) and norm.seminorm else known.each, "lanes": known.lanes}


def _own_norm(callbacks: Callbacks, measure: Callable[[Any], float]) -> dict[str, Any]:
    return {"norm": OWN_NORM, "own_norm": callbacks.norm(measure)}


def _listeners(
    listeners: StepCallbacks | None, callbacks: Callbacks, state: Callable[[tuple[Any, ...]], Any]
) -> dict[str, Any]:
    """Who hears of steps, with the ``state`` that they are told of, by the parts of the solver's."""

    def address(listener: Listener | None) -> int:
        return 0 if listener is None else callbacks.step_listener(lambda s, parts, h: listener(s, state(parts), h))

    if listeners is None:
        return {}
    return {"listeners": tuple(map(address, (listeners.step, listeners.accept, listeners.reject)))}
