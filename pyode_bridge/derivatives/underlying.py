"""The ordinary equation that underlies one with a mass matrix, ``M y' = f(t, y)``, of index 0 or 1.

Rows ``U`` that span the left null space of ``M`` leave a constraint, ``0 = U f``. Where ``U ∂f/∂y V`` is regular, with
columns ``V`` that span the null space, the index is 1: the constraint determines ``y`` along ``V``, as a function of
the rest of it. Differentiated by time, it gives that part of the velocity,

    ``y' = p + V q``,  ``U ∂f/∂y V q = -U (∂f/∂t + ∂f/∂y p)``,  ``p = M⁺ f``,

and solutions of this that start on the constraint stay there (Ascher and Petzold 1998, section 9.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyode_bridge.derivatives.any_order import Pure, Tensors, node, recorded
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import jacobians
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.problem import Gradients, Problem
from pyode_bridge.problem.state import State, flat_gradients


class MassMatrix(NamedTuple):
    """What the velocity is found by, of a matrix ``M`` of shape ``(n, n)`` and rank ``n - m``.

    Attributes:
        inverse: ``M⁺``, Moore and Penrose's.
        rows: ``U``, shape ``(m, n)``, orthonormal, with ``U M = 0``.
        columns: ``V``, shape ``(n, m)``, orthonormal, with ``M V = 0``.
        condition: the largest singular value by the least that is not zero.
    """

    inverse: Tensor
    rows: Tensor
    columns: Tensor
    condition: float

    @classmethod
    def of(cls, matrix: Tensor) -> MassMatrix:
        """That of a matrix, of which singular values are zero that rounding errors may have made."""
        left, sizes, right = torch.linalg.svd(matrix)
        rank = int((sizes > sizes[0] * len(sizes) * torch.finfo(sizes.dtype).eps).sum())
        inverse = (right[:rank].mT / sizes[:rank]) @ left[:, :rank].mT
        condition = (sizes[0] / sizes[rank - 1]).item() if rank else 1.0
        return cls(inverse, left[:, rank:].mT, right[rank:].mT, condition)

    @property
    def is_singular(self) -> bool:
        """Whether there is a constraint."""
        return len(self.rows) > 0

    @property
    def is_doubtful(self) -> bool:
        """Whether its rank is in doubt: singular values that count differ by so much that errors spoil ``M⁺``."""
        most: float = torch.finfo(self.inverse.dtype).eps ** -0.5
        return self.condition >= most


def ordinary(problem: Problem) -> Problem:
    """A problem without its mass matrix, and with ``y'`` as its dynamics."""
    if problem.mass_matrix is None:
        return problem
    matrix, dynamics = MassMatrix.of(problem.mass_matrix), problem.dynamics
    velocity = (_differentiated if matrix.is_singular else _solved)(dynamics, matrix)
    made = Dynamics(velocity, dynamics.structure, dynamics.wanted, dynamics.direction, dynamics.name)
    return replace(problem, dynamics=made, mass_matrix=None)


def velocities(problem: Problem, ys: Tensor, t: Tensor) -> Tensor:
    """``dy/dt`` at the times, shape ``(T, n)``; differentiable under the caller's grad mode.

    Raises UnsupportedError where the index is above 1.
    """
    constraint, dynamics = Constraint.of(problem), ordinary(problem).dynamics
    if constraint is not None:
        constraint.check_index(ys, t)
    direction = dynamics.direction
    at_times = zip(direction.solver_time(t.detach()).tolist(), ys, t, strict=True)
    return direction.turned(torch.stack([dynamics.evaluate(s, y, time) for s, y, time in at_times]))


def check_twice_differentiable(problem: Problem) -> None:
    """Raise UnsupportedError where the mass matrix is all but singular."""
    if problem.mass_matrix is None:
        return
    matrix = MassMatrix.of(problem.mass_matrix)
    if matrix.is_doubtful:
        raise UnsupportedError(
            "Second derivatives of a solve are not available where the mass matrix is all but singular: its singular "
            f"values differ by a factor of {matrix.condition:.1e}; first ones are. Call autograd without create_graph."
        )


