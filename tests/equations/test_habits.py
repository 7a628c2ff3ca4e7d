"""What torchdiffeq's users write: dtypes, shapes, grad modes, wrappers; on every engine and lane, with its numbers."""

from __future__ import annotations

import functools
import itertools
import math
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import pyode_bridge as pb
from tests.conftest import ENGINES
from tests.problems import DOUBLE

Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
T = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE)
FINE = {"method": "dopri5", "rtol": 1e-9, "atol": 1e-10}
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(params=[*ENGINES, pytest.param("callback", marks=pytest.mark.julia)])
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """An engine, and of Julia's lanes the one that it chooses or that of Python's calls."""
    return {"engine": "julia", "lane": "callback"} if request.param == "callback" else {"engine": request.param}


class Net(nn.Module):
    """A network as dynamics."""

    def __init__(self, dtype: torch.dtype = DOUBLE) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y) * t.cos()


def lane_is(solution: pb.Solution, way: dict[str, str], compiled: bool = True) -> bool:
    return solution.lane == (
        "native" if way["engine"] == "embedded" else way.get("lane") or ("callback", "compiled")[compiled]
    )


def test_tensors_of_a_state_keep_their_dtypes(way: dict[str, str]) -> None:
    fine = torch.tensor([2.0], dtype=DOUBLE, requires_grad=True)
    coarse = torch.ones(2, 3, requires_grad=True)
    seen = set()

    def func(t: Tensor, y: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.add((t.dtype, y["fine"].dtype, y["coarse"].dtype))
        return {"fine": -2 * y["fine"], "coarse": -y["coarse"] * y["fine"].float()}

    solution = pb.solve(func, {"fine": fine, "coarse": coarse}, T, method="dopri5", rtol=1e-7, atol=1e-8, **way)
    y = solution.y
    assert lane_is(solution, way)
    assert seen == {(torch.float64, torch.float64, torch.float32)}
    assert (y["fine"].dtype, y["coarse"].dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(y["fine"][-1], fine * math.exp(-2), rtol=1e-6, atol=0)
    decay = math.exp(math.exp(-2) - 1)  # of ∫ 2 exp(-2 t) dt
    torch.testing.assert_close(y["coarse"][-1], coarse * decay, rtol=1e-6, atol=0)
    grads = torch.autograd.grad(y["coarse"][-1].sum(), (fine, coarse))
    torch.testing.assert_close(
        grads[0], torch.tensor([6 * decay * (math.exp(-2) - 1) / 2], dtype=DOUBLE), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(grads[1], torch.full((2, 3), decay), rtol=1e-6, atol=0)


def test_tolerances_suit_the_coarsest_tensor(engine: str) -> None:
    pair = Y0.half(), Y0
    with warnings.catch_warnings():
        warnings.simplefilter("error", pb.ToleranceWarning)
        steps = pb.solve(lambda t, y: (-y[0], -y[1]), pair, T, method="dopri5", engine=engine).stats.accepted
    assert steps < 20


def test_real_and_complex_tensors_are_not_mixed(engine: str) -> None:
    with pytest.raises(pb.InputError, match=r"y0\[1\] is torch.complex128.*all real or all complex"):
        pb.odeint(lambda t, y: y, (Y0, Y0 + 0j), T, engine=engine)


def test_parts_of_a_system_of_two_have_one_dtype() -> None:
    with pytest.raises(pb.InputError, match="of one shape and dtype"):
        pb.odeint(pb.SecondOrder(lambda t, q, v: -q), (Y0, Y0.float()), T, engine="embedded")


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_solved_in_single_precision(way: dict[str, str], dtype: torch.dtype) -> None:
    func, y0 = Net(dtype), Y0.to(dtype).requires_grad_()
    exact, start = Net(), y0.detach().double().requires_grad_()
    exact.load_state_dict(func.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = pb.solve(func, y0, T, method="dopri5", **way)
    assert lane_is(solution, way, compiled=False)
    assert solution.y.dtype == dtype
    assert solution.stats.nfe < 100
    wanted = torchdiffeq.odeint(exact, start, T, rtol=1e-9, atol=1e-9)
    close = functools.partial(torch.testing.assert_close, rtol=0.05, atol=8 * torch.finfo(dtype).eps)
    close(solution.y.double(), wanted)
    grads = torch.autograd.grad(solution.y[-1].sum(), (y0, *func.parameters()))
    assert {grad.dtype for grad in grads} == {dtype}
    truth = torch.autograd.grad(wanted[-1].sum(), (start, *exact.parameters()))
    for grad, true in zip(grads, truth, strict=True):
        close(grad.double(), true)


def test_a_state_of_half_precision_is_added_up_finely(way: dict[str, str]) -> None:
    y0 = torch.ones(2, dtype=torch.float16)
    options = {"adaptive": False, "dt": 1 / 4096}  # a step is less than the last digit of 1
    y = pb.odeint(lambda t, y: torch.ones_like(y), y0, T, method="RK4", options=options, **way)
    assert (y[-1] == 2).all()


def test_tolerances_that_half_precision_cannot_hold_are_warned_of() -> None:
    with pytest.warns(pb.ToleranceWarning, match=r"torch.float16 cannot hold"):
        pb.odeint(lambda t, y: -y, Y0.half(), T, method="dopri5", rtol=2e-5, atol=1e-5, engine="embedded")


def test_events_see_half_precision(engine: str) -> None:
    y0 = torch.ones(1, dtype=torch.float16, requires_grad=True)
    time, y = pb.odeint_event(
        lambda t, y: -y, y0, torch.tensor(0.0), event_fn=lambda t, y: y[0] - 0.5, method="dopri5", engine=engine
    )
    assert y.dtype == torch.float16
    assert time.item() == pytest.approx(math.log(2), abs=4e-3)
    assert torch.autograd.grad(time, y0)[0].item() == pytest.approx(1, abs=0.02)


def test_an_affect_may_return_another_precision(engine: str) -> None:
    events = [pb.Event(lambda t, y: t - 0.5, affect=lambda t, y: 2 * y.double().reshape(-1))]
    solution = pb.solve_events(lambda t, y: -y, torch.ones(2, 1), T.float(), events, method="dopri5", engine=engine)
    assert solution.y.dtype == torch.float32
    torch.testing.assert_close(solution.y[-1], torch.full((2, 1), 2 * math.exp(-1)), rtol=1e-5, atol=0)


def test_autocast_is_around_the_gradient_too(way: dict[str, str]) -> None:
    func, y0 = Net(torch.float32), Y0.float().requires_grad_()
    seen = []
    func.net[2].register_forward_hook(lambda module, given, value: seen.append(value.dtype))
    settings = {"method": "dopri5", "rtol": 1e-3, "atol": 1e-3}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        solution = pb.solve(func, y0, T, **settings, **way)
    grads = torch.autograd.grad(solution.y[-1].sum(), (y0, *func.parameters()))
    assert lane_is(solution, way, compiled=False)
    assert set(seen) == {torch.bfloat16}
    assert solution.y.dtype == torch.float32
    wanted = torchdiffeq.odeint(func, y0, T)
    torch.testing.assert_close(solution.y, wanted, rtol=0.02, atol=0.02)
    for grad, true in zip(grads, torch.autograd.grad(wanted[-1].sum(), (y0, *func.parameters())), strict=True):
        torch.testing.assert_close(grad, true, rtol=0.05, atol=0.02)


@pytest.mark.julia
def test_autocast_finds_no_translation_and_leaves_none() -> None:
    func = Net(torch.float32)

    def solved() -> pb.Solution:
        return pb.solve(func, Y0.float(), T, method="Tsit5", engine="julia")

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "torch.autocast is on" in solved().lane_reason
        with pytest.raises(pb.UnsupportedError, match=r"torch\.autocast is on"):
            pb.solve(func, Y0.float(), T, method="Tsit5", engine="julia", lane="compiled")
    first = solved()
    assert first.lane == "compiled", first.lane_reason
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert solved().lane == "callback"
    assert solved().lane == "compiled"


@pytest.mark.parametrize(("of_state", "of_value"), list(itertools.permutations([torch.float32, torch.float64])))
def test_dynamics_may_return_another_precision(
    way: dict[str, str], of_state: torch.dtype, of_value: torch.dtype
) -> None:
    rate = torch.tensor(-1.0, dtype=of_value, requires_grad=True)
    y0 = Y0.to(of_state)
    solution = pb.solve(lambda t, y: rate * y.to(of_value), y0, T, rtol=1e-6, atol=1e-8, **way)
    assert lane_is(solution, way)
    assert solution.y.dtype == of_state
    torch.testing.assert_close(solution.y[-1], y0 * math.exp(-1), rtol=1e-5, atol=0)
    (grad,) = torch.autograd.grad(solution.y[-1].sum(), rate)
    torch.testing.assert_close(grad, torch.tensor(1.5 * math.exp(-1), dtype=of_value), rtol=1e-5, atol=0)


def test_dynamics_of_complex_states_may_return_real_numbers(way: dict[str, str]) -> None:
    y = pb.odeint(lambda t, y: -y.real, Y0 + 1j, T, **FINE, **way)
    torch.testing.assert_close(y[-1], Y0 * math.exp(-1) + 1j, rtol=1e-7, atol=0)


SHAPES: dict[str, tuple[Any, Callable[[Tensor, Any], Any]]] = {
    "(N,) for (N, 1)": (Y0[:, None], lambda t, y: -y[:, 0]),
    "(1, N) for (N,)": (Y0, lambda t, y: -y[None]),
    "() for (1,)": (Y0[:1], lambda t, y: -y[0]),
    "(1,) for ()": (Y0[0], lambda t, y: -y[None]),
    "flat": (torch.arange(6.0, dtype=DOUBLE).view(2, 3), lambda t, y: -y.reshape(-1)),
    "a list": ((Y0, Y0[:1]), lambda t, y: [-y[0], -y[1][0]]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_of_the_same_elements_are_the_states(way: dict[str, str], case: str) -> None:
    y0, func = SHAPES[case]
    solution = pb.solve(func, y0, T, **FINE, **way)
    assert lane_is(solution, way)
    tensors, starts = (solution.y, y0) if isinstance(y0, tuple) else ([solution.y], [y0])
    for y, start in zip(tensors, starts, strict=True):
        torch.testing.assert_close(y[-1], start * math.exp(-1), rtol=1e-7, atol=0)


@pytest.mark.parametrize("func", [lambda t, y: y.mT, lambda t, y: y.sum(), lambda t, y: y[0], lambda t, y: y[None, 0]])
def test_other_shapes_are_refused(engine: str, func: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(pb.InputError, match=r"expected shape \(2, 3\)"):
        pb.odeint(func, torch.ones(2, 3), T, engine=engine)


class Hamiltonian(nn.Module):
    """The dynamics of a learnt energy, by a gradient for which nobody switches autograd on."""

    def __init__(self, *, marks: bool) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1, bias=False)).double()
        self.marks = marks

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        if self.marks:
            y = y.requires_grad_()
        (slope,) = torch.autograd.grad(self.energy(y).sum(), y, create_graph=True)
        return torch.stack([slope[1], -slope[0]])


@pytest.mark.parametrize("method", ["dopri5", "RK4"])
@pytest.mark.parametrize("marks", [False, True])
def test_dynamics_may_be_a_gradient(way: dict[str, str], marks: bool, method: str) -> None:
    func, y0 = Hamiltonian(marks=marks), Y0.clone().requires_grad_()
    steps: dict[str, Any] = {"options": {"adaptive": False, "dt": 0.01}} if method == "RK4" else {}
    solution = pb.solve(func, y0, T, **{**FINE, **steps, "method": method}, **way)
    assert lane_is(solution, way)
    wanted = torchdiffeq.odeint(func, y0, T, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(solution.y, wanted, rtol=1e-7, atol=1e-8)
    inputs = (y0, *func.parameters())
    grads, truth = (torch.autograd.grad(y[-1].square().sum(), inputs) for y in (solution.y, wanted))
    for grad, true in zip(grads, truth, strict=True):
        torch.testing.assert_close(grad, true, rtol=1e-6, atol=1e-7)


def test_dynamics_may_be_a_gradient_where_nobody_records(way: dict[str, str]) -> None:
    func = Hamiltonian(marks=False)
    with torch.no_grad():
        y = pb.odeint(func, Y0, T, **FINE, **way)
    assert not y.requires_grad
    wanted = torchdiffeq.odeint(func, Y0.clone().requires_grad_(), T, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(y, wanted.detach(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("method", ["RadauIIA5", pytest.param("Rodas5P", marks=pytest.mark.julia)])
def test_jacobians_of_a_gradient_are_right(method: str) -> None:
    func = Hamiltonian(marks=False)
    y = pb.odeint(
        func, Y0, T, method=method, engine="julia" if method == "Rodas5P" else "embedded", rtol=1e-8, atol=1e-9
    )
    wanted = torchdiffeq.odeint(func, Y0.clone().requires_grad_(), T, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(y, wanted, rtol=1e-6, atol=1e-7)


def test_second_derivatives_go_through_a_gradient(engine: str) -> None:
    def func(t: Tensor, y: Tensor) -> Tensor:  # dy/dt = -y², so y(1) = y0 / (1 + y0)
        (slope,) = torch.autograd.grad((y**3 / -3).sum(), y, create_graph=True)
        return slope

    y0 = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    (first,) = torch.autograd.grad(pb.odeint(func, y0, T, **FINE, engine=engine)[-1].sum(), y0, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), y0)
    assert first.item() == pytest.approx(1.5**-2, rel=1e-6)
    assert second.item() == pytest.approx(-2 * 1.5**-3, rel=1e-5)


def test_events_of_a_gradient(engine: str) -> None:
    y0 = torch.tensor([1.0], dtype=DOUBLE, requires_grad=True)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.autograd.grad((y**2 / -2).sum(), y, create_graph=True)[0]

    start = torch.tensor(0.0, dtype=DOUBLE)
    time, _ = pb.odeint_event(func, y0, start, event_fn=lambda t, y: y[0] - 0.5, **FINE, engine=engine)
    assert time.item() == pytest.approx(math.log(2), rel=1e-7)
    assert torch.autograd.grad(time, y0)[0].item() == pytest.approx(1, rel=1e-6)


def test_an_error_about_gradients_of_other_tensors_is_the_users(engine: str) -> None:
    other = torch.ones(2)
    with pytest.raises(RuntimeError, match="not require grad"):
        pb.odeint(lambda t, y: torch.autograd.grad(other.sum(), other)[0], Y0.float(), T, engine=engine)


def draws(kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    generator = torch.Generator()
    dropout = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).double()
    return {
        "dropout": lambda t, y: dropout(y),
        "torch": lambda t, y: torch.randn(2, dtype=DOUBLE),
        "a generator": lambda t, y: torch.randn(2, dtype=DOUBLE, generator=generator),
        "python": lambda t, y: -y + random.random(),
    }[kind]


STEPS = {"method": "RK4", "options": {"adaptive": False, "dt": 0.1}}


@pytest.mark.parametrize("kind", ["dropout", "torch"])
def test_random_numbers_are_warned_of_once(engine: str, kind: str) -> None:
    def func(t: Tensor, y: Tensor) -> Tensor:
        return drawn(t, y)

    drawn = draws(kind)
    func.__code__ = func.__code__.replace(co_name=f"{engine}_{kind}")  # code that nobody was warned of
    with pytest.warns(pb.RandomWarning, match="func draws random numbers"):
        pb.odeint(func, Y0, T, **STEPS, engine=engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pb.RandomWarning)
        pb.odeint(func, Y0, T, **STEPS, engine=engine)
        pb.odeint(lambda t, y: -y, Y0, T, **STEPS, engine=engine)


@pytest.mark.julia
@pytest.mark.filterwarnings("ignore::pyode_bridge.RandomWarning")
@pytest.mark.parametrize("kind", ["dropout", "torch", "a generator", "python"])
def test_no_random_number_is_frozen(kind: str) -> None:
    func = draws(kind)
    first, second = (pb.solve(func, Y0, T, **STEPS, engine="julia") for _ in range(2))
    assert first.lane == second.lane == "callback"
    assert not torch.equal(first.y, second.y)


class Counts(nn.Module):
    """Counts its evaluations in an attribute, as torchdiffeq's examples do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2).double()
        self.nfe = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.layer(y)


def counters() -> Iterator[Any]:
    yield "attribute", lambda: (func := Counts(), lambda: func.nfe)
    yield "forward hook", lambda: hooked("register_forward_hook")
    yield "forward pre-hook", lambda: hooked("register_forward_pre_hook")
    yield "iterator", iterated


def hooked(register: str) -> tuple[Any, Callable[[], int]]:
    func, calls = Net(), [0]
    getattr(func.net, register)(lambda *given: calls.__setitem__(0, calls[0] + 1))
    return func, lambda: calls[0]


def iterated() -> tuple[Any, Callable[[], int]]:
    counter, net = itertools.count(), Net()

    def func(t: Tensor, y: Tensor) -> Tensor:
        next(counter)
        return net(t, y)

    return func, lambda: next(counter)


@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in list(counters())])
def test_counters_count_every_evaluation(way: dict[str, str], made: Callable[[], Any]) -> None:
    func, count = made()
    for _ in range(2):
        before = count()
        solution = pb.solve(func, Y0, T, **FINE, **way)
        assert lane_is(solution, way, compiled=False)
        assert count() - before >= solution.stats.nfe


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_hooks_of_modules_see_the_backward_pass(way: dict[str, str]) -> None:
    func, seen = Net(), []
    func.net.register_full_backward_hook(lambda module, given, value: seen.append(value[0].shape))
    y = pb.odeint(func, Y0, T, **FINE, **way)
    before = len(seen)
    grads = torch.autograd.grad(y[-1].sum(), tuple(func.parameters()))
    assert len(seen) > before
    assert set(seen) == {Y0.shape}
    truth = torch.autograd.grad(torchdiffeq.odeint(func, Y0, T)[-1].sum(), tuple(func.parameters()))
    for grad, true in zip(grads, truth, strict=True):
        torch.testing.assert_close(grad, true, rtol=1e-5, atol=1e-6)


class Plain:
    """No module, and called by different names."""

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        return -y

    def method(self, t: Tensor, y: Tensor) -> Tensor:
        return -y


def pair(t: Tensor, y: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(-part for part in y)


HABITS: dict[str, dict[str, Any]] = {
    "scalar tensors as tolerances": {"rtol": torch.tensor(1e-9), "atol": torch.tensor(1e-10)},
    "tensors of one element as tolerances": {"rtol": torch.tensor([1e-9]), "atol": torch.tensor([1e-10])},
    "tensors as tolerances of the adjoint": {"adjoint_rtol": torch.tensor(1e-9), "adjoint_atol": torch.tensor([1e-10])},
    "tuples of tolerances": {"func": pair, "y0": (Y0, Y0), "rtol": (1e-9, 1e-8), "atol": (1e-10, torch.tensor(1e-10))},
    "a list as state": {"func": pair, "y0": [Y0, Y0]},
    "no options": {"options": None, "adjoint_options": None},
    "empty options": {"options": {}, "adjoint_options": {}},
    "no method": {"method": None, "adjoint_method": None, "adjoint_rtol": None, "adjoint_atol": None},
    "no parameters": {"adjoint_params": ()},
    "an object": {"func": Plain()},
    "a bound method": {"func": Plain().method},
    "a partial": {"func": functools.partial(lambda rate, t, y: rate * y, -1.0)},
    "y0 not contiguous": {"y0": torch.arange(4.0, dtype=DOUBLE)[::2]},
    "y0 transposed": {"y0": torch.arange(6.0, dtype=DOUBLE).view(2, 3).mT},
    "y0 expanded": {"y0": torch.ones(1, dtype=DOUBLE).expand(3)},
    "y0 a leaf": {"y0": Y0.clone().requires_grad_()},
    "t float32": {"t": torch.tensor([0.0, 1.0])},
    "t of half precision": {"t": torch.tensor([0.0, 1.0], dtype=torch.bfloat16)},
    "y0 float32": {"y0": Y0.float(), "rtol": 1e-6, "atol": 1e-7},
    "t of whole numbers": {"t": torch.tensor([0, 1])},
    "t requires a gradient": {"t": T.clone().requires_grad_()},
    "t not contiguous": {"t": torch.linspace(0, 1, 5, dtype=DOUBLE)[::2]},
}


@pytest.mark.parametrize("case", HABITS)
def test_habits_of_wrappers(engine: str, case: str) -> None:
    arguments = {"func": lambda t, y: -y, "y0": Y0, "t": T, **FINE, **HABITS[case]}
    func, y0, t = (arguments.pop(name) for name in ("func", "y0", "t"))
    y = pb.odeint_adjoint(func, y0, t, engine=engine, **arguments)
    tensors, starts = ([y], [y0]) if isinstance(y0, Tensor) else (y, y0)
    for one, start in zip(tensors, starts, strict=True):
        assert one.dtype == start.dtype
        torch.testing.assert_close(one[-1], start * math.exp(-1), rtol=1e-5, atol=0)
    if y[0].requires_grad:
        (leaf,) = (tensor for tensor in (y0, t) if tensor.requires_grad)
        (grad,) = torch.autograd.grad(y[-1].sum(), leaf)
        last = math.exp(-1) * (torch.ones(2) if leaf is y0 else torch.tensor([0.0, 0.0, -1.5]))
        if leaf is t:
            last[0] = 1.5 * math.exp(-1)  # y(1) = y0 exp(t0 - 1)
        torch.testing.assert_close(grad, last.double(), rtol=1e-5, atol=1e-7)


def test_a_generator_of_parameters_lasts_for_several_solves(engine: str) -> None:
    rate = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    params = (parameter for parameter in (rate,))
    start = torch.tensor(0.0, dtype=DOUBLE)
    time, _ = pb.odeint_event(  # at log(10), the search takes several
        lambda t, y: -rate * y,
        Y0,
        start,
        event_fn=lambda t, y: y[0] - 0.1,
        adjoint_params=params,
        engine=engine,
        **FINE,
    )
    assert torch.autograd.grad(time, rate)[0].item() == pytest.approx(-math.log(10), rel=1e-6)
    layer = pb.NeuralODE(lambda t, y: -rate * y, adjoint_params=(parameter for parameter in (rate,)), engine=engine)
    for _ in range(2):
        (grad,) = torch.autograd.grad(layer(Y0)[-1].sum(), rate)
        assert grad.item() == pytest.approx(-1.5 * math.exp(-1), rel=1e-5)


def test_a_replica_is_solved_as_its_original(engine: str) -> None:
    func = Counts()
    replica: Any = func._replicate_for_data_parallel()  # as nn.DataParallel makes them
    replica.layer = replica.layer._replicate_for_data_parallel()
    replica.layer.weight, replica.layer.bias = func.layer.weight * 1, func.layer.bias * 1
    grads = [
        torch.autograd.grad(pb.odeint(made, Y0, T, **FINE, engine=engine)[-1].sum(), func.layer.weight)[0]
        for made in (func, replica)
    ]
    torch.testing.assert_close(*grads)
