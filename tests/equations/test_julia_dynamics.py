"""Dynamics written in Julia: the values and gradients of the same dynamics in torch, wherever they run."""

import os

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge import JuliaDynamics
from tests.problems import DOUBLE

julia = pytest.mark.julia
isolated = pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS")

T = torch.linspace(0.0, 1.0, 4, dtype=DOUBLE)
Y0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
TIGHT = {"engine": "julia", "method": "Tsit5", "rtol": 1e-10, "atol": 1e-12}

RETURNING = """
function (u, p, t)
    prey, predators = u
    return [p[1] * prey - p[2] * prey * predators, p[2] * prey * predators - p[3] * predators]
end
"""
WRITING = """
function (du, u, p, t)
    prey, predators = u
    du[1] = p[1] * prey - p[2] * prey * predators
    du[2] = p[2] * prey * predators - p[3] * predators
end
"""


def parameters():
    return torch.nn.Parameter(torch.tensor([1.5, 1.0, 3.0], dtype=DOUBLE))


def in_torch(p):
    return lambda t, y: torch.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[1] * y[0] * y[1] - p[2] * y[1]])


def gradients(func, wanted, y0=Y0, t=T, **settings):
    """Values, and gradients of a weighted sum with respect to the initial state and what is wanted."""
    y0 = y0.clone().requires_grad_()
    sol = pb.solve(func, y0, t, **{**TIGHT, **settings})
    weights = torch.linspace(1, 2, sol.y.numel(), dtype=sol.y.dtype).view(sol.y.shape)
    return sol, torch.autograd.grad((sol.y * weights).sum(), [y0, *wanted])


def assert_like_torch(written, true, *, tensors, others, **settings):
    """Two dynamics, with their own tensors, give the same."""
    sol, grads = gradients(written, tensors, **settings)
    expected, true_grads = gradients(true, others, **settings)
    torch.testing.assert_close(sol.y, expected.y, rtol=1e-7, atol=1e-9)
    for grad, other in zip(grads, true_grads, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-6, atol=1e-8)
    return sol


@julia
@pytest.mark.parametrize("source", [RETURNING, WRITING])
@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
def test_values_and_gradients_are_those_of_the_same_dynamics_in_torch(source, method):
    p, q = parameters(), parameters()
    func = JuliaDynamics(source, p)
    sol = assert_like_torch(func, in_torch(q), tensors=[p], others=[q], method=method)
    assert (sol.lane, sol.lane_reason) == ("compiled", "func is written in Julia")


WITH_DEFAULT = [RETURNING.replace("(u, p, t)", "(u, p, t, k = 1.0)"), WRITING.replace("p, t)", "p, t = 0.0)")]


@julia
@pytest.mark.parametrize("source", WITH_DEFAULT)
def test_a_last_argument_may_have_a_default(source):
    p, q = parameters(), parameters()
    assert_like_torch(JuliaDynamics(source, p), in_torch(q), tensors=[p], others=[q])


@julia
def test_a_derivative_that_is_not_written_is_no_number():
    func = JuliaDynamics("(du, u, p, t) -> (du = -u)")  # binds another array to the name
    with pytest.raises(pb.SolverError, match="NaN"):
        pb.odeint(func, Y0, T, **TIGHT)


@julia
@pytest.mark.parametrize("source", [RETURNING, WRITING])
def test_times_may_decrease(source):
    p, q = parameters(), parameters()
    assert_like_torch(JuliaDynamics(source, p), in_torch(q), tensors=[p], others=[q], t=T.flip(0))


@julia
@pytest.mark.parametrize(
    "source",
    [
        "(u, p, t) -> tanh.(p.weight * u) .* p.rate .* cos(t) .+ p.shift",
        "(du, u, p, t) -> du .= tanh.(p.weight * u) .* p.rate .* cos(t) .+ p.shift",
    ],
)
def test_dimensions_are_reversed_and_names_are_those_of_p(source):
    def tensors():
        torch.manual_seed(3)
        weight, shift = torch.randn(3, 3, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)
        return {
            "weight": torch.nn.Parameter(weight),
            "rate": torch.tensor(0.7, dtype=DOUBLE, requires_grad=True),
            "shift": shift,
        }

    mine, other = tensors(), tensors()
    y0 = torch.randn(5, 3, dtype=DOUBLE)  # u is of 3 rows and 5 columns, and p.weight the transpose of weight
    assert_like_torch(
        JuliaDynamics(source, mine),
        lambda t, y: torch.tanh(y @ other["weight"]) * other["rate"] * torch.cos(t) + other["shift"],
        tensors=[mine["weight"], mine["rate"]],
        others=[other["weight"], other["rate"]],
        y0=y0,
    )


