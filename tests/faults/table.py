"""What can go wrong during a solve: how it is provoked, and what a user shall see of it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

import pyode_bridge as pb
from tests.problems import DOUBLE

Y0 = torch.ones(2, dtype=DOUBLE)
T = torch.tensor([0.0, 1.0], dtype=DOUBLE)
METHOD = "DP5"  # both engines have it
STIFF = {"julia": "Rodas5P", "embedded": "RadauIIA5"}


class Fault(NamedTuple):
    """A way to provoke it on an engine, the exception that is raised, and what its message matches.

    ``check`` takes a closer look at the exception.
    """

    provoke: Callable[[str], object]
    raises: type[BaseException] | tuple[type[BaseException], ...]
    match: str | None = None
    check: Callable[[Any], bool] = lambda error: True


class OfTheUserError(Exception):
    pass


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def at_call(number: int, act: Callable[[], object], func: Callable[[Tensor, Tensor], Tensor] = decay) -> Any:
    """Dynamics that act at one of their calls; the first one comes before any solver."""
    count = 0

    def dynamics(t: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == number:
            act()
        return func(t, y)

    return dynamics


class ActsBackwards(torch.autograd.Function):
    """The identity, whose backward pass acts at one of its calls."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, act: Callable[[], object]) -> Tensor:
        ctx.act = act
        return y.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        ctx.act()
        return grad, None


def fail() -> None:
    raise OfTheUserError("on purpose")


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def leave() -> None:
    raise SystemExit(7)


def exhaust() -> None:
    torch.empty(2**60)


def forward(func: Any, end: float = 1.0, **settings: Any) -> Callable[[str], object]:
    settings = {"method": METHOD, "lane": "callback", **settings}  # compiled dynamics would be called but once
    return lambda engine: pb.odeint(func, Y0, end * T, engine=engine, **settings)


def backward(act: Callable[[], object], number: int = 1, **settings: Any) -> Callable[[str], object]:
    def provoke(engine: str) -> None:
        count = 0

        def act_at_call() -> None:
            nonlocal count
            count += 1
            if count == number:
                act()

        y0 = Y0.clone().requires_grad_()
        y = pb.odeint(
            lambda t, y: -ActsBackwards.apply(y, act_at_call),  # type: ignore[no-untyped-call]
            y0,
            T,
            engine=engine,
            method=METHOD,
            lane="callback",
            **settings,
        )
        y.sum().backward()

    return provoke


def in_condition(act: Callable[[], object], number: int) -> Callable[[str], object]:
    condition = at_call(number, act, lambda t, y: y[0] - 0.5)
    return lambda engine: pb.solve_events(decay, Y0, T, [pb.Event(condition)], engine=engine, method=METHOD)


def in_affect(act: Callable[[], object]) -> Callable[[str], object]:
    event = pb.Event(lambda t, y: y[0] - 0.5, at_call(1, act))
    return lambda engine: pb.solve_events(decay, Y0, T, [event], engine=engine, method=METHOD)


def nested(act: Callable[[], object]) -> Callable[[str], object]:
    """In a solve within a solve."""

    def provoke(engine: str) -> None:
        def outer(t: Tensor, y: Tensor) -> Tensor:
            return pb.odeint(inner, y, T, engine=engine, method=METHOD)[-1]

        inner = at_call(30, act)
        pb.odeint(outer, Y0, T, engine=engine, method=METHOD, lane="callback")

    return provoke


def recursive(engine: str) -> None:
    def func(t: Tensor, y: Tensor) -> Tensor:
        return pb.odeint(func, y, T, engine=engine, method=METHOD)[-1]

    pb.odeint(func, Y0, T, engine=engine, method=METHOD)


