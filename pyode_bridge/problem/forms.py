"""What an equation may have beside or within its right-hand side, over the flat state, as engines see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from pyode_bridge.problem.dynamics import Dynamics

OneInput = Callable[[float, Tensor], Tensor]
TwoInputs = Callable[[float, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Halves:
    """A partitioned equation: functions of ``(s, q, p)``; ``velocity`` is None where it is ``p`` itself."""

    force: TwoInputs
    velocity: TwoInputs | None


@dataclass(frozen=True)
class Terms:
    """A split equation; ``implicit`` is a matrix where it is linear."""

    implicit: Dynamics | Tensor
    explicit: Dynamics


@dataclass(frozen=True)
class Operator:
    """``dy/ds = A(s, y) y``; ``matrix`` gives ``A`` column by column."""

    matrix: OneInput


@dataclass(frozen=True)
class Noise:
    """A stochastic equation.

    Attributes:
        diffusion: like the dynamics, which are the drift; to ``n`` values, or, of general noise, to a matrix of shape
            ``(n, processes)``, column by column.
        kind: ``"diagonal"``, ``"scalar"`` or ``"general"``.
        processes: number of Wiener processes of general noise.
        seed: positive; the same one gives the same paths.
    """

    diffusion: Dynamics
    kind: str
    processes: int
    seed: int


@dataclass(frozen=True)
class Delays:
    """A delay equation.

    Attributes:
        rhs: time, the states at all lags one after another, and the flat state, to its derivative.
        lags: positive.
        history: time before the start to the flat state; its second argument means nothing.
    """

    rhs: TwoInputs
    lags: Sequence[float]
    history: OneInput


@dataclass(frozen=True)
class Residual:
    """A differential-algebraic equation ``0 = F(s, dy/ds, y)``.

    Attributes:
        residual: ``F``.
        jacobian: ``∂F/∂y`` and ``∂F/∂(dy/ds)``, each column by column, one after another.
        dy0: the derivative at the start, or a guess where it does not follow from the rest; shape ``(n,)``.
        differential: which components have a derivative in ``F``.
    """

    residual: TwoInputs
    jacobian: TwoInputs
    dy0: Tensor
    differential: Sequence[bool]


@dataclass(frozen=True)
class Steady:
    """The state where the dynamics vanish, which a solve over time ends at, if it does.

    Attributes:
        rtol, atol: what a component of the dynamics is to fall to, relative to the largest that it was, and absolutely.
    """

    rtol: float | Tensor
    atol: float | Tensor


Form = Halves | Terms | Operator | Noise | Delays | Residual | Steady
