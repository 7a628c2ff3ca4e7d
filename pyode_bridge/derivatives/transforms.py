"""Solves under torch's function transforms: ``torch.func``, ``torch.vmap`` and forward-mode differentiation.

Each rule is a solve of another equation by the same function, so that transforms nest: forward mode solves the forward
sensitivities, a batch is one system, and the adjoint, which the engine computes, is the paper's equations where it is
transformed itself. As torch is asked to transform functions of their arguments, the tensors that the dynamics use
from outside are made arguments first (see `captures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from pyode_bridge.derivatives import flow
from pyode_bridge.derivatives.adjoint_system import time_gradients
from pyode_bridge.derivatives.captures import Captured
from pyode_bridge.derivatives.flow import Flow
from pyode_bridge.derivatives.prepared import Prepare
from pyode_bridge.errors import UnsupportedError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.backsolve import swept_back
from pyode_bridge.problem.dynamics import Dynamic
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.options import FIELDS, StepOptions
from pyode_bridge.problem.problem import Sensitivity, Tolerances, Trajectory
from pyode_bridge.problem.settings import Settings
from pyode_bridge.problem.state import State, Structure, Times, real_size, split_like
from pyode_bridge.problem.step_callbacks import ADJOINT, listens


def solved(
    func: Dynamic, y0: State, t: Times, settings: Settings, prepare: Prepare
) -> tuple[Tensor, State, Trajectory, Structure]:
    """The times, the values there, what the engine returned and the state's structure, where a transform is at work."""
    _check(settings)
    if listens(func) or listens(func, ADJOINT):
        raise UnsupportedError(
            "func has callbacks of steps, which torch's function transforms do not carry over; take them off it."
        )
    structure = Structure.of(y0)
    checks.device(structure, func)
    times = _times(t, structure)
    flat_y0 = structure.pack(y0)
    captured = Captured(func, structure, times[0], flat_y0)
    made = Flow(captured, _flat(settings, structure), prepare, captured)
    ys = Solve.apply(made, flat_y0, times, *captured.tensors)  # type: ignore[no-untyped-call]
    assert made.trajectory is not None
    return times, structure.unpack_copy(ys), made.trajectory, structure


