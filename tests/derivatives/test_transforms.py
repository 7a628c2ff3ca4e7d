"""Solves under torch.func, torch.vmap and forward mode: against closed forms, on every engine."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import pyode_bridge as pb
from tests.problems import DOUBLE, SPIRAL, Driven, Linear, Logistic

SOLVER = {"rtol": 1e-8, "atol": 1e-8}
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
PROBLEMS = {"linear": lambda: Linear(SPIRAL), "logistic": Logistic, "driven": Driven}
Y0 = torch.tensor([0.5, 0.3], dtype=DOUBLE)
T = torch.tensor([0.2, 0.5, 0.9], dtype=DOUBLE)

Pure = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]


class Method(nn.Module):
    """One method of a problem, or a solve of it, as a module of its own, for functional_call."""

    def __init__(self, problem: nn.Module, method: Callable[..., Tensor]) -> None:
        super().__init__()
        self.problem = problem
        self.method = method

    def forward(self, y0: Tensor, t: Tensor) -> Tensor:
        return self.method(y0, t)


def pure(problem: nn.Module, method: Callable[..., Tensor]) -> Pure:
    module = Method(problem, method)
    return lambda parameters, y0, t: functional_call(
        module, {f"problem.{name}": value for name, value in parameters.items()}, (y0, t)
    )


def both(problem: nn.Module, engine: str) -> tuple[Pure, Pure]:
    """The solve and the closed form as functions of parameters, y0 and t."""
    return pure(problem, lambda y0, t: pb.odeint(problem, y0, t, engine=engine, **SOLVER)), pure(problem, problem.exact)


def inputs(problem: nn.Module, t: Tensor = T) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    return {name: value.detach().clone() for name, value in problem.named_parameters()}, Y0.clone(), t


def directions(problem: nn.Module) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    return (
        {name: torch.randn_like(value) for name, value in problem.named_parameters()},
        torch.randn(2).double(),
        (0.1 * torch.randn(len(T)).double()),
    )


def loss(function: Pure) -> Pure:
    return lambda *arguments: function(*arguments).pow(3).sum()


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("backwards", [False, True], ids=["increasing", "decreasing"])
def test_both_modes_match_the_closed_form(engine: str, name: str, backwards: bool) -> None:
    problem = PROBLEMS[name]()
    at, along = inputs(problem, T.flip(0) if backwards else T), directions(problem)
    mine, theirs = both(problem, engine)
    torch.testing.assert_close(jvp(mine, at, along), jvp(theirs, at, along), **CLOSE)
    gradients = [grad(loss(function), (0, 1, 2))(*at) for function in (mine, theirs)]
    torch.testing.assert_close(*gradients, **CLOSE)


SECOND: dict[str, Callable[[Pure, Any, Any], Any]] = {
    "forward over reverse": lambda f, at, along: jvp(grad(loss(f), (0, 1, 2)), at, along)[1],
    "reverse over forward": lambda f, at, along: grad(lambda *at: jvp(f, at, along)[1].pow(2).sum(), (0, 1, 2))(*at),
    "reverse over reverse": lambda f, at, along: vjp(grad(loss(f), (0, 1, 2)), *at)[1](along),
    "forward over forward": lambda f, at, along: jvp(lambda *at: jvp(f, at, along)[1], at, along)[1],
    "hessian": lambda f, at, along: hessian(loss(f), 1)(*at),
}


@pytest.mark.parametrize("order", SECOND)
def test_second_derivatives_in_every_order_match_the_closed_form(engine: str, order: str) -> None:
    problem = Logistic()
    at, along = inputs(problem), directions(problem)
    found, exact = (SECOND[order](function, at, along) for function in both(problem, engine))
    torch.testing.assert_close(found, exact, **CLOSE)


def test_jacobians_of_both_modes_agree(engine: str) -> None:
    problem = Driven()
    at = inputs(problem)
    mine, theirs = both(problem, engine)
    for argnum in (0, 1, 2):
        forward, reverse = jacfwd(mine, argnum)(*at), jacrev(mine, argnum)(*at)
        torch.testing.assert_close(forward, reverse, **CLOSE)
        torch.testing.assert_close(forward, jacfwd(theirs, argnum)(*at), **CLOSE)


def test_a_batch_matches_a_loop(engine: str) -> None:
    """Over initial states and parameters: values, derivatives of each of the batch, derivatives of its sum."""
    problem = Logistic()
    parameters, _, t = inputs(problem)
    y0s = torch.rand(3, 2, dtype=DOUBLE) + 0.2
    batch = {name: value * torch.tensor([0.8, 1.0, 1.2], dtype=DOUBLE) for name, value in parameters.items()}
    mine, _ = both(problem, engine)

    def looped(function: Callable[..., Any]) -> list[Any]:
        return [function({name: value[i] for name, value in batch.items()}, y0s[i], t) for i in range(3)]

    torch.testing.assert_close(vmap(mine, (0, 0, None))(batch, y0s, t), torch.stack(looped(mine)), **CLOSE)
    own = vmap(grad(loss(mine), (0, 1)), (0, 0, None))(batch, y0s, t)
    of_sum = grad(lambda *at: vmap(loss(mine), (0, 0, None))(*at, t).sum(), (0, 1))(batch, y0s)
    for i, (parameter_grads, y0_grad) in enumerate(looped(grad(loss(mine), (0, 1)))):
        for found in (own, of_sum):
            torch.testing.assert_close({name: value[i] for name, value in found[0].items()}, parameter_grads, **CLOSE)
            torch.testing.assert_close(found[1][i], y0_grad, **CLOSE)


def test_a_gradient_for_each_sample_of_shared_parameters(engine: str) -> None:
    problem = Logistic()
    parameters, _, t = inputs(problem)
    y0s = torch.tensor([[0.5, 0.3], [0.9, 0.2]], dtype=DOUBLE)
    found, exact = (
        vmap(grad(loss(function)), (None, 0, None))(parameters, y0s, t) for function in both(problem, engine)
    )
    torch.testing.assert_close(found, exact, **CLOSE)


def test_a_batch_is_differentiated_by_backward(engine: str) -> None:
    problem = Logistic()
    y0s = torch.rand(3, 2, dtype=DOUBLE, requires_grad=True)
    wanted = (y0s, *problem.parameters())
    mine = vmap(lambda y0: pb.odeint(problem, y0, T, engine=engine, **SOLVER))(y0s)
    theirs = vmap(lambda y0: problem.exact(y0, T))(y0s)
    found, exact = (torch.autograd.grad(y.pow(2).sum(), wanted) for y in (mine, theirs))
    torch.testing.assert_close(found, exact, **CLOSE)


@pytest.mark.parametrize("container", [tuple, dict], ids=["tuple", "dict"])
def test_structured_complex_states_are_batched(engine: str, container: type) -> None:
    """A tuple or dict of two complex oscillators, of frequencies 1 and 2, in a batch, with their derivatives."""
    names = ("a", "b") if container is dict else (0, 1)

    def end(z: Tensor) -> Tensor:
        y0 = {"a": z, "b": z[:1]} if container is dict else (z, z[:1])

        def func(t: Tensor, y: Any) -> Any:
            a, b = 1j * y[names[0]], 2j * y[names[1]]
            return {"a": a, "b": b} if container is dict else (a, b)

        y = pb.odeint(func, y0, T, engine=engine, **SOLVER)
        return y[names[0]][-1].real.sum() + y[names[1]][-1].imag.sum()

    zs, span = torch.randn(3, 2, dtype=torch.complex128), T[-1] - T[0]
    exact = lambda z: (z * torch.exp(1j * span)).real.sum() + (z[:1] * torch.exp(2j * span)).imag.sum()  # noqa: E731
    torch.testing.assert_close(vmap(end)(zs), vmap(exact)(zs), **CLOSE)
    torch.testing.assert_close(vmap(grad(end))(zs), vmap(grad(exact))(zs), **CLOSE)
    torch.testing.assert_close(jvp(end, (zs[0],), (zs[1],)), jvp(exact, (zs[0],), (zs[1],)), **CLOSE)


def test_dual_tensors_reach_a_closure_and_a_module(engine: str) -> None:
    problem, scale = Logistic(), torch.tensor(0.7, dtype=DOUBLE)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(scale, torch.ones_like(scale))
        y = pb.odeint(lambda t, y: dual * problem(t, y), Y0, T, engine=engine, **SOLVER)
        found = forward_ad.unpack_dual(y).tangent
        exact = forward_ad.unpack_dual(problem.exact(Y0, dual * T)).tangent
    torch.testing.assert_close(found, exact, **CLOSE)


def test_a_closure_is_transformed_like_a_module(engine: str) -> None:
    rates = torch.tensor([0.5, 1.5], dtype=DOUBLE)

    def end(rate: Tensor) -> Tensor:
        effective = 2 * rate
        return pb.odeint(lambda t, y: -effective * y, Y0, T, engine=engine, **SOLVER)[-1].sum()

    exact = lambda rate: (Y0 * torch.exp(-2 * rate * (T[-1] - T[0]))).sum()  # noqa: E731
    torch.testing.assert_close(vmap(grad(end))(rates), vmap(grad(exact))(rates), **CLOSE)
    torch.testing.assert_close(jacfwd(end)(rates[0]), grad(exact)(rates[0]), **CLOSE)


def test_a_neural_ode_of_single_precision(engine: str) -> None:
    layer = pb.NeuralODE(TimedNet(), engine=engine, rtol=1e-5, atol=1e-5)
    parameters = {name: value.detach() for name, value in layer.named_parameters()}
    y0 = torch.randn(2)
    along = {name: torch.randn_like(value) for name, value in parameters.items()}
    end = lambda parameters: functional_call(layer, parameters, (y0,))[-1].sum()  # noqa: E731
    _, forward = jvp(end, (parameters,), (along,))
    gradients = grad(end)(parameters)
    layer(y0)[-1].sum().backward()
    assert forward.dtype == torch.float32
    total = sum((gradients[name] * along[name]).sum() for name in along)
    torch.testing.assert_close(forward, total, rtol=1e-3, atol=1e-4)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-4)


class TimedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.layer(y)) * t


def test_forward_mode_of_fixed_steps_is_that_of_the_steps() -> None:
    """Coarse steps give a wrong solution, of which the derivative is exact."""
    t = torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
    end = lambda rate: pb.odeint(lambda t, y: -rate * y, Y0, t, method="euler", engine="embedded")[-1]  # noqa: E731
    rate = torch.tensor(1.7, dtype=DOUBLE)
    torch.testing.assert_close(jacfwd(end)(rate), jacfwd(lambda rate: Y0 * (1 - rate / 3) ** 3)(rate))


def test_a_tensor_made_within_the_dynamics_is_no_input(engine: str) -> None:
    """Dynamics that transform a function: ``y' = -d/dy (y^4 / 4)`` from ``a`` is ``a / sqrt(1 + 2 a^2 t)``."""
    potential = lambda y: (y**4 / 4).sum()  # noqa: E731
    t = torch.tensor([0.0, 0.7], dtype=DOUBLE)
    end = lambda y0: pb.odeint(lambda t, y: -grad(potential)(y), y0, t, engine=engine, **SOLVER)[-1].sum()  # noqa: E731
    exact = lambda y0: (y0 / torch.sqrt(1 + 2 * y0**2 * t[-1])).sum()  # noqa: E731
    torch.testing.assert_close(grad(end)(Y0), grad(exact)(Y0), **CLOSE)
    torch.testing.assert_close(vmap(end)(Y0[:, None]), vmap(exact)(Y0[:, None]), **CLOSE)


