"""Solves as pure functions, and the equations whose solves are their derivatives or their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from pyode_bridge.derivatives.captures import Captured
from pyode_bridge.derivatives.prepared import Prepare
from pyode_bridge.derivatives.underlying import MassMatrix
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import checks, progress
from pyode_bridge.problem.backsolve import augmented
from pyode_bridge.problem.levels import unwrapped
from pyode_bridge.problem.problem import Trajectory
from pyode_bridge.problem.retcodes import checked
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, flat_real, real_size

Field = Callable[..., Tensor]


class Flow:
    """The solution of one equation as a function of the initial state, the times and the tensors that it uses.

    Attributes:
        field: the right-hand side: a scalar ``t``, a flat state of shape ``(n,)`` and tensors, to shape ``(n,)``; made
            of torch's operations, with no other inputs.
        settings: of the solve, for a state that is flat.
        prepare: makes a problem of a function, for an engine.
        captured: the user's dynamics, on which ``field`` rests.
        trajectory: what the engine returned, for the whole batch where there was one; None before a solve.
    """

    def __init__(self, field: Field, settings: Settings, prepare: Prepare, captured: Captured) -> None:
        self.field = field
        self.settings = settings
        self.prepare = prepare
        self.captured = captured
        self.trajectory: Trajectory | None = None
        self._at_hand: _Pulled | None = None

    def solved(self, y0: Tensor, t: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """Values at ``t``, shape ``(T, n)``, of plain tensors; without autograd."""
        prepared = self.prepare(_with_tensors(self.field, tensors), y0, t, self.settings)
        with progress.shown(prepared.problem):
            trajectory = prepared.engine.solve(prepared.problem)
        self.trajectory = trajectory
        return trajectory.ys.detach()

    def pulled_back(
        self, wanted: Sequence[bool], grad_ys: Tensor, ys: Tensor, t: Tensor, tensors: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Gradients with respect to ``y0`` and the wanted tensors, of plain tensors, by the engine's adjoint."""
        inputs = (ys, t, *tensors)
        pulled = self._at_hand
        if pulled is None or not pulled.is_of(inputs):
            self._at_hand = pulled = _Pulled(inputs, *self._solved_again(wanted, ys, t, tensors))
        with progress.shown(pulled.problem, backward=True):
            gradients = pulled.trajectory.pullback(grad_ys.contiguous())
        checked(gradients, grad_ys, pulled.problem, pulled.trajectory.pullback.sensealg)
        return gradients.y0, *pulled.problem.dynamics.split_parameters(gradients.parameters)

    def _solved_again(
        self, wanted: Sequence[bool], ys: Tensor, t: Tensor, tensors: Sequence[Tensor]
    ) -> tuple[Any, Trajectory]:
        own = [tensor.detach() for tensor in tensors]
        leaves = [tensor.requires_grad_() for tensor, wants in zip(own, wanted, strict=True) if wants]
        with torch.enable_grad():
            prepared = self.prepare(
                _with_tensors(self.field, own),
                ys[0].detach().requires_grad_(),
                t.detach(),
                {**self.settings, "adjoint_params": leaves},
            )
        with progress.shown(prepared.problem):
            return prepared.problem, prepared.engine.solve(prepared.problem)