class Solve(torch.autograd.Function):
    """A flow, with its derivatives in both modes and its batches."""

    @staticmethod
    def forward(made: Flow, y0: Tensor, t: Tensor, *tensors: Tensor) -> Tensor:
        """Values at ``t``, shape ``(T, n)``, from flat ``y0``, shape ``(n,)``."""
        return made.solved(y0, t, tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the flow, its arguments and its values."""
        made, *tensors = inputs
        ctx.flow = made
        ctx.save_for_backward(output, *tensors)
        ctx.save_for_forward(output, *tensors)

    @staticmethod
    def backward(ctx: Any, grad_ys: Tensor) -> tuple[Tensor | None, ...]:
        """By the adjoint; ``dL/dt_i = <dL/dy_i, f(t_i, y_i)>``, less what flows through the solve for the first."""
        ys, y0, t, *tensors = ctx.saved_tensors
        made, wanted = ctx.flow, tuple(ctx.needs_input_grad[3:])
        made.captured.check_that_all_are_used(lambda: made.field(t[0], y0, *tensors))
        grad_y0, *grads = Adjoint.apply(made, wanted, grad_ys, ys, t, *tensors)  # type: ignore[no-untyped-call]
        grad_t = None
        if ctx.needs_input_grad[2]:
            grad_t = time_gradients(grad_ys, grad_y0, _slopes(made, ys, t, tensors)).to(t)
        found = iter(grads)
        return None, grad_y0, grad_t, *(next(found) if wants else None for wants in wanted)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """By the forward sensitivities."""
        with forward_ad._set_fwd_grad_enabled(True):  # torch disables it, which breaks nested forward modes
            ys, y0, t, *tensors = map(_primal, ctx.saved_tensors)
            _, dy0, dt, *dtensors = tangents
            moving = [position for position, tangent in enumerate(dtensors) if tangent is not None]
            dy0 = torch.zeros_like(y0) if dy0 is None else dy0
            slopes = None if dt is None else _slopes(ctx.flow, ys, t, tensors) * dt[:, None].to(ys.dtype)
            start = dy0 if slopes is None else dy0 - slopes[0]
            joint = Solve.apply(  # type: ignore[no-untyped-call]
                flow.sensitivities(ctx.flow, moving),
                torch.cat([y0, start]),
                t,
                *tensors,
                *(dtensors[position] for position in moving),
            )
            moved: Tensor = joint[:, len(y0) :]
            return moved if slopes is None else moved + slopes

    @staticmethod
    def vmap(info: Any, in_dims: Any, made: Flow, y0: Tensor, t: Tensor, *tensors: Tensor) -> tuple[Tensor, int]:
        """One solve of the whole batch, which shares its steps."""
        _, of_y0, of_t, *of_tensors = in_dims
        _check_not_batched(of_t is not None)
        size = info.batch_size
        joint = flow.batch(made, size, of_tensors, info.randomness)
        start = _batched(y0, of_y0, size)
        ys = Solve.apply(joint, start.reshape(-1), t, *tensors)  # type: ignore[no-untyped-call]
        made.trajectory = joint.trajectory
        return ys.view(len(t), size, -1), 1


class Adjoint(torch.autograd.Function):
    """Gradients with respect to ``y0`` and the wanted tensors, as a function of those of ``ys`` and of all else."""

    @staticmethod
    def forward(
        made: Flow, wanted: tuple[bool, ...], grad_ys: Tensor, ys: Tensor, t: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """By the engine, as ``sensealg`` says."""
        return made.pulled_back(wanted, grad_ys, ys, t, tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the arguments."""
        made, wanted, *tensors = inputs
        ctx.flow, ctx.wanted = made, wanted
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *vs: Tensor) -> tuple[Tensor | None, ...]:
        """By the adjoint of the adjoint's own equations."""
        inputs, needs = list(ctx.saved_tensors), ctx.needs_input_grad[2:]
        _, ys, t, *tensors = inputs
        made = ctx.flow
        made.captured.check_that_all_are_used(lambda: made.field(t[0], ys[0], *tensors))
        moving = [position for position, need in enumerate(needs) if need]

        def weighted(*moved: Tensor) -> Tensor:
            return flow.inner(_swept_back(made, ctx.wanted, *flow.put(inputs, moving, moved)), vs)

        products = torch.func.grad(weighted, argnums=tuple(range(len(moving))))
        found = iter(products(*(inputs[position] for position in moving)))
        return None, None, *(next(found) if need else None for need in needs)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        """By the forward sensitivities of the adjoint's own equations."""
        with forward_ad._set_fwd_grad_enabled(True):
            duals = [
                _primal(tensor) if tangent is None else _dual(_primal(tensor), tangent)
                for tensor, tangent in zip(ctx.saved_tensors, tangents[2:], strict=True)
            ]
            outputs = map(forward_ad.unpack_dual, _swept_back(ctx.flow, ctx.wanted, *duals))
            return tuple(
                torch.zeros_like(output.primal) if output.tangent is None else output.tangent for output in outputs
            )

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, made: Flow, wanted: tuple[bool, ...], *arguments: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """One backward solve after another where the trajectory is one, as in a Jacobian; else one for the batch."""
        size, of_grad_ys, of_t, of_tensors = info.batch_size, in_dims[2], in_dims[4], in_dims[5:]
        grad_ys, ys, t, *tensors = arguments
        _check_not_batched(of_t is not None)
        grad_ys = _batched(grad_ys, of_grad_ys, size)
        if in_dims[3] is None and all(dim is None for dim in of_tensors):
            rows = [Adjoint.apply(made, wanted, row, ys, t, *tensors) for row in grad_ys]  # type: ignore[no-untyped-call]
            outputs = tuple(torch.stack(column) for column in zip(*rows, strict=True))
            return outputs, (0,) * len(outputs)
        ys = _batched(ys, in_dims[3], size)
        dims = [0 if wants or dim is not None else None for wants, dim in zip(wanted, of_tensors, strict=True)]
        spread = [
            tensor if to is None else _batched(tensor, dim, size).contiguous()  # a gradient for each of the batch
            for tensor, dim, to in zip(tensors, of_tensors, dims, strict=True)
        ]
        joint = flow.batch(made, size, dims, info.randomness)
        flat = (values.movedim(0, 1).reshape(len(t), -1) for values in (grad_ys, ys))
        grad_y0, *grads = Adjoint.apply(joint, wanted, *flat, t, *spread)  # type: ignore[no-untyped-call]
        outputs = (grad_y0.view(size, -1), *grads)
        return outputs, (0,) * len(outputs)


