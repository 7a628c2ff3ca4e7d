"""What is traced computes what the function does, whatever it writes to and wherever it exists; torch is the judge."""

import ctypes

import numpy as np
import pytest
import torch

from pyode_bridge.compiled.capture.guards import guards_of
from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.capture.tracing import trace
from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.compiled.capture.graphs import NAMES, graphs, run
from tests.problems import DOUBLE

Y = torch.tensor([0.4, -1.1, 0.7], dtype=DOUBLE)
V = torch.tensor([1.0, 0.5, -2.0], dtype=DOUBLE)
T = torch.tensor(0.3, dtype=DOUBLE)


def summed_onto_a_copy(b):
    def func(t, y):
        out = b.clone()
        out += y * y
        return out

    return func


def counted_up(b):
    def func(t, y):
        z = -b
        z.add_(1)
        return z * y.sin()

    return func


def written_in_part(b):
    def func(t, y):
        z = b * 2
        z[0] = y[1]
        z[1:].mul_(y[:2])
        return z

    return func


def activated_in_place(b):
    net = torch.nn.ELU(inplace=True)
    return lambda t, y: net(b * 1.0) * y + net(y + b)


WRITING = [summed_onto_a_copy, counted_up, written_in_part, activated_in_place]


@pytest.mark.parametrize("requires_grad", [False, True], ids=["tensor", "parameter"])
@pytest.mark.parametrize("make", WRITING)
def test_what_is_made_of_captured_tensors_may_be_written_to(make, requires_grad):
    b = torch.tensor([0.3, 0.5, -0.2], dtype=DOUBLE, requires_grad=requires_grad)
    func, parameters = make(b), [b] if requires_grad else []
    traced = graphs(func, Y, parameters)
    for values in ([0.3, 0.5, -0.2], [-0.6, 0.1, 0.9]):  # they are read anew each time
        with torch.no_grad():
            b.copy_(torch.tensor(values))
        inputs = [Y.clone().requires_grad_(), *parameters]
        value = func(T, inputs[0])
        torch.testing.assert_close(run(traced["rhs"], T, Y), value.detach())
        for found, true in zip(
            run(traced["joint"], T, V, Y), torch.autograd.grad(value, inputs, V, materialize_grads=True), strict=True
        ):
            torch.testing.assert_close(found, true)
        jacobian = torch.autograd.functional.jacobian(lambda y: func(T, y), Y)
        torch.testing.assert_close(run(traced["jacobian"], T, Y), jacobian.mT)


def scaled(t, y):
    y.mul_(-1.3)
    return y


def held(t, y):
    y[0] = 0.0
    y[1] += t
    return y * y


IN_PLACE = {scaled: lambda y: -1.3 * y, held: lambda y: torch.stack([0 * y[0], (y[1] + T) ** 2, y[2] ** 2])}


@pytest.mark.parametrize("func", IN_PLACE)
def test_dynamics_that_write_to_their_argument_are_functions_of_a_copy(func):
    traced, pure, y = graphs(func, Y), IN_PLACE[func], Y.clone()
    torch.testing.assert_close(run(traced["rhs"], T, y), pure(Y))
    torch.testing.assert_close(run(traced["jacobian"], T, y), torch.autograd.functional.jacobian(pure, Y).mT)
    (found,) = run(traced["vjp"], T, V, y)
    torch.testing.assert_close(found, torch.autograd.functional.vjp(pure, Y, V)[1])
    assert torch.equal(y, Y)


def test_writing_to_a_captured_tensor_is_refused():
    b = torch.ones(3, dtype=DOUBLE)
    with pytest.raises(UnsupportedDynamicsError, match="it writes to a tensor that it captures"):
        trace(lambda y: b.add_(1) * y, [Y])


def test_what_escapes_the_trace_is_another_value_than_that_at_the_start():
    """A trace follows torch alone; the comparison at the start is to notice what became a constant."""

    def func(t, y):
        return y * ctypes.c_double.from_address(t.data_ptr()).value

    traced = graphs(func, Y, names=["rhs"])
    found, true = run(traced["rhs"], T, Y), func(T, Y)
    assert (found - true).abs().min() > 1e-3 * true.abs().max()


@pytest.mark.parametrize("of_matrix", [torch.linalg.inv, torch.linalg.cholesky, torch.linalg.det])
def test_what_does_not_exist_everywhere_is_traced_at_the_start(of_matrix):
    """A matrix of ones has no inverse, and neither has one of zeros."""

    def func(t, y):
        return of_matrix(torch.diag(y**2) + 0.1 * torch.outer(y, y)) * torch.eye(3, dtype=DOUBLE) @ y

    functions = TracedFunctions(Start(Dynamics(func, Structure.of(Y), Wanted()), Y, 0.3, 1.0), (), [])
    assert "function rhs(" in functions.text("rhs")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operation", [torch.sgn, torch.sign, torch.round, torch.zeros_like])
def test_derivatives_that_are_zero_everywhere_are_translated(name, operation):
    func = lambda t, y: operation(y)  # noqa: E731
    functions = TracedFunctions(
        Start(Dynamics(func, Structure.of(Y), Wanted()), Y, 0.3, 1.0), guards_of(func).tensors, []
    )
    assert f"function {name}(" in functions.text(name)


READING = {
    "item": lambda c, y: c.item() * y,
    "float": lambda c, y: float(c) * y,
    "int": lambda c, y: int(c * 0 + 2) * y + int(c) * y,
    "bool": lambda c, y: y if c else -y,
    "comparison": lambda c, y: y if c > 0 else -y,
    "equal": lambda c, y: y if torch.equal(c, c * 2) else -y,
    "close": lambda c, y: y if torch.allclose(c, c * 2) else -y,
    "list": lambda c, y: c.tolist() * y,
    "array": lambda c, y: torch.from_numpy(c.numpy()) * y,
    "as an array": lambda c, y: torch.as_tensor(np.asarray(c)) * y,
    "array of the state": lambda c, y: torch.from_numpy(y.numpy() ** 2),
}


@pytest.mark.parametrize("way", READING)
def test_a_number_out_of_a_captured_tensor_is_refused(way):
    c = torch.tensor(0.7, dtype=DOUBLE)
    with pytest.raises(UnsupportedDynamicsError, match="takes a Python value out of a tensor"):
        trace(lambda t, y: READING[way](c, y), (T, Y))


def test_a_number_out_of_whole_numbers_is_not():
    place = torch.tensor(2)
    graph = trace(lambda t, y: y[place.item()] * y, (T, Y))
    assert graph.tensors == {}
