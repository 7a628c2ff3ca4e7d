"""Dynamics in parts, for solvers that treat parts differently: symplectic, Nystrom, implicit-explicit, exponential."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.forms import Halves, Operator, Part, Terms
from pyode_bridge.problem.jacobians import columns
from pyode_bridge.problem.state import State, Structure, copied
from pyode_bridge.problem.wanted import Wanted


class Partitioned(nn.Module):
    """``dq/dt = velocity(t, q, p)``, ``dp/dt = force(t, q, p)`` over a state ``(q, p)``, as of a Hamiltonian system.

    For symplectic methods (``"McAte5"``, ``"KahanLi8"``, ...) pass ``dt`` in the options; every other method solves it
    as an ordinary equation. Values at ``t`` are steps of the method, which shortens the step before each.

    Args:
        velocity: maps ``t`` and two tensors of one shape to ``dq/dt``; symplectic methods refuse one that depends on
            ``q``, of which their steps would be of first order.
        force: likewise to ``dp/dt``; they refuse one that depends on ``p``.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> pendulum = pb.Partitioned(lambda t, q, p: p, lambda t, q, p: -torch.sin(q))
        >>> t = torch.linspace(0.0, 10.0, 11)
        >>> q, p = pb.odeint(pendulum, (torch.ones(1), torch.zeros(1)), t, method="KahanLi8", options={"dt": 0.1})

    Source: DifferentialEquations.jl, "Dynamical, Hamiltonian, and 2nd Order ODE Solvers".
    """

    def __init__(self, velocity: Callable[..., Tensor], force: Callable[..., Tensor]) -> None:
        super().__init__()
        checks.function(velocity, "velocity", "t, q and p")
        checks.function(force, "force", "t, q and p")
        self.velocity = velocity
        self.force = force

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Both derivatives at time ``t`` and state ``(q, p)``."""
        q, p = state
        # Either may change its arguments in place.
        return self.velocity(t.clone(), q.clone(), p.clone()), self.force(t, q, p)


class SecondOrder(Partitioned):
    """``d²q/dt² = acceleration(t, q, v)`` over a state ``(q, v)`` of positions and velocities.

    Beside the methods of `Partitioned`, the Nystrom methods solve it: ``"Nystrom4"``, ``"FineRKN4"`` and ``"FineRKN5"``
    any, others (``"DPRKN6"``, ...) those where the acceleration does not depend on velocities.

    Args:
        acceleration: maps ``t``, positions and velocities, tensors of one shape, to the acceleration.
    """

    def __init__(self, acceleration: Callable[..., Tensor]) -> None:
        checks.function(acceleration, "acceleration", "t, q and v")
        super().__init__(_same, acceleration)


class Split(nn.Module):
    """``dy/dt = implicit(t, y) + explicit(t, y)``, a stiff part and one that is not.

    Implicit-explicit methods (``"KenCarp4"``, ``"CNAB2"``, ``"SBDF2"``, ...) solve equations for the first part alone.
    If that is linear, give its matrix, which exponential methods (``"ETDRK4"``, ...) need. Every other method solves
    the sum.

    Args:
        implicit: maps ``t`` and the state to the stiff part; or a matrix of shape ``(n, n)`` over the flat state, a
            tensor.
        explicit: maps ``t`` and the state to the other part.

    Source: DifferentialEquations.jl, "Split ODE Solvers".
    """

    def __init__(self, implicit: Dynamic | Tensor, explicit: Dynamic) -> None:
        super().__init__()
        if not isinstance(implicit, Tensor):
            checks.function(implicit, "implicit")
        checks.function(explicit, "explicit")
        self.implicit = implicit
        self.explicit = explicit

    def forward(self, t: Tensor, y: State) -> State:
        """The sum of both parts at time ``t`` and state ``y``."""
        first = self._implicit(t.clone(), copied(y))  # which it may change in place
        second = self.explicit(t, y)
        if isinstance(y, dict):
            return {key: first[key] + second[key] for key in y}
        return tuple(a + b for a, b in zip(first, second, strict=True)) if isinstance(y, tuple) else first + second

    def _implicit(self, t: Tensor, y: Any) -> Any:
        if isinstance(self.implicit, Tensor):
            return (self.implicit @ y.reshape(-1)).view_as(y)
        return self.implicit(t, y)