def _swept_back(
    made: Flow, wanted: Sequence[bool], grad_ys: Tensor, ys: Tensor, t: Tensor, *tensors: Tensor
) -> tuple[Tensor, ...]:
    """What `Adjoint` computes, as solves of the adjoint's equations from each time back to the one before."""
    back = flow.adjoint(made, wanted)
    of = [tensor for tensor, wants in zip(tensors, wanted, strict=True) if wants]

    def solved_to(i: int, z: Tensor) -> Tensor:
        reached: Tensor = Solve.apply(back, z, torch.stack([t[i + 1], t[i]]), *tensors)[-1]  # type: ignore[no-untyped-call]
        return reached

    times, size = levels.plain(t).tolist(), sum(map(real_size, of))
    sensitivity = _sensitivity(back.settings)
    gradients = swept_back(ys, grad_ys, times, size, solved_to, sensitivity, "The derivative of a gradient")
    return gradients.y0, *split_like(of, gradients.parameters)


def _sensitivity(settings: Settings) -> Sensitivity:
    return Sensitivity(
        as_method(settings["method"], settings["kind"]),
        Tolerances(*flow.flat_tolerances(settings)),
        StepOptions.of(settings["options"]),
        settings["sensealg"],
    )


def _slopes(made: Flow, ys: Tensor, t: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """``dy/dt`` at the times, shape ``(T, n)``."""
    field = flow.solved_for_velocity(made).field
    return torch.stack([field(time, y, *tensors) for time, y in zip(t, ys, strict=True)])


def _primal(tensor: Tensor) -> Tensor:
    primal: Tensor = forward_ad.unpack_dual(tensor).primal  # type: ignore[no-untyped-call]
    return primal


def _dual(primal: Tensor, tangent: Tensor) -> Tensor:
    dual: Tensor = forward_ad.make_dual(primal, tangent)  # type: ignore[no-untyped-call]
    return dual


def _batched(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """The tensor with its batch dimension first."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _check_functions(name: str, options: Mapping[Any, Any]) -> None:
    """Raise UnsupportedError for functions of the state that do not carry over to those of the derivatives."""
    for key, value in options.items():
        if callable(value) and not (key in FIELDS and FIELDS[key].metadata["speaks_of"] == "state"):
            raise UnsupportedError(
                f"{name}[{key!r}] is a function, which does not go through torch's function transforms; leave it out."
            )


def _check(settings: Settings) -> None:
    """Raise UnsupportedError for what does not go through transforms."""
    if settings["adjoint_params"] is not None:
        raise UnsupportedError(
            "Under torch's function transforms, derivatives reach every tensor that func uses; leave adjoint_params "
            "out, and detach the others within func."
        )
    for name in ("options", "adjoint_options"):
        _check_functions(name, settings[name] or {})
    if settings["dense"]:
        raise UnsupportedError("dense=True is not available under torch's function transforms; put the times into t.")


def _times(given: Any, structure: Structure) -> Tensor:
    if isinstance(given, Tensor):
        _check_not_batched(levels.is_batched(given))
        if given.is_floating_point():
            checks.times(levels.plain(given), structure)
            return given
    return checks.times(given, structure)[0]


def _check_not_batched(batched: bool) -> None:
    if batched:
        raise UnsupportedError(
            "torch.vmap maps over t, but a batch is solved as one system, which shares its times. Keep t out of the "
            "batch (in_dims=None), or solve in a loop."
        )


def _mass_matrix(given: Any, structure: Structure) -> Tensor | None:
    """The mass matrix, outside of all transforms."""
    if isinstance(given, Tensor):
        if levels.is_varied(given):
            raise UnsupportedError(
                "A function transform differentiates by mass_matrix, or maps over it, which a solve does not go "
                "through; detach it, and keep it out of the batch."
            )
        given = levels.unwrapped(given)
    checked = checks.mass_matrix(given, structure)
    return None if checked is None else levels.unwrapped(checked)


def _flat(settings: Settings, structure: Structure) -> Settings:
    """The settings for the flat state."""

    def flat(value: Any) -> Any:
        return (lambda t, y: value(t, structure.unpack(y))) if callable(value) else value

    return {
        **settings,
        "rtol": checks.tolerance(settings["rtol"], structure, "rtol"),
        "atol": checks.tolerance(settings["atol"], structure, "atol"),
        "mass_matrix": _mass_matrix(settings["mass_matrix"], structure),
        "options": {key: flat(value) for key, value in (settings["options"] or {}).items()},
    }
