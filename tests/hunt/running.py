"""What a program gives: by plain torchdiffeq with backpropagation, in double precision, and by the package."""

from __future__ import annotations

import functools
import linecache
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
import torchdiffeq
from torch import Tensor

import pyode_bridge as pb
from tests.hunt.grammar import Program


@torch.no_grad()
def _norm(errors: Sequence[Tensor]) -> Tensor:
    """Of steps whose lengths autograd takes for given."""
    return torch.cat([part.reshape(-1) for part in errors]).square().mean().sqrt()


TIGHT = {"rtol": 1e-7, "atol": 1e-9, "method": "dopri5", "options": {"norm": _norm}}
# How far values and gradients may be off, relative to the largest element or 1, by the precision of the program.
BOUNDS = {"float64": (1e-4, 1e-3), "float32": (2e-3, 1e-2)}


@dataclass(frozen=True)
class Found:
    """Values, one tensor for each of the state's, and gradients of the loss."""

    values: Sequence[Tensor]
    gradients: Sequence[Tensor | None]


@functools.lru_cache(maxsize=64)
def _code(program: Program) -> CodeType:
    """The same code for all runs of a program, as a session has it."""
    name = f"<program {program.seed}>"
    linecache.cache[name] = (len(program.body), None, program.body.splitlines(keepends=True), name)
    return compile(program.body, name, "exec")


def made(program: Program, seed: int, dtype: str) -> dict[str, Any]:
    """What the program's text defines."""
    names: dict[str, Any] = {"torch": torch, "__name__": "program"}
    exec(program.head(seed, dtype), names)
    exec(_code(program), names)
    return names


def parts(state: Any) -> tuple[Tensor, ...]:
    if isinstance(state, Tensor):
        return (state,)
    return tuple(state.values()) if isinstance(state, dict) else tuple(state)


def like(state: Any, tensors: Sequence[Tensor]) -> Any:
    """The tensors as a state of the same form."""
    if isinstance(state, Tensor):
        return tensors[0]
    return dict(zip(state, tensors, strict=True)) if isinstance(state, dict) else tuple(tensors)


def expected(program: Program, engine: str, seed: int) -> Found:
    """By torchdiffeq: through the same steps where these are fixed, else by small ones."""
    it = made(program, seed, "float64")
    arguments = program.arguments(engine, "auto")
    t = torch.as_tensor(it["t"], dtype=torch.float64)
    y0, params = it["y0"], it["params"]
    if program.calls == "solve_ensemble":
        rows = []
        for place in range(2):
            one = like(y0, [tensor[place] for tensor in parts(y0)])
            more = () if params is None else (like(params, [tensor[place] for tensor in parts(params)]),)
            rows.append(_solved(it["func"], one, t, more, arguments))
        ys = tuple(torch.stack(column, 1) for column in zip(*rows, strict=True))
    else:
        ys = _solved(it["func"], y0, t, (), arguments)
    return _found(it, like(y0, ys))


def _solved(func: Any, y0: Any, t: Tensor, more: Any, arguments: dict[str, Any]) -> Sequence[Tensor]:
    def field(time: Tensor, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        # A function that changes its arguments means to change its own: of the solver's nobody would know what comes.
        state = like(y0, [tensor.clone() for tensor in tensors])
        value = func(time.clone(), state, *more)
        return tuple(value[key] for key in state) if isinstance(value, dict) else parts(value)

    method, options = arguments.get("method"), arguments.get("options")
    start = parts(y0)
    if method in ("euler", "midpoint", "rk4"):
        step = None if options is None else {"step_size": next(iter(options.values()))}
        return torchdiffeq.odeint(field, start, t, method=method, options=step)
    return torchdiffeq.odeint(field, start, t, **TIGHT)


def found(program: Program, engine: str, lane: str, seed: int) -> Found:
    """By the package."""
    it = made(program, seed, program.dtype)
    arguments = program.arguments(engine, lane)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if program.calls == "solve_ensemble":
            y = pb.solve_ensemble(it["func"], it["y0"], it["t"], it["params"], **arguments).y
        elif program.calls == "solve":
            y = pb.solve(it["func"], it["y0"], it["t"], **arguments).y
        else:
            y = getattr(pb, program.calls)(it["func"], it["y0"], it["t"], **arguments)
        return _found(it, y)


def _found(it: dict[str, Any], y: Any) -> Found:
    loss, inputs = it["loss"](y), it["inputs"]
    for tensor in inputs:
        tensor.retain_grad()
    if loss.requires_grad:
        loss.backward()
    return Found([part.detach() for part in parts(y)], [tensor.grad for tensor in inputs])


def difference(program: Program, true: Found, other: Found) -> str | None:
    """What is wrong with ``other``, or None."""
    of_values, of_gradients = BOUNDS[program.dtype]
    for place, (theirs, ours) in enumerate(zip(true.values, other.values, strict=True)):
        if problem := _difference(theirs, ours, of_values):
            return f"values[{place}] {problem}"
    for place, (theirs, ours) in enumerate(zip(true.gradients, other.gradients, strict=True)):
        if problem := _difference(theirs, ours, of_gradients):
            return f"gradient of inputs[{place}] {problem}"
    return None


def _difference(true: Tensor | None, other: Tensor | None, bound: float) -> str | None:
    if true is None or other is None:
        present = other if true is None else true
        if present is None or present.abs().max() <= bound:
            return None
        return f"is {other}, and should be {true}"
    if true.shape != other.shape:
        return f"has shape {tuple(other.shape)}, and should have {tuple(true.shape)}"
    wide = torch.complex128 if true.is_complex() else torch.float64
    error = (true.to(wide) - other.to(wide)).abs().max()
    if error <= (bound + 4 * torch.finfo(other.dtype).eps) * (1 + true.abs().max()):
        return None
    return f"is {other.tolist()}, and should be {true.tolist()}"
