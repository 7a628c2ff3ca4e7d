"""Checks of user input, each done once and before any solver runs."""

from __future__ import annotations

import cmath
import math
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from pyode_bridge.errors import InputError, ToleranceWarning
from pyode_bridge.problem import levels
from pyode_bridge.problem.settings import EngineName, IsolationName, LaneName
from pyode_bridge.problem.state import Structure, is_dense, without_memory

FEW = 100  # numbers that Python adds up faster than torch
# By dtype: torchdiffeq's, and what others can hold, where tighter ones take more steps and no smaller error. In half
# precision, dynamics round what they return by up to 0.4 % or 0.05 %, though the solver adds up in float32.
DEFAULT_TOLERANCES = {
    torch.bfloat16: {"rtol": 1e-2, "atol": 1e-3},
    torch.float16: {"rtol": 1e-3, "atol": 1e-4},
    torch.float64: {"rtol": 1e-7, "atol": 1e-9},
    torch.float32: {"rtol": 1e-6, "atol": 1e-7},
}
COUNTS = {1: "one time", 2: "two times"}
ENGINES = get_args(EngineName)
LANES = get_args(LaneName)
LANE_VARIABLE = "PYODE_BRIDGE_LANE"
ISOLATIONS = get_args(IsolationName)
ISOLATION_VARIABLE = "PYODE_BRIDGE_ISOLATION"


def function(given: Any, name: str, maps: str = "t and y") -> None:
    """Raise if ``given`` cannot be called."""
    if not callable(given):
        raise InputError(f"{name} is a {type(given).__name__}; expected a function of {maps}, or a module.")


def times(given: Any, structure: Structure, least: int = 2) -> tuple[Tensor, list[float]]:
    """``given`` as a floating tensor of shape ``(T,)``, strictly monotone, ``T >= least``, and its values."""
    t = _as_tensor(given, "t", "a 1-D tensor of times")
    if t.ndim != 1 or t.numel() < least:
        raise InputError(
            f"t has shape {tuple(t.shape)}; expected at least {COUNTS[least]} in one dimension: the time of y0, then "
            "those at which the solution is wanted."
        )
    if t.is_complex() or t.dtype == torch.bool:
        raise InputError(f"t has dtype {t.dtype}; expected a real floating-point dtype.")
    if not t.is_floating_point():
        t = t.to(structure.dtype)
    values = levels.plain(t).tolist()
    later = values[1:]
    is_monotone = all(map(operator.lt, values, later)) or all(map(operator.gt, values, later))
    if not (is_monotone and math.isfinite(values[0] + values[-1])):  # NaN is neither more nor less than its neighbour
        finite(t, "t")
    if not is_monotone:
        directions = np.sign(np.diff(values))
        wrong = int(np.argmax(directions != directions[0])) if directions[0] else 0
        raise InputError(
            "t must be strictly increasing or strictly decreasing, but "
            f"t[{wrong}] = {values[wrong]:g} is followed by t[{wrong + 1}] = {values[wrong + 1]:g}."
        )
    return t, values


def finite_time(given: Any, name: str, structure: Structure) -> Tensor:
    """``given`` as a finite floating scalar tensor."""
    t = _as_tensor(given, name, "a scalar tensor")
    if t.numel() != 1 or t.is_complex() or t.dtype == torch.bool:
        raise InputError(f"{name} has shape {tuple(t.shape)} and dtype {t.dtype}; expected one real number.")
    finite(t, name)
    return (t if t.is_floating_point() else t.to(structure.dtype)).reshape(())


def finite(tensor: Tensor, name: str) -> None:
    """Raise if ``tensor`` holds NaN or Inf."""
    values = levels.plain(tensor)
    total = sum(values.flatten().tolist()) if values.numel() <= FEW else values.sum().item()
    if cmath.isfinite(total):  # one that overflows is looked at number by number
        return
    bad = ~torch.isfinite(values)
    if bad.any():
        raise InputError(f"{name} holds {int(bad.sum())} NaN or Inf among {tensor.numel()} values; expected finite.")


def tolerance(value: Any, structure: Structure, name: str) -> float | Tensor:
    """A positive number, by default one that suits the dtype, or a flat tensor with one a state component."""
    if type(value) is float and 0.0 <= value < math.inf:
        return value
    if value is None:
        return DEFAULT_TOLERANCES[_coarsest(structure)][name]
    if isinstance(value, (tuple, list, dict)):
        if structure.keys is None or len(value) != len(structure.keys):
            raise InputError(
                f"{name} has {len(value)} entries, but y0 has {len(structure.keys or (0,))} tensors; give one number, "
                "or one entry per tensor."
            )
        entries = [value[key] for key in structure.keys] if isinstance(value, dict) else list(value)
    else:
        entries = [value]
    elements = sum(shape.numel() for shape in structure.shapes)
    shapes = structure.shapes if len(entries) == len(structure.shapes) else (torch.Size((elements,)),)
    pieces = [_bound(entry, shape, name) for entry, shape in zip(entries, shapes, strict=True)]
    if len(pieces) == 1 and pieces[0].ndim == 0:
        return pieces[0].item()
    bounds = torch.cat([piece.expand(shape).reshape(-1) for piece, shape in zip(pieces, shapes, strict=True)])
    return bounds.repeat_interleave(2) if structure.is_complex else bounds  # for real and imaginary parts alike


def _coarsest(structure: Structure) -> torch.dtype:
    """The real dtype of the tensors whose numbers are the furthest apart: the dynamics are no more precise."""
    return max((dtype.to_real() for dtype in structure.dtypes), key=lambda dtype: torch.finfo(dtype).eps)


