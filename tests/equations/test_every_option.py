"""Every option on every kind of solve: it has its effect, which is looked for, or it is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.problem.options import StepOptions
from tests.problems import DOUBLE

T = torch.tensor([0.0, 1.0, 2.0], dtype=DOUBLE)
STOP = 0.7321
Options = dict[str, Any]


class Counted:
    """A function of Python's, with how often it was called; one that counts is not translated."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


def rest(t: Tensor, y: Tensor) -> Tensor:
    """Of 40 components one moves fast, so that a norm makes a difference."""
    return torch.cat([-8 * (y[:1] - torch.sin(5 * t)), -0.01 * y[1:]])


Y0 = torch.linspace(0.5, 1.0, 40, dtype=DOUBLE)
PAIR = Y0[:20], Y0[20:]


def solved(func: Any, y0: Any = Y0, **arguments: Any) -> Callable[[Options], int]:
    def work(options: Options) -> int:
        with torch.no_grad():
            return pb.solve(func, y0, T, options=options, **arguments).stats.nfe

    return work


def counted(solve: Callable[[Counted, Options], Any], function: Callable[..., Any]) -> Callable[[Options], int]:
    """Work by the number of calls of a function of Python's."""

    def work(options: Options) -> int:
        one = Counted(function)
        with torch.no_grad():
            solve(one, options)
        return one.calls

    return work


def spring(t: Tensor, q: Tensor, v: Tensor) -> Tensor:
    return -30 * q - 0 * v


@dataclass(frozen=True)
class Kind:
    """A way to solve: how much work it is with some options; ``base`` are those that it cannot do without."""

    work: Callable[[Options], int]
    base: tuple[tuple[str, Any], ...] = ()
    engine: str = "julia"
    package: str | None = None

    @property
    def is_fixed(self) -> bool:
        return bool(self.base)


def dae(residual: Counted, options: Options) -> Any:
    return pb.daeint(residual, Y0, T, options=options, engine="julia")


def sde(drift: Counted, options: Options, method: str = "SOSRI") -> Any:
    return pb.sdeint(drift, lambda t, y: 0.1 * y, Y0, T, seed=1, options=options, method=method)


def many(options: Options) -> int:
    y0s = torch.stack([Y0, 2 * Y0])
    with torch.no_grad():
        return pb.solve_ensemble(rest, y0s, T, method="Tsit5", engine="julia", options=options).stats.nfe


def until(func: Counted, options: Options) -> Any:
    event = pb.Event(lambda t, y: y[0] - 100.0)
    return pb.solve_events(func, Y0, T, [event], method="Tsit5", engine="julia", options=options)


STEP = (("dt", 0.02),)
JULIA: dict[str, Any] = {"engine": "julia"}
EMBEDDED: dict[str, Any] = {"engine": "embedded"}
STIFF = pb.Split(lambda t, y: -8 * y, lambda t, y: rest(t, y) + 8 * y)
KINDS = {
    "compiled": Kind(solved(rest, method="Tsit5", lane="compiled", **JULIA)),
    "compiled, fixed steps": Kind(solved(rest, method="Euler", lane="compiled", **JULIA), STEP),
    "callback": Kind(solved(rest, method="Rodas5P", lane="callback", **JULIA)),
    "multistep": Kind(solved(rest, method="FBDF", **JULIA)),
    "process": Kind(solved(rest, method="Tsit5", isolation="process", **JULIA)),
    "second order": Kind(solved(pb.SecondOrder(spring), PAIR, method="DPRKN6", **JULIA)),
    "second order, fixed steps": Kind(solved(pb.SecondOrder(spring), PAIR, method="KahanLi8", **JULIA), STEP),
    "partitioned": Kind(
        solved(pb.Partitioned(lambda t, q, p: p, lambda t, q, p: -30 * q), PAIR, method="McAte5", **JULIA), STEP
    ),
    "split": Kind(solved(STIFF, method="KenCarp4", **JULIA)),
    "semilinear": Kind(
        solved(pb.Split(-8 * torch.eye(40, dtype=DOUBLE), STIFF.explicit), method="ETDRK4", **JULIA), STEP
    ),
    "quasilinear": Kind(
        solved(pb.Quasilinear(lambda t, y: -torch.diag(1 + torch.sin(t) * Y0)), method="MagnusGL6", **JULIA), STEP
    ),
    "stochastic": Kind(counted(sde, rest), package="StochasticDiffEq"),
    "stochastic, fixed steps": Kind(
        counted(lambda f, options: sde(f, options, "EM"), rest), STEP, package="StochasticDiffEq"
    ),
    "delayed": Kind(
        counted(
            lambda f, options: pb.ddeint(f, Y0, T, lags=[0.5], method="Tsit5", options=options),
            lambda t, y, past: rest(t, y) - 0.1 * past[0],
        ),
        package="DelayDiffEq",
    ),
    "residual": Kind(counted(dae, lambda t, y, dy: dy - rest(t, y))),
    "steady": Kind(
        counted(
            lambda f, options: pb.steady_state(f, Y0, options=options, lane="callback", engine="julia"),
            lambda t, y: torch.cat([2 - y[:1] ** 3 + 9 * torch.exp(-99 * (t - 1) ** 2), -0.5 * y[1:]]),
        )
    ),
    "events": Kind(counted(until, rest)),
    "ensemble": Kind(many),
    "embedded": Kind(solved(rest, method="DP5", **EMBEDDED), engine="embedded"),
    "embedded, fixed steps": Kind(solved(rest, method="RK4", **EMBEDDED), (*STEP, ("adaptive", False)), "embedded"),
    "scipy": Kind(solved(rest, method="RadauIIA5", **EMBEDDED), engine="embedded"),
    "sundials": Kind(solved(rest, method="CVODE_BDF", **EMBEDDED), engine="embedded"),
}