class Constraint:
    """``0 = U f``, which determines the state along ``V``: what is free is the rest."""

    def __init__(self, dynamics: Dynamics, matrix: MassMatrix) -> None:
        self._dynamics, self._rows, self._columns = dynamics, matrix.rows, matrix.columns

    @classmethod
    def of(cls, problem: Problem) -> Constraint | None:
        """That of a problem; None where none is."""
        if problem.mass_matrix is None:
            return None
        matrix = MassMatrix.of(problem.mass_matrix)
        return cls(problem.dynamics, matrix) if matrix.is_singular else None

    def check_index(self, ys: Tensor, t: Tensor) -> None:
        """Raise UnsupportedError where the index at one of the times is above 1."""
        for y, time in zip(ys, t, strict=True):
            self._linearised(y.detach().requires_grad_(), time.detach(), differentiable=False)

    def to_free_start(self, gradients: Gradients, grad_y0: Tensor, y0: Tensor, t0: Tensor) -> Gradients:
        """Gradients of the ordinary equation, where all of the start is free, as those of this one.

        What they have from the loss at the start, ``grad_y0``, is of ``y0`` as it stands.
        """
        of_y0, _, *of_parameters = self.freed(gradients.y0 - grad_y0, y0, t0)
        assert of_y0 is not None
        flat = flat_gradients(of_parameters, self._dynamics.parameters, y0)
        return Gradients(grad_y0 + of_y0, gradients.parameters + torch.cat([y0.new_empty(0), *flat]))

    def held(self, y: Tensor, t: Tensor) -> Tensor:
        """A state on the constraint, as a function of what is free of it, the time and the parameters."""
        found: Tensor = _Held.apply(self, y, t, *self._dynamics.parameters)  # type: ignore[no-untyped-call]
        return found

    def freed(self, grad: Tensor, y: Tensor, t: Tensor) -> Tensors:
        """A gradient with respect to a state on the constraint as those by what `held` makes it of."""
        pulled_back = Pure.of(self._pulled_back, self._dynamics)
        return node(pulled_back, pulled_back, *self._dynamics.parameters, grad, y, t)

    def _pulled_back(self, grad: Tensor, y: Tensor, t: Tensor) -> Tensors:
        """`freed`.

        By the implicit function theorem; differentiable under the caller's grad mode.
        """
        dynamics, differentiable = self._dynamics, torch.is_grad_enabled()
        y, t = map(recorded, (y, t))
        value, rows = self._linearised(y, t, differentiable)
        weights = torch.linalg.solve((rows @ self._columns).mT, self._columns.mT @ grad)
        inputs = (t, *dynamics.parameters)
        grads = dynamics.pulled_back(value, inputs, -self._rows.mT @ weights, create_graph=differentiable)
        return grad - rows.mT @ weights, *grads

    def _linearised(self, y: Tensor, t: Tensor, differentiable: bool) -> tuple[Tensor, Tensor]:
        """``f`` and ``U ∂f/∂y``; raises UnsupportedError where the index is above 1."""
        dynamics = self._dynamics
        with torch.enable_grad():
            value = dynamics.evaluate(dynamics.direction.solver_time(t.item()), y, t)
            (rows,) = jacobians.joint_products(value, (y,), self._rows, create_graph=differentiable)
        if not self._is_regular(rows.detach()):
            raise UnsupportedError(
                f"The mass matrix is singular, and at t = {t.item():.6g} the equation has an index above 1, so that it "
                "has neither second derivatives nor gradients with respect to t. Call autograd without create_graph, "
                "and odeint with a t that requires no gradient, such as t.detach()."
            )
        return value, rows

    def _is_regular(self, rows: Tensor) -> bool:
        """Whether ``U ∂f/∂y V`` is, by more than the rounding errors of ``U ∂f/∂y``."""
        along, errors = rows @ self._columns, rows.norm() * rows.shape[1] * torch.finfo(rows.dtype).eps
        return bool(rows.isfinite().all()) and int(torch.linalg.matrix_rank(along, atol=errors)) == len(along)


class _Held(torch.autograd.Function):
    """A state that is held on a constraint: its gradient depends on that very state, so that it has all orders."""

    @staticmethod
    def forward(ctx: Any, constraint: Constraint, y: Tensor, t: Tensor, *parameters: Tensor) -> Tensor:
        held = y.clone()
        ctx.constraint = constraint
        ctx.save_for_backward(held, t, *parameters)
        return held

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensors:
        held, t, *_ = ctx.saved_tensors
        return None, *ctx.constraint.freed(grad, held, t)


def _solved(dynamics: Dynamics, matrix: MassMatrix) -> Dynamic:
    """``y' = M⁻¹ f``."""
    func, structure, name, inverse = dynamics.func, dynamics.structure, dynamics.name, matrix.inverse
    return lambda t, y: structure.unpack(inverse @ structure.pack_returned(func(t, y), name, t))


def _differentiated(dynamics: Dynamics, matrix: MassMatrix) -> Dynamic:
    """``y' = M⁺ f + V q``, with what the constraint's derivative says of ``q``."""
    func, structure, name = dynamics.func, dynamics.structure, dynamics.name
    inverse, rows, columns, _ = matrix

    def velocity(t: Tensor, state: State) -> State:
        differentiable = torch.is_grad_enabled()
        y, time = map(recorded, (structure.pack(state), t))
        with torch.enable_grad():
            value = structure.pack_returned(func(time, structure.unpack_copy(y)), name, t)
            by_y, by_t = jacobians.joint_products(value, (y, time), rows, create_graph=differentiable)
            p = inverse @ value
            q, _ = torch.linalg.solve_ex(by_y @ columns, -(by_t.to(p) + by_y @ p))
            found = p + columns @ q
        return structure.unpack(found if differentiable else found.detach())

    return velocity