def bounds(value: Any, name: str) -> None:
    """Raise where a tolerance fits no state, whatever its structure."""
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
    for entry in entries:
        _numbers(entry, name, "a positive number, a tensor, or one such for each tensor of the state")


def scalar_tolerance(value: Any, default: float | Tensor, name: str) -> float:
    """A positive number; by default the tightest of the forward solve's."""
    if value is None:
        return default if isinstance(default, float) else default.min().item()
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.reshape(())
    bound = _bound(value, torch.Size(()), name)
    return bound.item()


def reachable(rtol: float | Tensor, atol: float | Tensor, structure: Structure) -> None:
    """Warn where no number of size 1 can be as accurate as is asked for."""
    dtype = _coarsest(structure)
    precision = torch.finfo(dtype).eps
    finest = float(torch.as_tensor(rtol + atol).min())
    if finest < precision / 2:
        warnings.warn(
            f"rtol and atol ask for {finest:.2g} at a state of size 1, which {dtype} cannot hold: its numbers are "
            f"{precision:.2g} apart there, and rounding errors will choose the steps. Raise rtol to "
            f"{10 * precision:.0e} or more, or solve in torch.float64.",
            ToleranceWarning,
            stacklevel=6,
        )


def mass_matrix(given: Any, structure: Structure) -> Tensor | None:
    """``given`` as a finite matrix over the flat state, of its dtype and on the CPU, or None."""
    if given is None:
        return None
    shape = (structure.size, structure.size)
    if not isinstance(given, Tensor) or given.shape != shape or given.is_complex() or not is_dense(given):
        what = f"has shape {tuple(given.shape)}" if isinstance(given, Tensor) else f"is a {type(given).__name__}"
        raise InputError(
            f"mass_matrix {what}; expected a real, dense tensor of shape {shape}, rows and columns as y0 is flat."
        )
    if given.requires_grad:
        raise InputError("mass_matrix requires a gradient, which none of the adjoints gives; detach it.")
    finite(given, "mass_matrix")
    return given.to("cpu", structure.dtype)


def device(structure: Structure, func: Callable[..., Any]) -> None:
    """Raise if the module's parameters live on another device than the state."""
    if not isinstance(func, torch.nn.Module):
        return
    for name, parameter in func.named_parameters():
        if parameter.device != structure.device:
            raise InputError(
                f"func.{name} is on {parameter.device}, but y0 is on {structure.device}; move one of them, for "
                f"example with func.to('{structure.device}')."
            )


def _as_tensor(given: Any, name: str, expected: str) -> Tensor:
    if isinstance(given, Tensor):
        if not is_dense(given):
            raise InputError(f"{name} is a {without_memory(given)} tensor; expected {expected}, in memory.")
        return given
    try:
        return torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InputError(f"{name} is a {type(given).__name__}; expected {expected}.") from None


def _bound(value: Any, shape: torch.Size, name: str) -> Tensor:
    expected = f"a positive number or a tensor that broadcasts to shape {tuple(shape)}"
    bound = _numbers(value, name, expected)
    try:
        bound.expand(shape)
    except RuntimeError:
        raise InputError(f"{name} is {value!r}; expected {expected}.") from None
    return bound


def _numbers(value: Any, name: str, expected: str) -> Tensor:
    if isinstance(value, Tensor):
        value = _as_tensor(value, name, expected)
    try:
        bound = torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InputError(f"{name} is {value!r}; expected {expected}.") from None
    if not (torch.isfinite(bound).all() and (bound >= 0).all()):
        raise InputError(f"{name} is {value!r}; expected a finite number that is not negative.")
    return bound


def sensealg(given: Any) -> str | None:
    """A sensitivity algorithm by name, or None where the engine is to choose."""
    if given is not None and (not isinstance(given, str) or not given.strip()):
        raise InputError(f"sensealg is {given!r}; expected a name such as 'GaussAdjoint', or 'auto'.")
    return None if given == "auto" else given


def engine(given: Any, origin: str) -> EngineName:
    """An engine by the name that ``origin``, an argument or a variable, gives."""
    if not isinstance(given, str) or given not in ENGINES:
        raise InputError(f"{origin} is {given!r}; expected one of {', '.join(ENGINES)}.")
    return cast("EngineName", given)


def lane(given: Any) -> LaneName:
    """A lane by name; where that is left open, what the variable LANE_VARIABLE says, else ``"auto"``."""
    return cast("LaneName", _choice(given, "lane", LANES, LANE_VARIABLE, default="auto"))


def isolation(given: Any) -> IsolationName:
    """Where Julia runs; where that is left open, what the variable ISOLATION_VARIABLE says, else ``"none"``."""
    return cast("IsolationName", _choice(given, "isolation", ISOLATIONS, ISOLATION_VARIABLE, default="none"))


def _choice(given: Any, name: str, choices: tuple[str, ...], variable: str, *, default: str) -> str:
    """``given``, or, where it is None or ``"auto"``, what a variable says; raises for what is none of the choices."""
    if given is None or (isinstance(given, str) and given == "auto" in choices):
        name, given = variable, os.environ.get(variable, default)
    if not isinstance(given, str) or given not in choices:
        raise InputError(f"{name} is {given!r}; expected one of {', '.join(map(repr, choices))}.")
    return given


def finds_sparsity(jac_sparsity: Any) -> bool:
    """Whether a pattern of the Jacobian is to be looked for."""
    return jac_sparsity is None or (isinstance(jac_sparsity, str) and jac_sparsity == "auto")


def not_finite(conditions: Sequence[float], t: float) -> InputError:
    """What is raised where events have no sign."""
    return InputError(f"The events' conditions are {list(conditions)} at t = {t:.6g}; expected finite numbers.")