def after(time: float, value: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: torch.where(t > time, value, -y)


def at_once(value: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: y * value


def explode(t: Tensor, y: Tensor) -> Tensor:
    return y**2  # from y = 1: 1 / (1 - t)


class NotANumberBackwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return -y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * torch.nan


def nan_backwards(method: str) -> Callable[[str], None]:
    def provoke(engine: str) -> None:
        y0 = Y0.clone().requires_grad_()
        y = pb.odeint(lambda t, y: NotANumberBackwards.apply(y), y0, T, engine=engine, method=method)  # type: ignore[no-untyped-call]
        y.sum().backward()

    return provoke


def large_jacobian(engine: str) -> None:
    pb.odeint(decay, torch.ones(3_000_000, dtype=DOUBLE), T, method=STIFF[engine], engine=engine, lane="callback")


def ended(*retcodes: str, t: float | None = None) -> Callable[[pb.SolverError], bool]:
    """Whether a solve ended with one of these codes, and, where ``t`` is given, about there."""
    return lambda error: error.retcode in retcodes and (t is None or abs(error.t - t) < 0.1)


def traced(error: BaseException) -> bool:
    """Whether the traceback reaches what raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code is fail.__code__


UNSTABLE = ("Unstable", "DtNaN", "DtLessThanMin", "MaxIters")


def faults() -> dict[str, Fault]:
    """By name; made anew, since they count the calls that they have seen."""
    return {
        **{
            f"exception in f at call {number}": Fault(
                forward(at_call(number, fail)), OfTheUserError, "on purpose", traced
            )
            for number in (1, 2, 20)
        },
        "exception in f of an implicit solver": Fault(
            lambda engine: forward(at_call(20, fail), method=STIFF[engine])(engine),
            OfTheUserError,
            "on purpose",
            traced,
        ),
        **{
            f"exception in the backward of f at call {number}": Fault(
                backward(fail, number), OfTheUserError, "on purpose", traced
            )
            for number in (1, 12)
        },
        "exception in an event's condition": Fault(in_condition(fail, 10), OfTheUserError, "on purpose", traced),
        "exception in an event's affect": Fault(in_affect(fail), OfTheUserError, "on purpose", traced),
        "exception in a solve within a solve": Fault(nested(fail), OfTheUserError, "on purpose", traced),
        "interrupt in forward": Fault(forward(at_call(20, interrupt), 1e4), KeyboardInterrupt),
        "interrupt in backward": Fault(backward(interrupt, 3), KeyboardInterrupt),
        "interrupt in an event's condition": Fault(in_condition(interrupt, 10), KeyboardInterrupt),
        "interrupt in a solve within a solve": Fault(nested(interrupt), KeyboardInterrupt),
        "exit in f": Fault(forward(at_call(20, leave)), SystemExit, "7"),
        "NaN at the start": Fault(forward(at_once(float("nan"))), pb.InputError, "holds 2 NaN or Inf"),
        "Inf at the start": Fault(forward(at_once(float("inf"))), pb.InputError, "holds 2 NaN or Inf"),
        "NaN midway": Fault(forward(after(0.5, torch.nan)), pb.SolverError, "stopped", ended(*UNSTABLE, t=0.5)),
        "Inf midway": Fault(forward(after(0.5, torch.inf)), pb.SolverError, "stopped", ended(*UNSTABLE, t=0.5)),
        "NaN midway in an implicit solver": Fault(
            lambda engine: forward(after(0.5, torch.nan), method=STIFF[engine])(engine),
            pb.SolverError,
            "stopped",
            ended(*UNSTABLE, "ConvergenceFailure", t=0.5),
        ),
        "NaN in the backward of f": Fault(nan_backwards(METHOD), pb.SolverError, "backward solve", ended(*UNSTABLE)),
        "NaN in the backward of fixed steps": Fault(
            nan_backwards("rk4"), pb.SolverError, "backward solve", ended(*UNSTABLE)
        ),
        "too few steps allowed": Fault(
            forward(lambda t, y: -50 * y, 100, options={"maxiters": 20}), pb.SolverError, "MaxIters", ended("MaxIters")
        ),
        "too few steps allowed backwards": Fault(
            backward(lambda: None, adjoint_options={"maxiters": 1}), pb.SolverError, "backward solve", ended("MaxIters")
        ),
        "steps too small": Fault(
            forward(explode, 2, options={"dtmin": 1e-4}),
            pb.SolverError,
            "stopped",
            ended("DtLessThanMin", "Unstable", t=1),
        ),
        "out of memory in f": Fault(forward(at_call(20, exhaust)), RuntimeError, "alloc"),
        "out of memory for a Jacobian": Fault(large_jacobian, (MemoryError, RuntimeError), "memory"),
        "wrong shape midway": Fault(
            forward(lambda t, y: -y if t < 0.5 else -y[:1]), pb.InputError, r"returned.*shape \(1,\)"
        ),
        "dynamics that solve themselves": Fault(recursive, RecursionError),
    }