def _with_tensors(field: Field, tensors: Sequence[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The field of these tensors; nothing else is within its reach, so that what it compiles to is found again."""
    return lambda t, y: field(t, y, *tensors)


class _Pulled:
    """A solve whose pullback is at hand, and what it was the solve of."""

    def __init__(self, inputs: Sequence[Tensor], problem: Any, trajectory: Trajectory) -> None:
        self._inputs = inputs
        self._versions = [tensor._version for tensor in inputs]
        self.problem = problem
        self.trajectory: Any = trajectory

    def is_of(self, inputs: Sequence[Tensor]) -> bool:
        return all(
            mine is theirs and version == theirs._version
            for mine, version, theirs in zip(self._inputs, self._versions, inputs, strict=True)
        )


def solved_for_velocity(flow: Flow) -> Flow:
    """The same flow, of ``y' = M⁻¹ f`` where there is a mass matrix; raises UnsupportedError where that is singular."""
    given = flow.settings["mass_matrix"]
    if given is None:
        return flow
    matrix, field = MassMatrix.of(given), flow.field
    if matrix.is_singular or matrix.is_doubtful:
        raise UnsupportedError(
            "Where the mass matrix is singular, or all but singular, a solve goes through torch.func.grad and vjp "
            "once, with respect to y0 and tensors, and through no other transform. Take second derivatives by "
            "torch.autograd.grad with create_graph=True, and batches in a loop or by solve_ensemble."
        )
    inverse = unwrapped(matrix.inverse)

    def velocity(t: Tensor, y: Tensor, *tensors: Tensor) -> Tensor:
        return inverse @ field(t, y, *tensors)

    return Flow(velocity, {**flow.settings, "mass_matrix": None}, flow.prepare, flow.captured)


def sensitivities(flow: Flow, moving: Sequence[int]) -> Flow:
    """``d[y, δ]/dt = [f, (∂f/∂y) δ + (∂f/∂θ) θ̇]`` with tangents ``θ̇`` of the moving tensors after the tensors."""
    flow = solved_for_velocity(flow)
    field = flow.field

    def joint(t: Tensor, z: Tensor, *arguments: Tensor) -> Tensor:
        tensors, tangents = arguments[: len(arguments) - len(moving)], arguments[len(arguments) - len(moving) :]
        y, d = z.chunk(2)

        def pulled(u: Tensor) -> tuple[Tensor, Tensor]:
            grads, value = _products(field, t, y, tensors, moving, u)
            return inner(grads, (d, *tangents)), value

        # A vector-Jacobian product is linear in the vector, with the product with the Jacobian itself as its gradient.
        # Forward mode would do with one pass, but torch does not nest it in a dual level that the caller has opened.
        product, value = torch.func.grad(pulled, has_aux=True)(torch.zeros_like(y))
        return torch.cat([value, product])

    return Flow(joint, joint_settings(flow.settings, 2, lambda z: [z.chunk(2)[0]]), flow.prepare, flow.captured)


def batch(flow: Flow, size: int, in_dims: Sequence[int | None], randomness: str) -> Flow:
    """The equations of a batch as one system, states one after another; ``in_dims`` are those of the tensors."""
    flow = solved_for_velocity(flow)
    field = flow.field

    def joint(t: Tensor, z: Tensor, *tensors: Tensor) -> Tensor:
        mapped = torch.vmap(field, in_dims=(None, 0, *in_dims), randomness=randomness)
        value: Tensor = mapped(t, z.view(size, -1), *tensors)
        return value.reshape(-1)

    settings = joint_settings(flow.settings, size, lambda z: z.view(size, -1))
    return Flow(joint, settings, flow.prepare, flow.captured)


def adjoint(flow: Flow, wanted: Sequence[bool]) -> Flow:
    """``d[y, a, g]/dt = [f, -aᵀ ∂f/∂y, -aᵀ ∂f/∂θ]`` (Chen et al. 2018, eqs. 4 and 5) for the wanted tensors ``θ``."""
    flow = solved_for_velocity(flow)
    field, moving = flow.field, [position for position, wants in enumerate(wanted) if wants]

    def joint(t: Tensor, z: Tensor, *tensors: Tensor) -> Tensor:
        def products(y: Tensor, v: Tensor) -> tuple[Tensor, ...]:
            grads, value = _products(field, t, y, tensors, moving, v)
            return value, *(flat_real(grad).to(z.dtype) for grad in grads)

        n = (len(z) - sum(real_size(tensors[i]) for i in moving)) // 2
        return augmented(z, n, products)

    return Flow(joint, _adjoint_settings(flow.settings), flow.prepare, flow.captured)


def inner(first: Iterable[Tensor], second: Iterable[Tensor]) -> Tensor:
    """The real inner product of two lists of tensors."""
    products = [(flat_real(a) * flat_real(b)).sum() for a, b in zip(first, second, strict=True)]
    return torch.stack(products).sum()


def _products(
    field: Field, t: Tensor, y: Tensor, tensors: Sequence[Tensor], moving: Sequence[int], v: Tensor
) -> tuple[tuple[Tensor, ...], Tensor]:
    """``vᵀ ∂f/∂y`` and ``vᵀ ∂f/∂θ`` for each moving tensor ``θ``; and ``f``."""

    def weighted(y: Tensor, *moved: Tensor) -> tuple[Tensor, Tensor]:
        value = field(t, y, *put(tensors, moving, moved))
        return (value * v).sum(), value

    inputs = (y, *(tensors[position] for position in moving))
    found: tuple[tuple[Tensor, ...], Tensor] = torch.func.grad(
        weighted, argnums=tuple(range(len(inputs))), has_aux=True
    )(*inputs)
    return found


def put(tensors: Sequence[Tensor], positions: Sequence[int], others: Sequence[Tensor]) -> list[Tensor]:
    """The tensors with others at some positions."""
    exchanged = list(tensors)
    for position, other in zip(positions, others, strict=True):
        exchanged[position] = other
    return exchanged


def _adjoint_settings(settings: Settings) -> Settings:
    options = settings["options"] or {}
    forward = {key: value for key, value in options.items() if key != "tstops" and not callable(value)}
    rtol, atol = flat_tolerances(settings)
    return {
        **settings,
        "rtol": checks.scalar_tolerance(settings["adjoint_rtol"], rtol, "adjoint_rtol"),
        "atol": checks.scalar_tolerance(settings["adjoint_atol"], atol, "adjoint_atol"),
        "method": settings["method"] if settings["adjoint_method"] is None else settings["adjoint_method"],
        "options": settings["adjoint_options"] or forward,
        "jac_sparsity": None,
    }


def joint_settings(settings: Settings, copies: int, states: Callable[[Tensor], Iterable[State]]) -> Settings:
    """Settings for several states one after another; ``states`` are those that the user's predicates speak of."""

    def repeated(bound: Any) -> Any:
        return bound.repeat(copies) if isinstance(bound, Tensor) else bound

    def lifted(value: Any) -> Any:
        return (lambda t, z: any(value(t, y) for y in states(z))) if callable(value) else value

    options = {key: lifted(value) for key, value in (settings["options"] or {}).items()}
    return {
        **settings,
        "rtol": repeated(settings["rtol"]),
        "atol": repeated(settings["atol"]),
        "options": options,
        "jac_sparsity": None,
    }


def flat_tolerances(settings: Settings) -> tuple[float | Tensor, float | Tensor]:
    """The tolerances for the flat state: numbers, or flat tensors."""
    return cast("float | Tensor", settings["rtol"]), cast("float | Tensor", settings["atol"])
