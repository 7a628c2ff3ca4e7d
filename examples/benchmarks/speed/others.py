"""Contestants that need packages which may not be there."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .cases import Case
from .entry import Entry, SkipError, training_step
from .needs import need, need_of_julia

DIFFRAX_STEPS = {"forward": 1_000_000, "ensemble": 100_000, "training": 4096}


def torchode_entry(case: Case) -> Entry:
    need("torchode")
    if case.stiff:
        raise SkipError("it has explicit solvers alone")
    import torchode

    batch = case.y0 if case.y0.ndim > 1 else case.y0[None]

    def f(t: Tensor, y: Tensor, *p: Tensor) -> Tensor:
        return case.func(t, y, *p) if case.y0.ndim > 1 else case.func(t[0], y[0])[None]

    ensemble = case.kind == "ensemble"
    term = torchode.ODETerm(f, with_args=ensemble)
    controller = torchode.IntegralController(atol=case.atol, rtol=case.rtol, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
    times = case.t.to(batch.dtype).repeat(len(batch), 1)
    args = case.weights[0] if ensemble else None

    def values() -> Tensor:
        return solver.solve(torchode.InitialValueProblem(y0=batch, t_eval=times), args=args).ys

    if case.kind == "training":
        parameters = tuple(case.func.parameters())  # type: ignore[attr-defined]
        return Entry("Dopri5", lambda: training_step(values, case.loss, parameters))

    def last() -> Tensor:
        with torch.no_grad():
            return values()[:, -1]

    return Entry("Dopri5", last)


def diffrax_entry(case: Case, *, adjoint: str = "RecursiveCheckpointAdjoint") -> Entry:
    """By default with the adjoint that is diffrax's own default."""
    need("diffrax")
    import diffrax

    if case.kind != "training" and adjoint != "RecursiveCheckpointAdjoint":
        raise SkipError("it is for training")
    import jax

    jax.config.update("jax_enable_x64", True)
    solver = diffrax.Kvaerno5() if case.stiff else diffrax.Dopri5()
    y0, weights = jax.numpy.asarray(case.y0.numpy()), [jax.numpy.asarray(weight.numpy()) for weight in case.weights]
    times = jax.numpy.asarray(case.t.numpy(), dtype=y0.dtype)
    controller = diffrax.PIDController(rtol=case.rtol, atol=case.atol)

    def values(y: Any, *weights: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: case.side(jax.numpy, y, *args)),
            solver,
            t0=times[0],
            t1=times[-1],
            dt0=None,
            y0=y,
            args=weights,
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=controller,
            max_steps=DIFFRAX_STEPS[case.kind],
            adjoint=getattr(diffrax, adjoint)(),
        ).ys

    if case.kind == "training":
        gradient = jax.jit(jax.grad(lambda weights: case.loss(values(y0, *weights))))
        return Entry(type(solver).__name__, lambda: jax.block_until_ready(gradient(weights)))
    solve = jax.jit(jax.vmap(values) if case.kind == "ensemble" else values)
    last = (lambda ys: ys[:, -1]) if case.kind == "ensemble" else (lambda ys: ys[-1])
    return Entry(type(solver).__name__, lambda: last(jax.block_until_ready(solve(y0, *weights))))


MOST_STEPS = 100_000  # of diffeqpy: each takes Python's time


def diffeqpy_entry(case: Case) -> Entry:
    if case.kind != "forward":
        raise SkipError("it has no gradients" if case.kind == "training" else "one after another takes minutes")
    if case.y0.ndim > 1 or case.weights:
        raise SkipError("its dynamics are lists of numbers, one by one")
    if shutil.which("julia") is None:
        raise SkipError("it looks for Julia on the PATH, and would install another")
    need_of_julia("OrdinaryDiffEq", "OrdinaryDiffEqDefault", "OrdinaryDiffEqRosenbrock")
    from diffeqpy import ode

    def f(u: Any, p: Any, t: Any) -> Any:
        return case.side(np, np.asarray(u)).tolist()

    problem = ode.ODEProblem(f, case.y0.tolist(), (case.t[0].item(), case.t[-1].item()))
    algorithm = ode.Rodas5P(autodiff=ode.AutoFiniteDiff()) if case.stiff else getattr(ode, case.method)()
    settings = {"reltol": case.rtol, "abstol": case.atol, "saveat": case.t.tolist(), "maxiters": MOST_STEPS}

    def solve() -> Any:
        solution = ode.solve(problem, algorithm, **settings)
        if str(solution.retcode) != "Success":
            raise SkipError(f"it ended with {solution.retcode} after at most {MOST_STEPS} steps")
        return np.asarray(solution.u[-1])

    return Entry(case.method, solve)
