"""Bad input and failing solves: the right exception, before any solver runs where that is possible, and its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

Y0 = torch.ones(2, dtype=DOUBLE)
T = torch.tensor([0.0, 1.0], dtype=DOUBLE)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def nan(t: Tensor, y: Tensor) -> Tensor:
    return y * float("nan")


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "t of length 0": ({"t": T[:0]}, "at least one time"),
    "t in two dimensions": ({"t": T[None]}, r"shape \(1, 2\)"),
    "t not monotone": ({"t": torch.tensor([0.0, 2.0, 1.0])}, r"t\[1\] = 2 is followed by t\[2\] = 1"),
    "t repeated": ({"t": torch.tensor([0.0, 0.0, 1.0])}, "strictly increasing"),
    "t with NaN": ({"t": torch.tensor([0.0, float("nan")])}, "NaN or Inf"),
    "t no tensor": ({"t": "now"}, "expected a 1-D tensor of times"),
    "y0 with NaN": ({"y0": torch.tensor([1.0, float("nan")])}, "y0 holds 1 NaN or Inf"),
    "y0 of integers": ({"y0": torch.ones(2, dtype=torch.int64)}, "torch.int64; expected one of torch.float16"),
    "y0 empty": ({"y0": torch.ones(0)}, "no elements"),
    "y0 an empty tuple": ({"y0": ()}, "y0 is empty"),
    "y0 no tensor": ({"y0": [1.0, 2.0]}, r"y0\[0\] is a float; expected a tensor"),
    "y0 real and complex": ({"y0": (torch.ones(1), torch.ones(1) + 0j)}, "all real or all complex.*Convert"),
    "rtol negative": ({"rtol": -1e-3}, "rtol is -0.001"),
    "atol of a wrong shape": ({"atol": torch.ones(3)}, r"broadcasts to shape \(2,\)"),
    "rtol a word": ({"rtol": "small"}, "rtol is 'small'"),
    "adjoint_rtol negative": ({"adjoint_rtol": -1.0}, "adjoint_rtol is -1.0"),
    "force_dtmin alone": ({"options": {"force_dtmin": True}}, "says nothing without dtmin"),
    "negative option": ({"options": {"dtmax": -1}}, "expected a positive number"),
    "method no name": ({"method": 5}, "expected a solver's name"),
    "method empty": ({"method": " "}, "empty string"),
    "engine unknown": ({"engine": "matlab"}, "expected one of auto, julia, embedded"),
    "dynamics return a wrong shape": ({"func": lambda t, y: y[:1]}, r"shape \(1,\).*expected shape \(2,\)"),
    "dynamics return complex numbers": ({"func": lambda t, y: y * 1j}, "torch.complex128.*expected.*torch.float64"),
    "dynamics return truths": ({"func": lambda t, y: y > 0}, "torch.bool.*expected.*torch.float64"),
    "dynamics return a transposed shape": (
        {"func": lambda t, y: y.mT, "y0": torch.ones(2, 3)},
        r"shape \(3, 2\).*expected shape \(2, 3\)",
    ),
    "dynamics return what would broadcast": ({"func": lambda t, y: y.sum()}, r"shape \(\).*expected shape \(2,\)"),
    "dynamics return a wrong device": ({"func": lambda t, y: y.to("meta")}, "on meta"),
    "dynamics return no tensor": ({"func": lambda t, y: 1.0}, "returned a float; expected a tensor"),
    "dynamics return NaN at once": ({"func": nan}, "holds 2 NaN or Inf"),
    "dynamics cannot be called": ({"func": "decay"}, "func is a str; expected a function of t and y"),
    "options no dict": ({"options": [0.1]}, "options is a list; expected a dict"),
    "adjoint_params one tensor": ({"adjoint_params": Y0}, "adjoint_params is a Tensor; expected several tensors"),
    "adjoint_params a number": ({"adjoint_params": 1}, "adjoint_params is a int"),
    "adjoint_params no tensors": ({"adjoint_params": ["weight"]}, r"adjoint_params\[0\] is a str"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_input_is_refused_before_any_solver_runs(engine: str, case: str) -> None:
    changes, message = UNUSABLE[case]
    arguments = {"func": decay, "y0": Y0, "t": T, "engine": engine, **changes}
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(arguments.pop("func"), arguments.pop("y0"), arguments.pop("t"), **arguments)


def test_a_module_on_another_device_is_refused(engine: str) -> None:
    module = nn.Linear(2, 2, device="meta")
    with pytest.raises(pb.InputError, match=r"func\.weight is on meta, but y0 is on cpu"):
        pb.odeint(module, torch.ones(2), torch.tensor([0.0, 1.0]), engine=engine)


NOT_FUNCTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "NeuralODE": (lambda: pb.NeuralODE(None), "func is a NoneType; expected a function of t and y"),
    "SecondOrder": (lambda: pb.SecondOrder(1.0), "acceleration is a float; expected a function of t, q and v"),
    "Partitioned": (lambda: pb.Partitioned(decay, None), "force is a NoneType"),
    "Split": (lambda: pb.Split(None, decay), "implicit is a NoneType"),
    "Quasilinear": (lambda: pb.Quasilinear(torch.eye(2)), "matrix is a Tensor; expected a function"),
    "solve_ensemble": (lambda: pb.solve_ensemble(None, Y0[:, None], T), "func is a NoneType"),
    "odeint_event": (lambda: pb.odeint_event(decay, Y0, T[0], event_fn=None), "event_fn is a NoneType"),
    "sdeint": (lambda: pb.sdeint(decay, 0.1, Y0, T), "diffusion is a float"),
    "ddeint": (lambda: pb.ddeint("f", Y0, T, lags=[1.0]), "func is a str; expected a function of t, y and the past"),
    "daeint": (lambda: pb.daeint(None, Y0, T), "residual is a NoneType; expected a function of t, y and dy"),
}


@pytest.mark.parametrize("name", NOT_FUNCTIONS)
def test_what_cannot_be_called_is_refused_by_its_name(name: str) -> None:
    make, message = NOT_FUNCTIONS[name]
    with pytest.raises(pb.InputError, match=message):
        make()


def test_an_ensemble_of_no_tensors_is_refused() -> None:
    with pytest.raises(pb.InputError, match=r"y0\[0\] is a float; expected a tensor"):
        pb.solve_ensemble(decay, [1.0, 2.0], T)


def test_a_tuple_state_with_wrong_output_says_where(engine: str) -> None:
    with pytest.raises(pb.InputError, match="at 1 shape"):
        pb.odeint(lambda t, y: (y[0], y[0]), (Y0, Y0[:1]), T, engine=engine)


def test_a_solver_the_embedded_engine_lacks_names_the_way_to_julia() -> None:
    with pytest.raises(pb.UnsupportedError, match=r"'Rodas5P'.*pyode_bridge install"):
        pb.odeint(decay, Y0, T, method="Rodas5P", engine="embedded")


@pytest.mark.parametrize(("method", "near"), [("RadauIA5", "RadauIIA5"), ("dopri6", "dopri5"), ("Eular", "Euler")])
def test_a_misspelt_solver_gets_a_suggestion_from_the_embedded_engine(method: str, near: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=f"Did you mean.*{near}"):
        pb.odeint(decay, Y0, T, method=method, engine="embedded")


def test_the_embedded_engine_has_two_adjoints() -> None:
    with pytest.raises(pb.UnsupportedError, match=r"GaussAdjoint.*paper's adjoint.*'TorchAdjoint'"):
        pb.odeint(decay, Y0, T, sensealg="GaussAdjoint", engine="embedded")
    with pytest.raises(pb.UnsupportedError, match=r"written in torch, DP5.*RadauIIA5 is none of them"):
        pb.odeint(decay, Y0, T, method="RadauIIA5", sensealg="TorchAdjoint", engine="embedded")


def test_fixed_steps_are_not_silently_replaced_by_adaptive_ones() -> None:
    with pytest.raises(pb.UnsupportedError, match="RK4 with fixed steps only"):
        pb.odeint(decay, Y0, T, method="RK4", engine="embedded")
    with pytest.raises(pb.UnsupportedError, match="DP5 with adaptive steps only"):
        pb.odeint(decay, Y0, T, method="DP5", engine="embedded", options={"adaptive": False})


def explode(t: Tensor, y: Tensor) -> Tensor:
    return y**2  # from y = 1 the solution is 1 / (1 - t), which does not reach t = 1


@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_a_diverging_solve_raises_with_retcode_and_time(engine: str, backwards: bool) -> None:
    sign = -1.0 if backwards else 1.0
    t = sign * torch.tensor([0.0, 0.5, 2.0], dtype=DOUBLE)
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(lambda t, y: sign * explode(t, y), torch.ones(1, dtype=DOUBLE), t, method="DP5", engine=engine)
    assert caught.value.retcode in {"MaxIters", "DtLessThanMin", "Unstable"}
    assert sign * caught.value.t == pytest.approx(1.0, abs=0.01)
    assert caught.value.retcode in str(caught.value)
    assert "DP5" in str(caught.value)


@pytest.mark.parametrize("method", ["RadauIIA5", "QNDF", "lsoda", "CVODE_BDF", "DP8", "euler"])
def test_every_kind_of_embedded_solver_reports_divergence(method: str) -> None:
    t = torch.linspace(0, 8, 17, dtype=DOUBLE)
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(explode, torch.ones(1, dtype=DOUBLE), t, method=method, engine="embedded", options={"maxiters": 2000})
    assert 0.9 < caught.value.t <= 8


def test_too_few_steps_allowed(engine: str) -> None:
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(lambda t, y: -50 * y, Y0, 100 * T, method="DP5", engine=engine, options={"maxiters": 20})
    assert caught.value.retcode == "MaxIters"
    assert 0 < caught.value.t < 100


def test_nan_in_the_middle_of_a_solve_is_never_returned(engine: str) -> None:
    def breaks(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t > 0.5, torch.nan, -y)

    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(breaks, Y0, T, method="DP5", engine=engine)
    assert caught.value.t <= 0.5 + 1e-6


class DynamicsError(Exception):
    pass


def raise_after(calls: int) -> Any:
    count = 0

    def dynamics(t: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count > calls:
            raise DynamicsError("in the dynamics")
        return -y

    return dynamics


def test_an_exception_in_the_dynamics_comes_back_as_itself(engine: str) -> None:
    with pytest.raises(DynamicsError, match="in the dynamics") as caught:
        pb.odeint(raise_after(7), Y0, T, engine=engine)
    assert any(entry.name == "dynamics" for entry in caught.traceback)
    torch.testing.assert_close(  # and the next solve is right
        pb.odeint(decay, Y0, T, engine=engine)[-1], torch.exp(-T[1]) * Y0, rtol=1e-6, atol=1e-8
    )


def test_an_exception_in_the_backward_pass_comes_back_as_itself(engine: str) -> None:
    broken = False

    def dynamics(t: Tensor, y: Tensor) -> Tensor:
        if broken:
            raise DynamicsError("in the backward pass")
        return -y

    y0 = Y0.clone().requires_grad_()
    settings = {"lane": "callback", "sensealg": "BacksolveAdjoint"}  # compiled or recorded, they run no more
    y = pb.odeint(dynamics, y0, T, engine=engine, **settings)
    broken = True
    with pytest.raises(DynamicsError, match="in the backward pass"):
        y.sum().backward()


def test_keyboard_interrupt_stops_a_solve(engine: str) -> None:
    import signal

    count = 0

    def dynamics(t: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == 20:
            signal.raise_signal(signal.SIGINT)
        return -y

    with pytest.raises(KeyboardInterrupt):
        pb.odeint(dynamics, Y0, 1000 * T, method="bosh3", engine=engine)
    assert count < 100