class Quasilinear(nn.Module):
    """``dy/dt = A(t, y) y`` with a matrix ``A`` over a state that is one real tensor.

    Magnus methods (``"MagnusGL6"``, ...; ``A`` depends on ``t`` alone), Lie group methods (``"LieRK4"``, ...; on ``y``
    alone) and ``"LinearExponential"`` (``A`` is constant) solve it by exponentials of the matrix, with steps ``dt``.
    Every other method solves it as an ordinary equation.

    Args:
        matrix: maps ``t`` and the state to ``A``, shape ``(n, n)`` with ``n`` the state's number of elements.

    Source: DifferentialEquations.jl, "Non-autonomous Linear ODE / Lie Group ODE Solvers".
    """

    def __init__(self, matrix: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        checks.function(matrix, "matrix")
        self.matrix = matrix

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """The product of the matrix at time ``t`` and state ``y`` with the state."""
        matrix, shape = self.matrix(t, y.clone()), (y.numel(), y.numel())
        if matrix.shape != shape:
            raise InputError(f"Quasilinear's matrix(t, y) has shape {tuple(matrix.shape)}; expected {shape}.")
        return (matrix @ y.reshape(-1)).view_as(y)


def check_parts(func: Any, structure: Structure) -> None:
    """Raise InputError where the parts of ``func`` do not fit the state."""
    if isinstance(func, Partitioned) and not (structure.keys == (0, 1) and _are_alike(structure)):
        shapes = [tuple(shape) for shape in structure.shapes]
        raise InputError(
            f"y0 holds tensors of shapes {shapes} and {structure.dtypes}; {type(func).__name__} needs a tuple of two "
            "of one shape and dtype."
        )
    if isinstance(func, Quasilinear) and (structure.keys is not None or structure.is_complex):
        raise InputError("Quasilinear needs a state that is one real tensor.")
    if isinstance(func, Split) and isinstance(func.implicit, Tensor):
        shape = (structure.size, structure.size)
        if structure.keys is not None or structure.is_complex or func.implicit.shape != shape:
            raise InputError(
                f"Split's matrix has shape {tuple(func.implicit.shape)}; expected {shape}, over a state that is one "
                "real tensor."
            )


def _are_alike(structure: Structure) -> bool:
    return len(set(structure.shapes)) == len(set(structure.dtypes)) == 1


def refuse_parts(func: Any) -> None:
    """Raise UnsupportedError where ``func`` has parts, of which torch's function transforms know nothing."""
    if isinstance(func, (Partitioned, Quasilinear, Split)):
        raise UnsupportedError(
            f"torch's function transforms do not know the parts of {type(func).__name__}; pass its method forward, and "
            "a solver of ordinary equations."
        )


def flat_parts(func: Any, dynamics: Dynamics, y0: Tensor) -> Halves | Terms | Operator | None:
    """The parts of ``func``, with the flat state at the start, or None where it has none."""
    if isinstance(func, Partitioned):
        return _halves(func, dynamics, y0)
    if isinstance(func, Quasilinear):
        return Operator(_matrix(func, dynamics, y0))
    return _terms(func, dynamics, y0) if isinstance(func, Split) else None


def _same(_t: Tensor, _q: Tensor, v: Tensor) -> Tensor:
    return v


def _halves(func: Partitioned, dynamics: Dynamics, y0: Tensor) -> Halves:
    is_velocity = isinstance(func, SecondOrder) and not dynamics.direction.decreases
    velocity = None if is_velocity else _half(func.velocity, dynamics, y0)
    return Halves(_half(func.force, dynamics, y0), velocity)


def _half(part: Callable[..., Tensor], dynamics: Dynamics, y0: Tensor) -> Part:
    half = dynamics.structure.half()

    def flat(s: float, t: Tensor, p: Tensor, q: Tensor) -> Tensor:
        return dynamics.direction.turned(half.pack(part(t, half.unpack_copy(q), half.unpack_copy(p))))

    q, p = y0.chunk(2)
    return Part(flat, (p, q), len(p))


def _matrix(func: Quasilinear, dynamics: Dynamics, y0: Tensor) -> Part:
    def matrix(s: float, t: Tensor, y: Tensor) -> Tensor:
        state: Any = dynamics.structure.unpack_copy(y)
        return dynamics.direction.turned(func.matrix(t, state).to(y.dtype).mT.reshape(-1))

    return Part(matrix, (y0,), len(y0) ** 2)


def _terms(func: Split, dynamics: Dynamics, y0: Tensor) -> Terms:
    structure, direction = dynamics.structure, dynamics.direction
    explicit = _term(Dynamics(func.explicit, structure, Wanted(), direction), y0)
    if isinstance(func.implicit, Tensor):
        return Terms(direction.turned(func.implicit.detach().to("cpu", structure.dtype)), None, explicit)
    implicit = Dynamics(func.implicit, structure, Wanted(), direction)
    return Terms(_term(implicit, y0), _term_jacobian(implicit, y0), explicit)


def _term(term: Dynamics, y0: Tensor) -> Part:
    def flat(s: float, t: Tensor, y: Tensor) -> Tensor:
        return term.direction.turned(term.at(t, y))

    return Part(flat, (y0,), len(y0))


def _term_jacobian(term: Dynamics, y0: Tensor) -> Part:
    def called(s: float, t: Tensor, y: Tensor) -> Tensor:
        return term.jacobian(s, y).mT.reshape(-1)

    def traced(s: float, t: Tensor, y: Tensor) -> Tensor:
        return columns(lambda y: term.direction.turned(term.at(t.clone(), y)), y)

    return Part(called, (y0,), len(y0) ** 2, traced, optional=True)
