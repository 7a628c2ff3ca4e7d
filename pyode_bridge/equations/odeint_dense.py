"""`odeint_dense`: a solution as a function of time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import run, solution_of, values
from pyode_bridge.errors import InputError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.settings import Settings, SolverSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure


@between_graphs
@with_settings
def odeint_dense(
    func: Dynamic, y0: State, t0: float | Tensor, t1: float | Tensor, **settings: Unpack[SolverSettings]
) -> DenseOutput:
    """Solve from ``t0`` to ``t1``, and return the solution as a function; a drop-in for ``torchdiffeq.odeint_dense``.

    Args:
        func, y0: as for `odeint`.
        t0, t1: two scalars.
        **settings: as for `odeint`; see `SolverSettings`.

    Raises:
        InputError: unusable input, such as times that are equal.
        UnsupportedError: the solver has no interpolant.
    """
    checks.function(func, "func")
    structure = Structure.of(y0)
    start, end = checks.finite_time(t0, "t0", structure), checks.finite_time(t1, "t1", structure)
    if start == end:
        raise InputError(f"t0 and t1 are both {start.item():g}; expected two times.")
    chosen = complete("odeint_dense", SolverSettings, settings, dense=True)
    prepared = prepare(func, y0, torch.stack([start, end.to(start)]), chosen)
    return DenseOutput(solution_of(prepared), prepared, func, y0, chosen)


@dataclass(frozen=True, eq=False, repr=False)
class DenseOutput:
    """The solution of `odeint_dense`, to be called with a time of its span.

    Attributes:
        solution: what was solved, whose interpolant gives values; see `Solution`.
    """

    solution: Solution
    _prepared: Prepared
    _func: Dynamic
    _y0: State
    _settings: Settings

    def __call__(self, t: float | Tensor) -> State:
        """The state at ``t``, a scalar.

        It is the interpolant's where nothing requires a gradient; else that of a solve from ``t0`` to ``t``, with the
        gradients of `odeint`.
        """
        structure, start = self._prepared.structure, self._prepared.t[0]
        at = checks.finite_time(t, "t", structure).to(start)
        value = self.solution(at)  # raises outside of the span
        differentiable = at.requires_grad or self._prepared.problem.sensitivity is not None
        if not (torch.is_grad_enabled() and differentiable):
            return value
        times = start[None] if at == start else torch.stack([start, at])
        settings: Settings = {**self._settings, "dense": False}
        ys, _ = run(prepare(self._func, self._y0, times, settings))
        return values(ys[-1], structure)
