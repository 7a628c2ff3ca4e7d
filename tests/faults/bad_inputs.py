"""Arguments that are wrong or at the edge of what is served, by name, and calls that mix them with good ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

import pyode_bridge as pb
from tests.faults.table import OfTheUserError, at_call, decay, fail
from tests.problems import DOUBLE

NAN, INF = float("nan"), float("inf")
STEPS = 200  # that a solve may take, so that it ends soon
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
T = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE)
META = torch.ones(2, device="meta", dtype=DOUBLE)


def shrink(t: Tensor, y: Any) -> Any:
    """Decay of a state of any form."""
    if isinstance(y, Tensor):
        return -y
    return {key: -one for key, one in y.items()} if isinstance(y, dict) else tuple(-one for one in y)


def as_theirs(func: Callable[..., Any]) -> Callable[..., Any]:
    """Dynamics whose own errors are told from those of the bridge."""

    def theirs(*arguments: Any) -> Any:
        try:
            return func(*arguments)
        except (TypeError, RuntimeError, AttributeError) as error:
            raise error if isinstance(error, pb.BridgeError) else OfTheUserError(str(error)) from error

    return theirs


class Leaky(nn.Module):
    """A module whose parameter is given."""

    def __init__(self, rate: Tensor) -> None:
        super().__init__()
        self.rate = nn.Parameter(rate)

    @as_theirs
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.rate * y


def in_place(t: Tensor, y: Tensor) -> Tensor:
    return y.mul_(-1)


def midway(value: Callable[[Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
    """Dynamics that return something else from t = 0.5 on."""
    return lambda t, y: value(y) if t > 0.5 else -y


JUNK: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "text",
    "empty text": lambda: "",
    "bytes": lambda: b"DP5",
    "a list": lambda: [],
    "a dict": lambda: {},
    "a tuple": lambda: (1, 2),
    "an object": object,
    "a type": lambda: int,
    "a function": lambda: decay,
    "0": lambda: 0,
    "-1": lambda: -1,
    "1": lambda: 1,
    "0.0": lambda: 0.0,
    "-1e-6": lambda: -1e-6,
    "1e-300": lambda: 1e-300,
    "1e300": lambda: 1e300,
    "10**400": lambda: 10**400,
    "NaN": lambda: NAN,
    "inf": lambda: INF,
    "a complex number": lambda: 1j,
    "True": lambda: True,
    "an array": lambda: np.ones(2),
    "an array of objects": lambda: np.array([None, "x"], dtype=object),
    "a tensor": lambda: torch.ones(2, dtype=DOUBLE),
    "an empty tensor": lambda: torch.ones(0, dtype=DOUBLE),
    "a meta tensor": lambda: META.clone(),
    "a meta matrix": lambda: torch.eye(2, device="meta", dtype=DOUBLE),
    "a sparse tensor": lambda: torch.eye(2, dtype=DOUBLE).to_sparse(),
    "a matrix": lambda: torch.eye(2, dtype=DOUBLE),
    "a matrix of zeros": lambda: torch.zeros(2, 2, dtype=DOUBLE),
    "a matrix with NaN": lambda: torch.full((2, 2), NAN, dtype=DOUBLE),
    "a large matrix": lambda: torch.eye(3, dtype=DOUBLE),
}
Y0S: dict[str, Callable[[], Any]] = {
    **{
        f"{dtype}": (lambda dtype=dtype: torch.ones(2, dtype=dtype))
        for dtype in (
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.bool,
            torch.complex64,
            torch.complex128,
        )
    },
    **{
        f"shape {shape}": (lambda shape=shape: torch.ones(shape, dtype=DOUBLE))
        for shape in ((), (0,), (1,), (2, 0), (1, 3), (2, 2, 2))
    },
    **{
        f"holds {value}": (lambda value=value: torch.tensor([1.0, value], dtype=DOUBLE))
        for value in (NAN, INF, -INF, 1e308, 1e-320, 0.0)
    },
    "requires a gradient": lambda: Y0.clone().requires_grad_(),
    "is no leaf": lambda: 2 * Y0.clone().requires_grad_(),
    "not contiguous": lambda: torch.ones(4, dtype=DOUBLE)[::2],
    "expanded": lambda: torch.ones(1, dtype=DOUBLE).expand(3),
    "a parameter": lambda: nn.Parameter(Y0.clone()),
    "a pair": lambda: (Y0, Y0[:1]),
    "a dict of tensors": lambda: {"a": Y0, "b": Y0[:1]},
    "mixed dtypes": lambda: (Y0, Y0.float()),
    "nested": lambda: (Y0, (Y0, Y0)),
    "a pair with None": lambda: (Y0, None),
    "a dict with numbers": lambda: {"a": Y0, 1: 2.0},
    "numbers": lambda: [1.0, 0.5],
}
TS: dict[str, Callable[[], Any]] = {
    **{
        f"{values}": (lambda values=values: torch.tensor(values, dtype=DOUBLE))
        for values in (
            [],
            [0.0],
            [1.0, 0.0],
            [0.0, 1.0, 0.5],
            [0.0, 0.0],
            [0.0, 1.0, 1.0],
            [0.0, NAN],
            [NAN, NAN],
            [0.0, INF],
            [-INF, 0.0],
            [0.0, 1e300],
            [-1e308, 1e308],
            [0.0, 1e-300],
            [1.0, 1.0 + 2**-52],
            [0.0, 5e-324],
            [1e16, 1e16 + 2],
        )
    },
    **{
        f"{dtype}": (lambda dtype=dtype: torch.tensor([0, 1], dtype=dtype))
        for dtype in (torch.float32, torch.float16, torch.int64, torch.bool, torch.complex64)
    },
    "a row": lambda: T[None],
    "numbers": lambda: [0.0, 1.0],
    "texts": lambda: ["0", "1"],
    "a range": lambda: range(3),
    "requires a gradient": lambda: T.clone().requires_grad_(),
    "many": lambda: torch.linspace(0, 1, 2000, dtype=DOUBLE),
}
FUNCS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a number": lambda: 1.0,
    "of one argument": lambda: lambda y: -y,
    "returns None": lambda: lambda t, y: None,
    "returns a number": lambda: lambda t, y: 1.0,
    "returns an array": lambda: lambda t, y: np.ones(2),
    "returns a pair": lambda: lambda t, y: (y, y),
    "returns a dict": lambda: lambda t, y: {"a": y},
    "returns another shape": lambda: lambda t, y: torch.ones(7, dtype=DOUBLE),
    "returns a column": lambda: lambda t, y: torch.ones(2, 1, dtype=DOUBLE),
    "returns another dtype": lambda: lambda t, y: torch.ones(2, dtype=torch.float16),
    "returns integers": lambda: lambda t, y: torch.ones(2, dtype=torch.int64),
    "returns complex numbers": lambda: lambda t, y: y * 1j,
    "returns NaN": lambda: lambda t, y: y * NAN,
    "returns a meta tensor": lambda: lambda t, y: META,
    "returns a sparse tensor": lambda: lambda t, y: torch.ones(2, dtype=DOUBLE).to_sparse(),
    "returns its input": lambda: lambda t, y: y,
    "returns a constant": lambda: lambda t, y: torch.ones(2, dtype=DOUBLE),
    "detaches": lambda: lambda t, y: -y.detach(),
    "changes its input": lambda: in_place,
    "raises": lambda: at_call(1, fail),
    "raises later": lambda: at_call(9, fail),
    "None later": lambda: midway(lambda y: None),
    "another shape later": lambda: midway(lambda y: y.reshape(-1)[:1]),
    "another dtype later": lambda: midway(lambda y: y.half()),
    "NaN later": lambda: midway(lambda y: y * NAN),
    "inf later": lambda: midway(lambda y: y * INF),
    "explodes": lambda: lambda t, y: (y * 10) ** 2,
    "is stiff": lambda: lambda t, y: -1e6 * (y - torch.cos(t)),
    "jumps": lambda: lambda t, y: torch.sign(torch.sin(100 * t)) + 0 * y,
    "random": lambda: lambda t, y: torch.randn_like(y),
    "solves": lambda: lambda t, y: -pb.odeint(decay, y, T, engine="embedded", method="Euler")[-1],
    "a module": lambda: Leaky(torch.ones(1, dtype=DOUBLE)),
    "a module with NaN": lambda: Leaky(torch.full((1,), NAN, dtype=DOUBLE)),
    "a module elsewhere": lambda: Leaky(META.clone()),
    "a module of single precision": lambda: Leaky(torch.ones(2)),
}
EXPRESSIONS = (
    "Tsit5", "DP5()", "DP5(", "DP5)", "DP5(1)", "DP5(1, 2, 3)", "DP5(x=1)", "DP5; exit()", "DP5 DP5", "exit()",
    "Base.exit()",
    "run(`true`)", "(" * 5000, "DP5(" * 40 + ")" * 40, "a" * 100_000, "dopri5", "euler", "Rodas5P(autodiff=nothing)",
    "AutoTsit5(DP5())", "RadauIIA5", "Rodas5P", "RK4", "Float64", "Int", "sin", "Main", "nothing", "1", "-1", "\x00",
    "Ω(1)", " ",
    "InterpolatingAdjoint", "BacksolveAdjoint", "BacksolveAdjoint(", "BacksolveAdjoint(checkpointing=2)", "auto",
    "InterpolatingAdjoint(autojacvec=1)", "GaussAdjoint", "GaussAdjoint(order=-1)", "TorchAdjoint",
    "ForwardDiffSensitivity",
)  # fmt: skip
NAMED = {text[:40]: (lambda text=text: text) for text in EXPRESSIONS}
STEP_OPTIONS = (
    "dt", "dtmin", "dtmax", "maxiters", "adaptive", "tstops", "norm", "controller", "isoutofdomain", "unstable_check",
    "step_size", "first_step", "max_num_steps",
)  # fmt: skip
PREDICATES = ("isoutofdomain", "unstable_check")  # in which a type raises an error of its own
ENDLESS = {("maxiters", "1e300"), ("max_num_steps", "1e300")}
OPTIONS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a list": lambda: [("dt", 0.1)],
    "unknown": lambda: {"max_iter": 10},
    "no name": lambda: {None: 1, 2: 3},
    "fixed steps": lambda: {"adaptive": False, "dt": 0.1, "maxiters": STEPS},
    "the longest steps": lambda: {"dt": 1e300, "maxiters": STEPS},
    "a raising test": lambda: {"isoutofdomain": lambda t, y: fail(), "maxiters": STEPS},
    **{
        f"{option}: {name}": (lambda option=option, value=value: {"maxiters": STEPS, option: value()})
        for option in STEP_OPTIONS
        for name, value in JUNK.items()
        if (option, name) not in ENDLESS and not (option in PREDICATES and name == "a type")
    },
}
TOLERANCES = {
    **JUNK,
    "1e-14": lambda: 1e-14,
    "tensors": lambda: (1e-6, torch.full((2,), 1e-6)),
    "by name": lambda: {"a": 1e-6, "b": 0.0},
    "one NaN": lambda: torch.tensor([1e-6, NAN]),
}
PARAMETERS: dict[str, Callable[[], Any]] = {
    **JUNK,
    "a parameter": lambda: [torch.ones(1, dtype=DOUBLE, requires_grad=True)],
    "one that is none": lambda: [None, torch.ones(1, dtype=DOUBLE)],
    "integers": lambda: [torch.ones(1, dtype=torch.int64)],
}
# What each argument may be beside what it is usually.
ARGUMENTS: dict[str, Mapping[str, Callable[[], Any]]] = {
    "func": FUNCS,
    "y0": {**JUNK, **Y0S},
    "t": {**JUNK, **TS},
    "rtol": TOLERANCES,
    "atol": TOLERANCES,
    "method": {**JUNK, **NAMED},
    "options": OPTIONS,
    "sensealg": {**JUNK, **NAMED},
    "adjoint_rtol": TOLERANCES,
    "adjoint_atol": TOLERANCES,
    "adjoint_method": {**JUNK, **NAMED},
    "adjoint_options": OPTIONS,
    "adjoint_params": PARAMETERS,
    "mass_matrix": JUNK,
    "jac_sparsity": JUNK,
    "lane": {**JUNK, "compiled": lambda: "compiled", "auto": lambda: "auto"},
    "isolation": {name: make for name, make in JUNK.items() if name != "None"},
}
OF_ENSEMBLES: dict[str, Mapping[str, Callable[[], Any]]] = {
    "params": {**JUNK, **Y0S},
    "executor": JUNK,
    "chunk_size": JUNK,
    "workers": JUNK,
}
TEXTS = ("method", "sensealg", "adjoint_method")


@dataclass(frozen=True)
class Call:
    """A call of ``function`` in which some arguments, named with what they are, are not as they should be."""

    function: str
    spoilt: tuple[tuple[str, str], ...]

    def run(self, engine: str) -> str:
        """``"solved"``, or the name of the error that was raised where it should.

        Raises:
            AssertionError: values or gradients are not finite.
            Exception: whatever should not have been raised.
        """
        arguments = self._arguments(engine)
        inputs = [one for name in ("y0", "t") for one in tensors(arguments[name]) if one.requires_grad]
        try:
            values = self._solve(arguments)
            _differentiate(values, inputs)
        except (pb.BridgeError, OfTheUserError) as error:
            return type(error).__name__
        for found in (*values, *(one.grad for one in inputs if one.grad is not None)):
            assert found.isfinite().all(), f"not finite: {found}"
        return "solved"

    def _arguments(self, engine: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "func": shrink, "y0": Y0.clone().requires_grad_(), "t": T, "rtol": 1e-5, "atol": 1e-7, "method": "DP5",
            "options": {"maxiters": STEPS}, "adjoint_options": {"maxiters": STEPS}, "lane": "callback",
            "engine": engine,
        }  # fmt: skip
        for name, value in self.spoilt:
            makers = {**ARGUMENTS, **OF_ENSEMBLES}[name]
            arguments[name] = makers[value]() if value in makers else value
        func = arguments["func"]
        if isinstance(func, FunctionType):  # made for a tensor, and given a dict, it fails by itself
            func = arguments["func"] = as_theirs(func)
        if arguments.get("params") is not None and callable(func):
            arguments["func"] = lambda t, y, p: func(t, y)
        return arguments

    def _solve(self, arguments: dict[str, Any]) -> list[Tensor]:
        others = dict(arguments)
        found = getattr(pb, self.function)(others.pop("func"), others.pop("y0"), others.pop("t"), **others)
        return tensors(found if self.function == "odeint" else found.y)


def _differentiate(values: list[Tensor], inputs: list[Tensor]) -> None:
    losses = [value.abs().sum().double() for value in values if value.requires_grad]
    for one in inputs:
        one.retain_grad()
    if losses:
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]


def tensors(values: Any) -> list[Tensor]:
    """Those that ``values`` is, or holds."""
    if isinstance(values, Tensor):
        return [values]
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else ()
    return [one for one in inner if isinstance(one, Tensor)]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Calls with one to three arguments that are not as they should be."""
    function = draw(st.sampled_from(["odeint", "odeint", "solve", "solve_ensemble"]))
    makers = {**ARGUMENTS, **OF_ENSEMBLES} if function == "solve_ensemble" else ARGUMENTS
    names = draw(st.lists(st.sampled_from(sorted(makers)), min_size=1, max_size=3, unique=True))
    spoilt = []
    for name in names:
        values = st.sampled_from(sorted(makers[name]))
        spoilt.append((name, draw(values | st.text(max_size=20) if name in TEXTS else values)))
    return Call(function, tuple(spoilt))
