"""What an equation may have beside or within its right-hand side, over the flat state, as engines see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from torch import Tensor

from pyode_bridge.problem.residual_states import ResidualStates


@dataclass(frozen=True)
class Part:
    """A function of an equation: of the time and of one or two flat vectors, to a flat vector.

    Attributes:
        at: of the solver's time ``s``, for messages, the user's time, a scalar tensor, and the vectors.
        start: the vectors at the start of a solve, or others there that tell one from another.
        size: of the result.
        traced: what is traced in the place of ``at``, where that cannot be.
        optional: whether it may be called back where it cannot be translated, though the equation's others are.
    """

    at: Callable[..., Tensor]
    start: tuple[Tensor, ...]
    size: int
    traced: Callable[..., Tensor] | None = None
    optional: bool = False


class Form:
    """An equation that has functions beside its right-hand side, or in the place of it.

    Attributes:
        has_rhs: whether the dynamics' own functions are asked for too.
        functions: what the user gave that is not within the dynamics' function.
    """

    has_rhs = True
    functions: tuple[object, ...] = ()

    @property
    def parts(self) -> dict[str, Part]:
        """Its functions, by name."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: part for name, part in held.items() if isinstance(part, Part)}


@dataclass(frozen=True)
class Beside:
    """What a solve calls beside the dynamics' own functions.

    Attributes:
        parts: its functions, by name.
        functions: what the user gave that is not within the dynamics' function.
        has_rhs: whether the dynamics' own functions are asked for too.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    functions: tuple[object, ...] = ()
    has_rhs: bool = True


@dataclass(frozen=True)
class Halves(Form):
    """A partitioned equation: functions of ``(p, q)``; ``velocity`` is None where it is ``p`` itself."""

    force: Part
    velocity: Part | None


@dataclass(frozen=True)
class Terms(Form):
    """A split equation; ``implicit`` is a matrix where it is linear, and has a Jacobian, column by column, else."""

    implicit: Part | Tensor
    implicit_jacobian: Part | None
    explicit: Part


@dataclass(frozen=True)
class Operator(Form):
    """``dy/ds = A(s, y) y``; ``matrix`` gives ``A`` column by column."""

    matrix: Part


@dataclass(frozen=True)
class Hybrid(Form):
    """An ordinary equation whose state jumps where a condition crosses zero.

    Attributes:
        conditions: of the state, a number for each event.
        effects: of the state, that after each event; None where it stays as it is, and where the solve is to end.
        directions: 1 for crossings upwards, -1 for those downwards, 0 for both.
        ends: whether a solve is to end at each event.
        last: the event that happened at the start, by its position, or None.
        most: how many may happen.
        functions: what the user gave for both.
    """

    conditions: Part
    effects: Sequence[Part | None]
    directions: Sequence[int]
    ends: Sequence[bool]
    last: int | None
    most: int
    functions: tuple[object, ...]

    @property
    def parts(self) -> dict[str, Part]:
        """The conditions, and effects by their positions."""
        effects = {effect_name(index): part for index, part in enumerate(self.effects) if part is not None}
        return {"conditions": self.conditions, **effects}


def effect_name(index: int) -> str:
    """Of the part that is the effect of an event."""
    return f"effect{index}"


@dataclass(frozen=True)
class Noise(Form):
    """A stochastic equation.

    Attributes:
        diffusion: of the state, as the dynamics, which are the drift; to ``n`` values, or, of general noise, to a
            matrix of shape ``(n, processes)``, column by column.
        diffusion_vjp, diffusion_vjp_p: its vector-Jacobian products with the state and with the parameters, of a vector
            and the state; None where no gradient is wanted, or no parameters are there.
        kind: ``"diagonal"``, ``"scalar"`` or ``"general"``.
        processes: number of Wiener processes of general noise.
        seed: positive; the same one gives the same paths.
        functions: the diffusion, as the user gave it.
    """

    diffusion: Part
    diffusion_vjp: Part | None
    diffusion_vjp_p: Part | None
    kind: str
    processes: int
    seed: int
    functions: tuple[object, ...]


@dataclass(frozen=True)
class Delays(Form):
    """A delay equation.

    A point is the states at all lags and the flat state, one after another.

    Attributes:
        delayed_rhs: of the states at all lags one after another, and the flat state, to its derivative.
        lags: positive.
        history: the state at a time before the start; the vector means nothing.
        functions: what the user gave for both, and the tensors with respect to which there are products.
        delayed_vjp, delayed_vjp_p: products of a vector with the derivatives of the right-hand side by the point and
            by the parameters, of that vector and the point; None where no gradient is wanted, or there are none.
        history_vjp_p, history_vjp_t: those with the derivatives of the history by the parameters and by the time, the
            latter a number; likewise.
        wants_lags, wants_times: whether the last of the dynamics' parameters are the lags, and behind them the times.
        along: of a flat ``y0`` and a direction of it and of each of the dynamics' parameters, None where that does not
            move, the derivative of the values at all times along these, shape ``(T, n)``, with autograd; None where no
            gradient is wanted.
    """

    has_rhs = False
    delayed_rhs: Part
    lags: Sequence[float]
    history: Part
    functions: tuple[object, ...]
    delayed_vjp: Part | None = None
    delayed_vjp_p: Part | None = None
    history_vjp_p: Part | None = None
    history_vjp_t: Part | None = None
    wants_lags: bool = False
    wants_times: bool = False
    along: Callable[..., Tensor] | None = None


@dataclass(frozen=True)
class Residual(Form):
    """A differential-algebraic equation ``0 = F(s, dy/ds, y)``.

    Attributes:
        residual: ``F``, of ``dy/ds`` and the state.
        residual_jacobian: ``∂F/∂y`` and ``∂F/∂(dy/ds)`` likewise, each column by column, one after another.
        dy0: the derivative at the start, or a guess where it does not follow from the rest; shape ``(n,)``.
        differential: which components have a derivative in ``F``.
        states: the equation with the derivatives among the states.
        functions: ``F``, as the user gave it, and the tensors with respect to which there are products.
        residual_vjp_p, residual_vjp_t: products of a vector with the derivatives of ``F`` by the parameters and by
            ``s``, the latter a number, of that vector and ``[dy/ds, y]``; None where no gradient is wanted.
        wants_times: whether the last of the dynamics' parameters are the times.
    """

    has_rhs = False
    residual: Part
    residual_jacobian: Part
    dy0: Tensor
    differential: Sequence[bool]
    states: ResidualStates
    functions: tuple[object, ...]
    residual_vjp_p: Part | None = None
    residual_vjp_t: Part | None = None
    wants_times: bool = False


@dataclass(frozen=True)
class Steady(Form):
    """The state where the dynamics vanish, which a solve over time ends at, if it does.

    Attributes:
        rtol, atol: what a component of the dynamics is to fall to, relative to the largest that it was, and absolutely.
    """

    rtol: float | Tensor
    atol: float | Tensor
