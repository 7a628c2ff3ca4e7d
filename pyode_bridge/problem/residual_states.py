"""A residual equation with its derivatives among the states, ``y' = v``, ``0 = F(t, y, v)``: one with a mass matrix.

Solvers of stiff equations take that, and their adjoints. Only differential components have a derivative to be found;
that of the others is not in ``F``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from pyode_bridge.errors import InputError
from pyode_bridge.problem.state import State, Structure

ResidualFunction = Callable[[Tensor, Any, Any], State]  # of the time, the state and its derivative

MOST_ITERATIONS = 50
DIFFERENTIATED = 2  # iterations with autograd at the end: each doubles how many derivatives are right


class ResidualStates:
    """The dynamics over ``[y, v]``, flat, of ``n`` and ``k`` components, with ``k`` the number of differential ones.

    Args:
        residual: ``F``, as `daeint` takes it.
        structure: of ``y``.
        differential: which components of ``y`` have a derivative in ``F``, shape ``(n,)``.
    """

    def __init__(self, residual: ResidualFunction, structure: Structure, differential: Tensor) -> None:
        self._residual, self._structure = residual, structure
        self._differential, self._algebraic = differential.nonzero()[:, 0], (~differential).nonzero()[:, 0]
        size, derivatives = len(differential), len(self._differential)
        # Rows of differential components say y' = v; all others take those of F, in their order.
        order = torch.arange(derivatives, size + derivatives)
        self._rows = torch.empty(size + derivatives, dtype=torch.long)
        self._rows[self._differential] = torch.arange(derivatives)
        self._rows[torch.cat([self._algebraic, torch.arange(size, size + derivatives)])] = order
        self.mass_matrix = torch.diag(torch.cat([differential, torch.zeros(derivatives, dtype=torch.bool)])).to(
            structure.dtype
        )

    def __call__(self, t: Tensor, state: Tensor) -> Tensor:
        """``[v, F]``, row by row as the mass matrix has them."""
        y, v = state[: self._structure.size], state[self._structure.size :]
        return torch.cat([v, self._value(t, y, v)])[self._rows]

    def bound(self, of_y: float | Tensor) -> float | Tensor:
        """A tolerance for the components of ``y``, with those of the derivatives after them."""
        return torch.cat([of_y, of_y[self._differential]]) if isinstance(of_y, Tensor) else of_y

    def start(self, t: Tensor, y0: Tensor, dy0: Tensor) -> Tensor:
        """``[y, v]`` at the start, by Newton's method from the guesses ``y0``, whose differential components stand, and
        ``dy0``; with autograd.

        Raises:
            InputError: there is none, or more than one, near these guesses.
        """
        guess = torch.cat([y0[self._algebraic], dy0[self._differential]]).detach()

        def value(unknown: Tensor) -> Tensor:
            return self._value(t, *self._split(y0, unknown))

        for _ in range(MOST_ITERATIONS):
            step = _step(value, guess, differentiable=False)
            guess = guess - step
            if step.norm() <= guess.norm() * torch.finfo(guess.dtype).eps ** 0.75:
                break
        else:
            raise InputError(
                f"No consistent start was found in {MOST_ITERATIONS} iterations of Newton's method: give an y0 that is "
                "nearer to one in its algebraic components, and dy0."
            )
        for _ in range(DIFFERENTIATED):
            guess = guess - _step(value, guess, differentiable=True)
        return torch.cat(self._split(y0, guess))

    def found(self, times: Tensor, ys: Tensor, dy0: Tensor) -> Tensor:
        """``[y, v]`` at several times, shape ``(T, n + k)``, by `start` from the values there; without autograd."""
        found: list[Tensor] = []
        with torch.no_grad():
            for t, y in zip(times, ys, strict=True):
                guess = self._slope(found[-1][len(y) :]) if found else dy0
                found.append(self.start(t, y, guess))
        return torch.stack(found)

    def _split(self, y0: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor]:
        algebraic, v = unknown[: len(self._algebraic)], unknown[len(self._algebraic) :]
        return y0.index_copy(0, self._algebraic, algebraic), v

    def _value(self, t: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return flat_residual(self._residual, self._structure, t, y, self._slope(v))

    def _slope(self, v: Tensor) -> Tensor:
        return v.new_zeros(self._structure.size).index_copy(0, self._differential, v)


def flat_residual(residual: ResidualFunction, structure: Structure, t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """``F`` over flat vectors; raises InputError where it returns no state."""
    value = residual(t, structure.unpack_copy(y), structure.unpack_copy(slope))
    problem = structure.mismatch(value)
    if problem is not None:
        raise InputError(f"residual(t, y, dy) returned {problem}.")
    return structure.pack(value)


def _step(value: Callable[[Tensor], Tensor], at: Tensor, *, differentiable: bool) -> Tensor:
    """Newton's step, which is to be subtracted."""
    matrix: Tensor = jacobian(value, at, create_graph=differentiable)  # type: ignore[no-untyped-call]
    with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
        step: Tensor
        step, failed = torch.linalg.solve_ex(matrix, value(at))
    if failed or not step.isfinite().all():
        raise InputError(
            "The residual does not determine the algebraic components and the derivatives at the start: its Jacobian "
            "by these is singular there. Check dy0, which components are `differential`, and that the equation has "
            "index 1."
        )
    return step
