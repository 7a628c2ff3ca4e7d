"""gradsolve: the steps of an adaptive solve are recorded, and replayed as a scan, which JAX differentiates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import Case
from .entry import Entry, SkipError
from .needs import need


@dataclass(frozen=True)
class Problem:
    """What gradsolve asks of a problem: one trajectory, whose state and parameters are vectors."""

    name: str
    dim: int
    t0: float
    t1: float
    is_stiff: bool
    f_jax: Callable[..., Any]


def entry(case: Case, *, record_once: bool = False) -> Entry:
    """A batch is one trajectory, as with the others; all is in double precision, as gradsolve's recorder is.

    A training step changes the parameters, so that by default each records its own steps. `gradsolve.grad_closure`
    records once, for parameters close by; it could not be compiled once and record again, which is why the recorder
    and the replay are called themselves.
    """
    need("gradsolve")
    if case.kind != "training":
        raise SkipError("it is for training")
    import gradsolve
    import jax
    from gradsolve.solvers.tsit5_replay import record_tsit5_jax
    from gradsolve.warp.warp_replay import replay_solve_saveat_jax
    from jax.flatten_util import ravel_pytree

    weights, unravel = ravel_pytree([weight.double().numpy() for weight in case.weights])
    y0, parameters, times = case.y0.double().numpy().reshape(1, -1), weights[None], case.t.numpy()

    def f(_t: Any, y: Any, p: Any) -> Any:
        return case.side(jax.numpy, y.reshape(case.y0.shape), *unravel(p)).ravel()

    problem = Problem(case.name, y0.size, float(times[0]), float(times[-1]), case.stiff, f)
    tolerances = {"rtol": case.rtol, "atol": case.atol}

    if record_once:
        values = gradsolve.grad_closure(problem, y0, parameters, saveat=times, engine="tsit5_replay", **tolerances)
        gradient = jax.jit(jax.grad(lambda p: case.loss(values(p))))
        return Entry("Tsit5", lambda: unravel(jax.block_until_ready(gradient(parameters))[0]))

    def loss(p: Any, steps: Any) -> Any:
        return case.loss(replay_solve_saveat_jax(problem, y0, p, steps, times)[1])

    along = jax.jit(jax.grad(loss))

    def step() -> Any:
        recorded = record_tsit5_jax(f, y0, parameters, problem.t0, problem.t1, recorder="jax", **tolerances)
        return unravel(np.asarray(along(parameters, recorded[1]))[0])

    return Entry("Tsit5", step)