@julia
def test_a_tuple_is_one_vector_and_float32_stays_so():
    position, speed = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    circle = JuliaDynamics("(u, p, t) -> [u[3], u[4], -u[1], -u[2]]")
    half_turn = torch.tensor([0.0, torch.pi])
    end, _ = pb.odeint(circle, (position, speed), half_turn, engine="julia", method="Tsit5", rtol=1e-5, atol=1e-6)
    assert end.dtype is torch.float32
    torch.testing.assert_close(end[-1], -position, rtol=0, atol=1e-3)


@julia
@pytest.mark.parametrize("source", [RETURNING, WRITING])
def test_a_call_gives_the_derivative_and_its_gradient(source):
    def called(y, p):
        return JuliaDynamics(source, p)(torch.tensor(0.0), y)

    p = parameters()
    torch.testing.assert_close(called(Y0, p), in_torch(p)(None, Y0))
    assert torch.autograd.gradcheck(called, (Y0.clone().requires_grad_(), p))


@julia
def test_within_a_module_of_torch_it_is_one_term_of_many():
    class Hybrid(torch.nn.Module):
        def __init__(self, known):
            super().__init__()
            torch.manual_seed(5)
            self.known, self.unknown = known, torch.nn.Linear(2, 2, dtype=DOUBLE)

        def forward(self, t, y):
            return self.known(t, y) + self.unknown(y)

    p, q = parameters(), parameters()
    mine, other = Hybrid(JuliaDynamics(RETURNING, p)), Hybrid(in_torch(q))
    sol = assert_like_torch(
        mine, other, tensors=[p, *mine.unknown.parameters()], others=[q, *other.unknown.parameters()]
    )
    assert sol.lane == "callback"


@julia
def test_gradients_reach_what_p_was_computed_from():
    w, v = parameters(), parameters()
    assert_like_torch(JuliaDynamics(RETURNING, 2 * w), in_torch(2 * v), tensors=[w], others=[v])


@julia
def test_training_reads_new_values_and_compiles_once():
    p = parameters()
    func = JuliaDynamics(WRITING, p)
    pb.odeint(func, Y0, T, **TIGHT)
    with torch.no_grad():
        p.mul_(0.5)
    sol = pb.solve(func, Y0, T, **TIGHT)
    torch.testing.assert_close(sol.y, pb.odeint(in_torch(p.detach()), Y0, T, **TIGHT), rtol=1e-7, atol=1e-9)
    assert sol.stats.compile_seconds == 0


@julia
@pytest.mark.parametrize("source", [RETURNING, WRITING])
def test_an_ensemble_has_a_p_for_each_trajectory(source):
    sets = (parameters().detach() * torch.linspace(0.8, 1.2, 3, dtype=DOUBLE)[:, None]).requires_grad_()
    y0s = Y0.repeat(3, 1)
    sol = pb.solve_ensemble(JuliaDynamics(source), y0s, T, sets, **TIGHT)
    expected = [pb.odeint(in_torch(one), Y0, T, **TIGHT) for one in sets]
    torch.testing.assert_close(sol.y, torch.stack(expected, 1), rtol=1e-7, atol=1e-9)
    (grad,) = torch.autograd.grad(sol.y.sum(), sets)
    (true,) = torch.autograd.grad(sum(one.sum() for one in expected), sets)
    torch.testing.assert_close(grad, true, rtol=1e-6, atol=1e-8)
    assert sol.lane == "compiled"


@julia
def test_an_ensemble_leaves_out_nothing_that_a_subclass_adds():
    class Faster(JuliaDynamics):
        def forward(self, t, y, p):
            return 2 * JuliaDynamics(self.source, p)(t, y)

    rates = torch.tensor([[0.5], [1.0]], dtype=DOUBLE)
    sol = pb.solve_ensemble(Faster("(u, p, t) -> -p .* u"), torch.ones(2, 1, dtype=DOUBLE), T, rates, **TIGHT)
    torch.testing.assert_close(sol.y[-1], torch.exp(-2 * rates * T[-1]), rtol=1e-8, atol=0)