def test_a_module_that_has_its_own_tensors_back_is_refused_where_it_is_hidden() -> None:
    problem = Logistic()
    hidden = [problem]
    module = Method(problem, lambda y0, t: pb.odeint(lambda t, y: hidden[0](t, y), y0, t, engine="embedded"))
    with pytest.raises(pb.UnsupportedError, match="functional_call"):
        grad(lambda rate: functional_call(module, {"problem.rate": rate}, (Y0, T)).sum())(torch.tensor(1.0).double())


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "batched times": (lambda: vmap(lambda t: pb.odeint(lambda t, y: -y, Y0, t))(torch.stack([T, T])), "maps over t"),
    "parts": (
        lambda: grad(lambda q: pb.odeint(pb.SecondOrder(lambda t, q, v: -q), (q, q), T)[0].sum())(Y0),
        "parts of SecondOrder",
    ),
    "listed parameters": (
        lambda: grad(lambda y: pb.odeint(lambda t, y: -y, y, T, adjoint_params=[]).sum())(Y0),
        "adjoint_params",
    ),
    "dense output": (lambda: grad(lambda y: pb.solve(lambda t, y: -y, y, T, dense=True).y.sum())(Y0), "dense"),
    "events": (
        lambda: grad(
            lambda y: pb.odeint_event(lambda t, y: -y, y, T[0], event_fn=lambda t, y: y[0] - 0.4, engine="embedded")[0]
        )(Y0),
        "odeint, solve, NeuralODE, sdeint, ddeint and daeint alone",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_go_through_transforms_says_so(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "embedded")
    call, message = REFUSED[what]
    with pytest.raises(pb.UnsupportedError, match=message):
        call()


class Scaled(torch.autograd.Function):
    """``a y``, differentiated by hand."""

    @staticmethod
    def forward(y: Tensor, a: Tensor) -> Tensor:
        return a * y

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        y, a = ctx.saved_tensors
        return a * g, (y * g).sum()

    @staticmethod
    def vmap(info: Any, in_dims: Any, y: Tensor, a: Tensor) -> tuple[Tensor, int]:
        return Scaled.apply(y, a), in_dims[0]


def test_a_tensor_that_torch_cannot_follow_is_refused() -> None:
    end = lambda a: pb.odeint(lambda t, y: Scaled.apply(y, a), Y0, T, engine="embedded").sum()  # noqa: E731
    with pytest.raises(pb.UnsupportedError, match=r"autograd\.Function"):
        grad(end)(torch.tensor(0.3, dtype=DOUBLE))


MASS = torch.tensor([[2.0, 0.5], [0.3, 1.5]], dtype=DOUBLE)  # not symmetric, so that it must be transposed
TWICE: dict[str, Callable[..., Any]] = {
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "hessian": hessian,
    "jacfwd of jacfwd": lambda function, argnums: jacfwd(jacfwd(function, argnums), argnums),
    "jacrev of jacrev": lambda function, argnums: jacrev(jacrev(function, argnums), argnums),
}


def with_mass_matrix(matrix: Tensor, y0: Tensor, t: Tensor, **settings: Any) -> Tensor:
    """``M y' = sin(A y)``."""
    settings = {"method": "Rodas5P", "engine": "julia", "mass_matrix": MASS, **SOLVER, **settings}
    return pb.odeint(lambda t, y: torch.sin(matrix @ y), y0, t, **settings)


def solved_for_the_velocity(matrix: Tensor, y0: Tensor, t: Tensor) -> Tensor:
    func = lambda t, y: torch.linalg.solve(MASS, torch.sin(matrix @ y))  # noqa: E731
    return pb.odeint(func, y0, t, method="Rodas5P", engine="julia", **SOLVER)


@pytest.mark.julia
@pytest.mark.parametrize("transform", TWICE)
def test_a_regular_mass_matrix_goes_through_derivatives(transform: str) -> None:
    """The same as for the equation solved for the velocity, with respect to the matrix, y0 and t."""
    inputs, argnums = (SPIRAL.clone(), Y0, T), (0, 1, 2)
    ends = (lambda *inputs, solve=solve: solve(*inputs)[-1] for solve in (with_mass_matrix, solved_for_the_velocity))
    found, expected = (TWICE[transform](end, argnums)(*inputs) for end in ends)
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.julia
def test_a_regular_mass_matrix_goes_through_batches() -> None:
    """Of values, and of gradients, whose trajectories are many."""
    starts = torch.randn(3, 2, dtype=DOUBLE)
    gradient = grad(lambda y0, matrix: with_mass_matrix(matrix, y0, T).square().sum())
    for function in (lambda y0, matrix: with_mass_matrix(matrix, y0, T), gradient):
        found = vmap(function, in_dims=(0, None))(starts, SPIRAL)
        torch.testing.assert_close(found, torch.stack([function(y0, SPIRAL) for y0 in starts]), **CLOSE)


@pytest.mark.julia
def test_a_singular_mass_matrix_is_differentiated_once() -> None:
    """``y1' = -y1``, ``0 = y1 - y2``."""
    singular = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    func = lambda t, y: torch.stack([-y[0], y[0] - y[1]])  # noqa: E731

    def end(start: Tensor, t: Tensor = T) -> Tensor:
        return pb.odeint(func, start.repeat(2), t, method="Rodas5P", engine="julia", mass_matrix=singular, **SOLVER)[-1]

    start = torch.tensor([0.7], dtype=DOUBLE)
    torch.testing.assert_close(grad(lambda start: end(start).sum())(start), 2 * torch.exp(T[:1] - T[-1]), **CLOSE)
    for transform in (jacfwd, hessian, lambda function: vmap(function, in_dims=0)):
        with pytest.raises(pb.UnsupportedError, match=r"mass matrix is singular.*create_graph"):
            transform(end)(start)
    with pytest.raises(pb.UnsupportedError, match="mass matrix is singular"):
        grad(lambda t: end(start, t).sum())(T)


def test_transforms_of_the_mass_matrix_itself_are_refused() -> None:
    def end(mass: Tensor) -> Tensor:
        return pb.odeint(lambda t, y: -y, Y0, T, method="Rodas5P", mass_matrix=mass, engine="embedded")[-1]

    for transform in (jacfwd, jacrev, vmap):
        with pytest.raises(pb.UnsupportedError, match="differentiates by mass_matrix"):
            transform(end)(MASS.expand(2, 2, 2) if transform is vmap else MASS)


def test_wrong_input_is_refused_as_ever() -> None:
    with pytest.raises(pb.InputError, match="strictly increasing"):
        grad(lambda y: pb.odeint(lambda t, y: -y, y, torch.zeros(3), engine="embedded").sum())(Y0)
    with pytest.raises(pb.InputError, match=r"returned a tensor|shape"):
        vmap(lambda y: pb.odeint(lambda t, y: y[:1], y, T, engine="embedded"))(torch.rand(2, 2).double())
    with pytest.raises(pb.InputError, match="NaN"):
        vmap(lambda y: pb.odeint(lambda t, y: -y, y, T, engine="embedded"))(torch.full((2, 2), torch.nan).double())


def test_a_solve_in_another_thread_is_not_taken_for_one_within_the_dynamics() -> None:
    evaluations, ends = itertools.count(), []

    def dynamics(t: Tensor, y: Tensor) -> Tensor:
        if next(evaluations) == 9:
            other = threading.Thread(target=lambda: ends.append(pb.odeint(Linear(SPIRAL), Y0, T, engine="embedded")))
            other.start()
            other.join()
        return -y

    jvp(lambda y: pb.odeint(dynamics, y, T, engine="embedded"), (Y0,), (Y0,))
    assert len(ends) == 1


@pytest.mark.parametrize("name", ["options", "adjoint_options"])
def test_functions_that_do_not_carry_over_are_refused(engine: str, name: str) -> None:
    settings: Any = {name: {"norm": lambda y: y.abs().max()}}
    with pytest.raises(pb.UnsupportedError, match=rf"{name}\['norm'\] is a function"):
        torch.func.grad(lambda y0: pb.odeint(lambda t, y: -y, y0, T, engine=engine, **settings)[-1].sum())(Y0)


@pytest.mark.parametrize("name", ["callback_step", "callback_accept_step_adjoint"])
def test_callbacks_of_steps_are_refused(engine: str, name: str) -> None:
    func = Logistic()
    setattr(func, name, lambda t, y, h: None)
    with pytest.raises(pb.UnsupportedError, match="callbacks of steps"):
        torch.func.grad(lambda y0: pb.odeint(func, y0, T, engine=engine)[-1].sum())(Y0)