never = Counted(lambda t, y: False)
late = Counted(lambda t, y: bool(t > 0.5))
VALUES: dict[str, Any] = {
    "dt": 0.003,
    "dtmin": 0.25,
    "dtmax": 0.004,
    "maxiters": 2,
    "tstops": [STOP, STOP + 0.01, STOP + 0.02],
    "norm": "max",
    "controller": "PIDController(0.3, -0.1, 0.0)",
    "isoutofdomain": never,
    "unstable_check": late,
    "force_dtmin": True,
    "d_discontinuities": [STOP, STOP + 0.01, STOP + 0.02],
    "gamma": 0.5,
    "qmin": 0.9,
    "qmax": 1.1,
    "grid_constructor": lambda func, y0, t: t,
    "perturb": True,
    "interp": "cubic",
    "max_order": 5,
    "max_iters": 7,
    "scipy_solver": "RK45",
}
WITH: dict[str, Options] = {"force_dtmin": {"dtmin": 0.25}}  # what an option says nothing without
UNTOLD = "Default"  # DelayDiffEq's return code of whatever ends a solve early
ENDS = {
    "dtmin": ("DtLessThanMin", "MaxIters", UNTOLD),
    "maxiters": ("MaxIters", UNTOLD),
    "unstable_check": ("Unstable", UNTOLD),
}


def test_the_table_has_every_option() -> None:
    assert {*VALUES, "adaptive"} == set(StepOptions.__dataclass_fields__)


def outcome(kind: Kind, options: Options) -> str | int:
    """The work, or how it ended, or why it was refused."""
    try:
        return kind.work({**dict(kind.base), **options})
    except pb.SolverError as error:
        return error.retcode
    except (pb.InputError, pb.UnsupportedError) as refusal:
        return str(refusal)


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if kind.engine == "embedded" else (pytest.mark.julia, pytest.mark.slow))
        for name, kind in KINDS.items()
    ]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    found = KINDS[request.param]
    if request.param == "sundials":
        pytest.importorskip("sksundae")
    if found.package is not None:
        from juliacall import Main

        if not Main.seval(f'Base.find_package("{found.package}") !== nothing'):
            pytest.skip(f"{found.package} is not installed")
    return found


def test_each_step_option_has_its_effect_or_is_refused(kind: Kind) -> None:
    plain = outcome(kind, {})
    assert isinstance(plain, int), plain
    for option, value in VALUES.items():
        never.calls = late.calls = 0
        found = outcome(kind, {**WITH.get(option, {}), option: value})
        if isinstance(found, int):
            assert found != plain or never.calls, f"{option} is dropped"
            assert option not in ("maxiters", "unstable_check"), f"{option} is dropped"
            assert option != "dtmax" or found > 2 / value, f"{option}: {found} evaluations"
        else:
            names = (option, *WITH.get(option, {}))
            assert found in ENDS.get(option, ()) or any(name in found for name in names), f"{option}: {found}"


def test_adaptive_chooses_the_steps_or_is_refused(kind: Kind) -> None:
    if kind.is_fixed:
        assert "adaptive" in str(outcome(kind, {"adaptive": True}))
        return
    counts = [outcome(kind, {"adaptive": False, "dt": dt}) for dt in (0.02, 0.01)]
    if isinstance(counts[0], int) and isinstance(counts[1], int):
        assert 1.5 < counts[1] / counts[0] < 2.5
    else:
        assert all("adaptive" in str(count) or "fixed steps" in str(count) for count in counts)
