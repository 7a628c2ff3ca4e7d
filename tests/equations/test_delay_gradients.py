"""Gradients of delay equations: closed forms by the method of steps, finite differences, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

pytestmark = pytest.mark.julia
LANES = pytest.mark.parametrize("lane", ["compiled", "callback"])
TIGHT = {"rtol": 1e-10, "atol": 1e-12, "engine": "julia"}


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=DOUBLE, requires_grad=True)


def close(found: Tensor, expected: float, error: float = 1e-7) -> None:
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=found.dtype).expand_as(found), rtol=error, atol=error
    )


@LANES
@pytest.mark.parametrize("method", [None, "Tsit5", "Vern7", "Rodas5P", "MethodOfSteps(BS3(), constrained=true)"])
def test_two_intervals_in_closed_form(method: str | None, lane: str) -> None:
    """``y' = -a y(t - lag)``, ``y = k`` before 0: up to ``lag`` it is ``y0 - a k t``, then, with ``s = t - lag``,
    ``y0 - a k lag - a (y0 s - a k s^2 / 2)``."""
    a, k, lag, y0 = map(number, (0.7, 0.4, 1.0, 1.2))
    t = torch.tensor([0.0, 0.3, 1.6], dtype=DOUBLE, requires_grad=True)
    early, late = pb.ddeint(
        lambda t, y, past: -a * past[0], y0, t, lags=[lag], history=lambda t: k, method=method, lane=lane, **TIGHT
    )[1:]
    of_early = torch.autograd.grad(early, [a, k, lag, y0, t], retain_graph=True)
    of_late = torch.autograd.grad(late, [a, k, lag, y0, t])
    for found, expected in zip(of_early[:4], (-0.4 * 0.3, -0.7 * 0.3, 0.0, 1.0), strict=True):
        close(found, expected)
    s = 0.6
    expected = (
        -0.4 * 1.0 - (1.2 * s - 0.7 * 0.4 * s**2 / 2) + 0.7 * 0.4 * s**2 / 2,
        -0.7 * 1.0 + 0.7**2 * s**2 / 2,
        -0.7 * 0.4 + 0.7 * (1.2 - 0.7 * 0.4 * s),
        1 - 0.7 * s,
    )
    for found, value in zip(of_late[:4], expected, strict=True):
        close(found, value)
    fall = 0.7 * (1.2 - 0.7 * 0.4 * s)  # and as much later, if all but the history begins later
    torch.testing.assert_close(of_late[4], torch.tensor([fall, 0.0, -fall], dtype=DOUBLE), rtol=1e-7, atol=1e-7)


@LANES
def test_without_a_history_the_past_is_the_initial_state(lane: str) -> None:
    """The equation is linear, and so is what comes of ``y0``."""
    y0 = number(1.3)
    y = pb.ddeint(
        lambda t, y, past: -past[0], y0, torch.tensor([0.0, 2.5], dtype=DOUBLE), lags=[1.0], lane=lane, **TIGHT
    )
    (grad,) = torch.autograd.grad(y[-1], y0)
    close(grad, y[-1].item() / 1.3)


def losses(history: bool, **settings: object) -> Callable[..., Tensor]:
    def loss(lags: Tensor, a: Tensor, b: Tensor, y0: Tensor, t: Tensor) -> Tensor:
        def func(t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
            return torch.stack([b * torch.sin(y[1]) - a * past[0][0], 0.1 * t - y[1] * past[1][0]])

        def before(t: Tensor) -> Tensor:
            return torch.stack([torch.cos(b * t), 0.3 + a * t])

        y = pb.ddeint(func, y0, t, lags=lags, history=before if history else None, **settings)
        assert isinstance(y, Tensor)
        return (torch.linspace(0.3, 1.2, y.numel(), dtype=y.dtype) * y.flatten() ** 2).sum()

    return loss


def inputs(dtype: torch.dtype = DOUBLE) -> list[Tensor]:
    values = [[1.0, 0.37], 0.7, 1.3, [1.2, 0.5], [0.0, 0.5, 1.1, 2.0, 3.3]]
    return [torch.tensor(value, dtype=dtype, requires_grad=True) for value in values]


@LANES
@pytest.mark.parametrize("history", [True, False], ids=["history", "no history"])
def test_finite_differences_of_two_lags(history: bool, lane: str) -> None:
    loss = losses(history, lane=lane, method="Vern7", rtol=1e-12, atol=1e-12, engine="julia")
    torch.autograd.gradcheck(loss, inputs(), eps=1e-3, atol=1e-4, rtol=1e-4)


def test_lanes_and_solvers_agree() -> None:
    reference = torch.autograd.grad(losses(True, method="Vern7", lane="compiled", **TIGHT)(*(given := inputs())), given)
    for settings in (
        {"method": "Rodas5P"},
        {"lane": "callback", "method": "Tsit5"},
        {"adjoint_method": "Vern9"},
        {"adjoint_method": "Rodas5P", "adjoint_rtol": 1e-9},
    ):
        found = torch.autograd.grad(losses(True, **{**TIGHT, **settings})(*(given := inputs())), given)
        for one, other in zip(found, reference, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_a_backward_solver_that_is_poor_between_its_steps_is_warned_of() -> None:
    with pytest.warns(
        pb.GradientWarning, match="DelayAdjoint with a backward solve by FBDF.*order.*adjoint_method='Vern7'"
    ):
        losses(True, **TIGHT, adjoint_method="FBDF")(*inputs())


def test_a_backward_solver_that_is_wrong_between_its_steps_is_refused() -> None:
    with pytest.raises(pb.UnsupportedError, match="NordsieckBDF gives wrong values between its steps"):
        losses(True, **TIGHT, adjoint_method="NordsieckBDF")(*inputs())


def test_single_precision() -> None:
    reference = torch.autograd.grad(losses(True, **TIGHT)(*(given := inputs())), given)
    found = torch.autograd.grad(losses(True, engine="julia")(*(given := inputs(torch.float32))), given)
    for one, other in zip(found, reference, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3)


def test_what_is_told_of_it() -> None:
    y0 = number(1.0)
    solution = pb.solve_dde(lambda t, y, past: -past[0], y0, torch.tensor([0.0, 2.0]), lags=[1.0], engine="julia")
    solution.y.sum().backward()
    assert solution.sensealg == "DelayAdjoint"
    assert "delay" in solution.sensealg_reason
    assert solution.adjoint_stats is not None
    assert solution.adjoint_stats.nvjp > 0


class Delayed(nn.Module):
    """A network of the state and of one before."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()

    def forward(self, t: Tensor, y: Tensor, past: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.layers(torch.cat([y, past[0]], -1))
        return out


@LANES
def test_a_network_over_a_batch_and_many_short_lags(lane: str) -> None:
    """Against the same equation of an ordinary solver's: as the lag vanishes, so does what tells them apart."""
    net, y0 = Delayed(), torch.tensor([[1.0, 0.0], [0.5, -0.5], [0.1, 0.2]], dtype=DOUBLE, requires_grad=True)
    t, lag = torch.tensor([0.0, 1.0], dtype=DOUBLE), torch.tensor([0.02], dtype=DOUBLE)

    def grads(y: object) -> list[Tensor]:
        assert isinstance(y, Tensor)
        return list(torch.autograd.grad(y[-1].square().sum(), [y0, *net.parameters()]))

    delayed = grads(pb.ddeint(net, y0, t, lags=lag, method="Tsit5", lane=lane, engine="julia"))
    halved = grads(pb.ddeint(net, y0, t, lags=lag / 2, method="Tsit5", lane=lane, engine="julia"))
    ordinary = grads(pb.odeint(lambda t, y: net(t, y, (y,)), y0, t, method="Tsit5", engine="julia"))
    for one, two, none in zip(delayed, halved, ordinary, strict=True):
        torch.testing.assert_close(2 * two - one, none, rtol=2e-3, atol=2e-4)  # what is linear in the lag taken out


def test_a_tuple_state_and_lags_in_a_list() -> None:
    tau = number(0.5)
    y0 = (number(1.0), torch.zeros(2, dtype=DOUBLE, requires_grad=True))

    def func(t: Tensor, y: tuple[Tensor, Tensor], past: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
        return -past[0][0], past[1][0].expand(2) - y[1]

    def last(tau: Tensor, first: Tensor, second: Tensor) -> Tensor:
        y = pb.ddeint(
            func, (first, second), torch.tensor([0.0, 1.7], dtype=DOUBLE), lags=[1.0, tau], method="Vern7", **TIGHT
        )
        assert isinstance(y, tuple)
        return y[0][-1] + 2 * y[1][-1].sum()

    torch.autograd.gradcheck(last, (tau, *y0), eps=1e-4, atol=1e-5, rtol=1e-5)


def test_a_complex_state() -> None:
    """``z' = -i w z(t - lag)`` up to the lag is ``z0 - i w z0 t``."""
    w = number(0.8)
    z0 = torch.tensor([1.0 + 0.5j], dtype=torch.complex128, requires_grad=True)
    z = pb.ddeint(lambda t, z, past: -1j * w * past[0], z0, torch.tensor([0.0, 0.7], dtype=DOUBLE), lags=[1.0], **TIGHT)
    assert isinstance(z, Tensor)
    grad_w, grad_z = torch.autograd.grad(z[-1].real.sum(), [w, z0])
    close(grad_w, 0.5 * 0.7)
    torch.testing.assert_close(grad_z, torch.tensor([1.0 + 0.8 * 0.7j], dtype=torch.complex128))


def test_one_lag_may_be_used_by_the_dynamics_too() -> None:
    tau = torch.tensor([0.6], dtype=DOUBLE, requires_grad=True)

    def last(tau: Tensor) -> Tensor:
        y = pb.ddeint(
            lambda t, y, past: -past[0] * tau,
            torch.ones(1, dtype=DOUBLE),
            torch.tensor([0.0, 2.0], dtype=DOUBLE),
            lags=tau,
            method="Vern7",
            **TIGHT,
        )
        assert isinstance(y, Tensor)
        return y[-1].sum()

    torch.autograd.gradcheck(last, (tau,), eps=1e-4, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sensealg": "GaussAdjoint"}, "GaussAdjoint does not differentiate delay equations"),
        ({"sensealg": "DiscreteAdjoint"}, "DiscreteAdjoint does not differentiate delay equations"),
        ({"sensealg": "DelayAdjiont"}, "Did you mean DelayAdjoint"),
    ],
)
def test_other_sensitivity_algorithms_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(pb.BridgeError, match=message):
        pb.ddeint(
            lambda t, y, past: -past[0], number(1.0), torch.tensor([0.0, 1.0]), lags=[1.0], engine="julia", **settings
        )


def test_it_is_for_delays_alone() -> None:
    with pytest.raises(pb.UnsupportedError, match="DelayAdjoint differentiates delay equations alone"):
        pb.odeint(lambda t, y: -y, number(1.0), torch.tensor([0.0, 1.0]), sensealg="DelayAdjoint", engine="julia")
