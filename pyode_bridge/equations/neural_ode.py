"""`NeuralODE`: a solve as a layer."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.equations.odeint import odeint, solve
from pyode_bridge.equations.solution import Solution
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, lasting, with_settings
from pyode_bridge.problem.state import State, Times


class NeuralODE(torch.nn.Module):
    """A layer that maps ``y0`` to the solution of ``dy/dt = func(t, y)`` (Chen et al. 2018).

    Args:
        func: the dynamics; a module, so that its parameters are this layer's.
        t: times at which values are wanted when ``forward`` is given none; default ``(0, 1)``.
        **settings: as for `odeint`: ``method``, ``rtol``, ``atol``, ``sensealg``, ...; see `SolverSettings`.

    Raises:
        InputError: a setting is unknown, or no solve could make use of its value.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> class Field(torch.nn.Linear):
        ...     def forward(self, t, y):
        ...         return torch.tanh(super().forward(y))
        >>> layer = pb.NeuralODE(Field(2, 2), method="dopri5")
        >>> layer(torch.zeros(5, 2)).shape
        torch.Size([2, 5, 2])
    """

    t: Tensor

    @with_settings
    def __init__(self, func: Dynamic, t: Times = (0.0, 1.0), **settings: Unpack[SolverSettings]) -> None:
        super().__init__()
        checks.function(func, "func")
        check_settings("NeuralODE", SolverSettings, settings)
        self.func = func
        self.solver = lasting(settings)
        self.register_buffer("t", torch.as_tensor(t))

    @between_graphs
    def forward(self, y0: State, t: Times | None = None) -> State:
        """Values at ``t``, shape ``(T, *y0.shape)`` or a tuple or dict of such; the last is ``forward(y0)[-1]``."""
        return odeint(self.func, y0, self.t if t is None else t, **self.solver)

    @between_graphs
    def solve(self, y0: State, t: Times | None = None) -> Solution:
        """The same with statistics, as `pyode_bridge.solve` returns it."""
        return solve(self.func, y0, self.t if t is None else t, **self.solver)

    def extra_repr(self) -> str:
        """The solver's settings."""
        return ", ".join(f"{key}={value!r}" for key, value in self.solver.items())