@julia
def test_an_ensemble_tells_what_julia_raises():
    with pytest.raises(pb.BridgeError, match="BoundsError"):
        pb.solve_ensemble(JuliaDynamics("(u, p, t) -> [u[7], u[1]]"), Y0.repeat(3, 1), T, **TIGHT)


@julia
@isolated
@pytest.mark.timeout(240)
@pytest.mark.parametrize("source", [RETURNING, WRITING])
def test_another_process_may_solve_it(source):
    p, q = parameters(), parameters()
    sol, grads = gradients(JuliaDynamics(source, p), [p], isolation="process")
    expected, true_grads = gradients(in_torch(q), [q])
    torch.testing.assert_close(sol.y, expected.y, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(grads, true_grads, rtol=1e-6, atol=1e-8)


BAD_SOURCES = {
    "(u, p, t) -> [u[1], ": "does not evaluate",
    "using NoSuchPackage\n(u, p, t) -> u": "NoSuchPackage",
    "42": "the last value of its source is 42; expected a function",
    "(u, p) -> u": "expected a function f\\(u, p, t\\)",
    "(u, p, t) -> [1.0, 2.0, 3.0]": "array of size \\(3,\\); expected an array of numbers of size \\(2,\\)",
    "(u, p, t) -> 1.0": "a Float64; expected an array",
}


@julia
@isolated
@pytest.mark.timeout(240)
@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize(("source", "message"), BAD_SOURCES.items())
def test_a_source_that_is_no_such_function_is_refused(source, message, isolation):
    with pytest.raises(pb.InputError, match=message):
        pb.odeint(JuliaDynamics(source), Y0, T, isolation=isolation, **TIGHT)


@julia
@isolated
@pytest.mark.timeout(240)
@pytest.mark.parametrize("isolation", ["none", "process"])
def test_what_julia_raises_is_told_and_the_next_solve_is_right(isolation):
    source = '(u, p, t) -> t > 0.5 ? error("the reactor is open") : -u'
    with pytest.raises(pb.BridgeError, match="the reactor is open"):
        pb.odeint(JuliaDynamics(source), Y0, T, isolation=isolation, **TIGHT)
    end = pb.odeint(JuliaDynamics("(u, p, t) -> -u"), Y0, T, isolation=isolation, **TIGHT)[-1]
    torch.testing.assert_close(end, Y0 * torch.exp(-T[-1]), rtol=1e-8, atol=0)


@julia
def test_a_call_outside_of_a_solve_raises_what_julia_raises():
    with pytest.raises(pb.BridgeError, match="BoundsError"):
        JuliaDynamics("(u, p, t) -> [u[7], u[1]]")(T[0], Y0)
    with pytest.raises(pb.UnsupportedError, match="complex"):
        JuliaDynamics("(u, p, t) -> u")(T[0], Y0 * 1j)


def test_p_is_part_of_the_module():
    rate, shift = torch.nn.Parameter(torch.tensor(0.5)), torch.ones(2)
    func = JuliaDynamics("(u, p, t) -> p.shift - p.rate * u", {"rate": rate, "shift": shift})
    assert dict(func.named_parameters()) == {"p.rate": rate}
    assert list(func.state_dict()) == ["p.rate", "p.shift"]
    assert "p.rate * u" in repr(func)
    assert func.values() == {"rate": rate, "shift": shift}
    assert JuliaDynamics("(u, p, t) -> u").values() is None


@pytest.mark.parametrize(
    ("source", "p", "message"),
    [
        ("  ", None, "expected Julia code"),
        (abs, None, "expected Julia code"),
        ("f", [1.0], "p is a list; expected a tensor"),
        ("f", torch.ones(2, dtype=torch.int64), "p is a tensor of torch.int64"),
        ("f", {"a": 1.0}, r"p\['a'\] is a float"),
        ("f", {"a b": torch.ones(2)}, "has the key 'a b'; expected names"),
        ("f", {"forward": torch.ones(2)}, "choose another name"),
        ("f", torch.ones(2, 3).mT, "contiguous"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(source, p, message):
    with pytest.raises(pb.InputError, match=message):
        JuliaDynamics(source, p)
