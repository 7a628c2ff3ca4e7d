"""Dynamics in parts: second order, partitioned and split, against closed forms and as ordinary equations."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor, nn

import pyode_bridge as pb
from tests.problems import DOUBLE

Q0 = torch.tensor([1.0, 0.5], dtype=DOUBLE)
V0 = torch.tensor([0.0, 0.2], dtype=DOUBLE)
T = torch.linspace(0, 3, 7, dtype=DOUBLE)


class Spring(nn.Module):
    """``q'' = -k q``."""

    def __init__(self) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(2.0, dtype=DOUBLE))

    def forward(self, t: Tensor, q: Tensor, v: Tensor) -> Tensor:
        return -self.k * q


def spring(t: Tensor, k: float | Tensor = 2.0) -> Tensor:
    """Positions at ``t``, from `Q0` and `V0` at time 0."""
    w = torch.as_tensor(k, dtype=DOUBLE).sqrt()
    return Q0 * torch.cos(w * t)[:, None] + V0 / w * torch.sin(w * t)[:, None]


def positions(func: nn.Module, t: Tensor = T, **settings: object) -> Tensor:
    with torch.no_grad():
        y = pb.odeint(func, (Q0, V0), t, **settings)  # type: ignore[arg-type]
    assert isinstance(y, tuple)
    return y[0]


def test_a_second_order_equation_is_an_ordinary_one_too(engine: str) -> None:
    q = positions(pb.SecondOrder(Spring()), method="dopri5", engine=engine, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(q, spring(T), rtol=1e-7, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("method", "error"), [("VerletLeapfrog", 1e-3), ("McAte5", 1e-9), ("KahanLi8", 1e-12), ("Nystrom4", 1e-7)]
)
def test_symplectic_and_nystrom_methods(method: str, error: float) -> None:
    q = positions(pb.SecondOrder(Spring()), method=method, engine="julia", options={"dt": 0.02})
    torch.testing.assert_close(q, spring(T), rtol=0, atol=error)


@pytest.mark.julia
def test_an_adaptive_nystrom_method() -> None:
    q = positions(pb.SecondOrder(Spring()), method="DPRKN6", engine="julia", rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(q, spring(T), rtol=0, atol=1e-7)


@pytest.mark.julia
def test_values_between_steps_are_as_accurate_as_steps() -> None:
    times = torch.tensor([0.0, 0.123, 1.777, 3.0], dtype=DOUBLE)
    q = positions(pb.SecondOrder(Spring()), times, method="KahanLi8", engine="julia", options={"dt": 0.1})
    torch.testing.assert_close(q, spring(times), rtol=0, atol=1e-10)


@pytest.mark.julia
def test_a_symplectic_method_keeps_the_energy() -> None:
    pendulum = pb.Partitioned(lambda t, q, p: p, lambda t, q, p: -torch.sin(q))
    t = torch.linspace(0, 1000, 101, dtype=DOUBLE)
    start = torch.tensor([1.0], dtype=DOUBLE)
    y = pb.odeint(pendulum, (start, 0 * start), t, method="McAte5", engine="julia", options={"dt": 0.1})
    assert isinstance(y, tuple)
    energy = y[1] ** 2 / 2 - torch.cos(y[0])
    assert (energy - energy[0]).abs().max() < 1e-5


@pytest.mark.julia
def test_decreasing_times() -> None:
    q = positions(pb.SecondOrder(Spring()), -T, method="KahanLi8", engine="julia", options={"dt": 0.02})
    torch.testing.assert_close(q, spring(-T), rtol=0, atol=1e-12)


@pytest.mark.julia
@pytest.mark.parametrize("sensealg", [None, "BacksolveAdjoint"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(DOUBLE, 1e-10), (torch.float32, 1e-6)], ids=str)
def test_gradients_of_a_symplectic_solve(sensealg: str | None, dtype: torch.dtype, tolerance: float) -> None:
    func, q0 = Spring().to(dtype), Q0.to(dtype, copy=True).requires_grad_()
    y = pb.odeint(
        pb.SecondOrder(func),
        (q0, V0.to(dtype)),
        T,
        method="KahanLi8",
        engine="julia",
        options={"dt": 0.02},
        sensealg=sensealg,
        adjoint_method="Vern7",
        adjoint_rtol=tolerance,
        adjoint_atol=tolerance,
    )
    assert isinstance(y, tuple)
    weights = torch.linspace(-1, 1, 14, dtype=DOUBLE).view(7, 2)
    grads = torch.autograd.grad((weights * y[0]).sum(), (q0, func.k))
    k = func.k.detach().double().requires_grad_()
    (grad_k,) = torch.autograd.grad((weights * spring(T, k)).sum(), k)
    grad_q = (weights * torch.cos(math.sqrt(2) * T)[:, None]).sum(0)
    bound = max(1e-7, 30 * tolerance)
    torch.testing.assert_close(grads, (grad_q.to(dtype), grad_k.to(dtype)), rtol=bound, atol=bound)


LAMBDA = 100.0


def relaxed(t: Tensor) -> Tensor:
    """The solution of ``y' = -LAMBDA y + cos t`` from `Q0`."""
    scale = LAMBDA**2 + 1
    wave = (LAMBDA * torch.cos(t) + torch.sin(t)) / scale
    return (Q0 - LAMBDA / scale) * torch.exp(-LAMBDA * t)[:, None] + wave[:, None]


def forcing(t: Tensor, y: Tensor) -> Tensor:
    return torch.cos(t).expand_as(y)


BY_FUNCTION = pb.Split(lambda t, y: -LAMBDA * y, forcing)
BY_MATRIX = pb.Split(-LAMBDA * torch.eye(2, dtype=DOUBLE), forcing)


@pytest.mark.parametrize("func", [BY_FUNCTION, BY_MATRIX], ids=["function", "matrix"])
def test_a_split_equation_is_the_sum(engine: str, func: pb.Split) -> None:
    method = "Rodas5P" if engine == "julia" else "RadauIIA5"
    y = pb.odeint(func, Q0, T, method=method, engine=engine, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(y, relaxed(T), rtol=1e-5, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("func", "method", "options"),
    [
        (BY_FUNCTION, "KenCarp4", {}),
        (BY_FUNCTION, "CNAB2", {"dt": 1e-3}),
        (BY_FUNCTION, "SBDF2", {"dt": 1e-3}),
        (BY_MATRIX, "CNAB2", {"dt": 1e-3}),
        (BY_MATRIX, "ETDRK4", {"dt": 1e-2}),
        (BY_FUNCTION, "ETDRK4(krylov=true, m=5)", {"dt": 1e-2}),
    ],
    ids=["KenCarp4", "CNAB2", "SBDF2", "CNAB2-matrix", "ETDRK4", "ETDRK4-krylov"],
)
def test_implicit_explicit_and_exponential_methods(func: pb.Split, method: str, options: dict[str, float]) -> None:
    y = pb.odeint(func, Q0, T, method=method, engine="julia", options=options)
    torch.testing.assert_close(y, relaxed(T), rtol=0, atol=2e-6)


@pytest.mark.julia
def test_the_explicit_part_is_not_differentiated() -> None:
    def watched(t: Tensor, y: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return forcing(t, y)

    with torch.no_grad():
        y = pb.odeint(pb.Split(lambda t, y: -LAMBDA * y, watched), Q0, T, method="CNAB2", engine="julia")
    assert isinstance(y, Tensor)


@pytest.mark.julia
def test_gradients_of_a_split_solve() -> None:
    t, y0 = torch.tensor([0.0, 0.01, 0.03], dtype=DOUBLE), Q0.clone().requires_grad_()
    y = pb.odeint(BY_FUNCTION, y0, t, method="KenCarp4", engine="julia", adjoint_method="Vern7")
    assert isinstance(y, Tensor)
    (grad,) = torch.autograd.grad(y[-1].sum(), y0)
    torch.testing.assert_close(grad, torch.full_like(Q0, math.exp(-3)), rtol=1e-6, atol=0)


TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=DOUBLE)


def turned(t: Tensor) -> Tensor:
    """The solution of ``y' = (1 + t) TURN y`` from `Q0`: a turn by ``t + t²/2``."""
    angle = t + t**2 / 2
    return torch.stack([torch.matrix_exp(turn * TURN) @ Q0 for turn in angle])


def test_a_quasilinear_equation_is_an_ordinary_one_too(engine: str) -> None:
    func = pb.Quasilinear(lambda t, y: (1 + t) * TURN)
    y = pb.odeint(func, Q0, T, method="dopri5", engine=engine, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(y, turned(T), rtol=1e-6, atol=1e-7)


@pytest.mark.julia
@pytest.mark.parametrize(
    ("method", "error"), [("MagnusGL6", 1e-9), ("MagnusGauss4", 1e-7), ("MagnusMidpoint", 1e-3), ("MagnusGL8", 1e-9)]
)
def test_magnus_methods(method: str, error: float) -> None:
    func = pb.Quasilinear(lambda t, y: (1 + t) * TURN)
    y = pb.odeint(func, Q0, T, method=method, engine="julia", options={"dt": 0.01})
    torch.testing.assert_close(y, turned(T), rtol=0, atol=error)


@pytest.mark.julia
@pytest.mark.parametrize(("method", "error"), [("LieEuler", 1e-1), ("LieRK4", 1e-7), ("RKMK4", 1e-7), ("CG3", 1e-5)])
def test_lie_group_methods(method: str, error: float) -> None:
    """``y' = (y . y) TURN y`` keeps its length, so that it turns at a constant rate."""
    func = pb.Quasilinear(lambda t, y: (y @ y) * TURN)
    y = pb.odeint(func, Q0, T, method=method, engine="julia", options={"dt": 0.01})
    assert isinstance(y, Tensor)
    exact = torch.stack([torch.matrix_exp((Q0 @ Q0) * time * TURN) @ Q0 for time in T])
    torch.testing.assert_close(y, exact, rtol=0, atol=error)
    torch.testing.assert_close(y.norm(dim=-1), Q0.norm().expand(len(T)))


@pytest.mark.julia
@pytest.mark.parametrize(
    ("func", "method", "message"),
    [
        (lambda t, y: (y[1], -y[0]), "KahanLi8", "pyode_bridge.SecondOrder or Partitioned"),
        (pb.Partitioned(lambda t, q, p: p, lambda t, q, p: -q), "DPRKN6", "DPRKN6 solves q'' = .*SecondOrder"),
        (lambda t, y: (y[1], -y[0]), "CNAB2", "a stiff or fast part and another.*pyode_bridge.Split"),
        (lambda t, y: (y[1], -y[0]), "ETDRK4", r"Split\(matrix, f\)"),
        (lambda t, y: (y[1], -y[0]), "MagnusGL6", "Quasilinear"),
    ],
    ids=["symplectic", "nystrom", "imex", "exponential", "magnus"],
)
def test_a_method_says_which_parts_it_needs(func: object, method: str, message: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=message):
        pb.odeint(func, (Q0, V0), T, method=method, engine="julia", options={"dt": 0.1})  # type: ignore[arg-type]


@pytest.mark.julia
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adjoint_method": "KahanLi8"}, 'adjoint_method="Vern7"'),
        ({"sensealg": "DiscreteAdjoint"}, "checkpointing=true"),
    ],
)
def test_an_adjoint_that_does_not_fit_is_refused_before_the_solve(settings: dict[str, str], message: str) -> None:
    with pytest.raises(pb.UnsupportedError, match=message):
        pb.odeint(pb.SecondOrder(Spring()), (Q0, V0), T, method="KahanLi8", engine="julia", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("y0", [Q0, (Q0, torch.zeros(3, dtype=DOUBLE)), (Q0, V0, V0)], ids=["one", "unlike", "three"])
def test_halves_must_be_alike(y0: object) -> None:
    with pytest.raises(pb.InputError, match="a tuple of two of one shape"):
        pb.odeint(pb.SecondOrder(lambda t, q, v: v), y0, T, engine="embedded")  # type: ignore[arg-type]


def test_a_matrix_must_fit_the_state() -> None:
    with pytest.raises(pb.InputError, match=r"matrix has shape \(3, 3\); expected \(2, 2\)"):
        pb.odeint(pb.Split(torch.eye(3, dtype=DOUBLE), forcing), Q0, T, engine="embedded")


def test_a_quasilinear_equation_needs_a_square_matrix_and_one_tensor() -> None:
    with pytest.raises(pb.InputError, match=r"matrix\(t, y\) has shape \(3, 3\); expected \(2, 2\)"):
        pb.odeint(pb.Quasilinear(lambda t, y: torch.eye(3, dtype=DOUBLE)), Q0, T, engine="embedded")
    with pytest.raises(pb.InputError, match="one real tensor"):
        pb.odeint(pb.Quasilinear(lambda t, y: TURN), (Q0, V0), T, engine="embedded")


@pytest.mark.julia
@pytest.mark.parametrize(
    ("func", "method", "options"),
    [
        (pb.Split(lambda t, y: -y, lambda t, y: 0 * y), "KenCarp4", {}),
        (pb.Split(-torch.eye(2, dtype=DOUBLE), lambda t, y: 0 * y), "ETDRK4", {"dt": 0.1}),
        (pb.Quasilinear(lambda t, y: -torch.eye(2, dtype=DOUBLE)), "MagnusGL6", {"dt": 0.1}),
        (pb.SecondOrder(lambda t, q, v: -q - 2 * v), "DPRKN6FM", {}),
        (pb.Partitioned(lambda t, q, p: -q, lambda t, q, p: -p), "McAte5", {"dt": 0.1}),
    ],
)
def test_solvers_of_parts_refuse_what_they_would_drop_and_others_take_it(
    func: torch.nn.Module, method: str, options: dict[str, float]
) -> None:
    in_halves = isinstance(func, pb.Partitioned)
    y0 = torch.tensor([1.0, 2.0], dtype=DOUBLE)
    start = (y0[:1], y0[1:]) if in_halves else y0
    t = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    mass = torch.diag(torch.tensor([2.0, 4.0], dtype=DOUBLE))
    for given in ({"mass_matrix": mass}, {"jac_sparsity": torch.ones(2, 2)}):
        with pytest.raises(pb.UnsupportedError, match="neither mass_matrix nor jac_sparsity"):
            pb.odeint(func, start, t, method=method, options=options, engine="julia", **given)
    whole = pb.odeint(func, start, t, method="Rodas5P", engine="julia", mass_matrix=mass, rtol=1e-9, atol=1e-10)
    matrix = (
        torch.tensor([[0.0, 1.0], [-1.0, -2.0]], dtype=DOUBLE) if isinstance(func, pb.SecondOrder) else -torch.eye(2)
    )
    exact = torch.linalg.matrix_exp(torch.linalg.inv(mass) @ matrix.to(DOUBLE)) @ y0
    last = torch.cat([half[-1] for half in whole]) if in_halves else whole[-1]
    torch.testing.assert_close(last, exact, rtol=1e-6, atol=1e-8)


@pytest.mark.julia
@pytest.mark.parametrize("method", ["KahanLi8", "DPRKN6FM"])
def test_predicates_of_solvers_of_halves_see_the_whole_state(method: str) -> None:
    seen: list[float] = []

    def fast(t: Tensor, state: tuple[Tensor, Tensor]) -> bool:
        seen.append(float(state[0]) ** 2 + float(state[1]) ** 2)
        return float(t) > 0.5

    spring = pb.SecondOrder(lambda t, q, v: -q)
    start, t = (torch.ones(1, dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE)), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    with pytest.raises(pb.SolverError) as caught:
        pb.odeint(spring, start, t, method=method, engine="julia", options={"dt": 0.1, "unstable_check": fast})
    assert caught.value.retcode == "Unstable"
    assert seen == pytest.approx([1.0] * len(seen), rel=1e-5)


@pytest.mark.julia
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("method", ["KahanLi8", "VelocityVerlet", "DPRKN6", "ERKN4", "IRKN4"])
def test_a_force_that_depends_on_velocities_is_refused_where_steps_would_be_poor(
    method: str, dtype: torch.dtype
) -> None:
    damped = pb.SecondOrder(lambda t, q, v: -q - 0.5 * v)
    start, t = (torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)), torch.tensor([0.0, 1.0], dtype=dtype)
    with pytest.raises(
        pb.UnsupportedError, match=f"{method} takes a force that depends on positions alone.*'FineRKN5'"
    ):
        pb.odeint(damped, start, t, method=method, engine="julia", options={"dt": 0.1})
    solved = [pb.odeint(damped, start, t, method=name, engine="julia")[0][-1] for name in ("FineRKN5", "Tsit5")]
    torch.testing.assert_close(solved[0], solved[1], rtol=1e-4, atol=1e-6)


@pytest.mark.julia
def test_a_velocity_that_depends_on_positions_is_refused_by_symplectic_methods() -> None:
    coupled = pb.Partitioned(lambda t, q, p: p * (1 + q**2), lambda t, q, p: -q)
    start, t = (torch.ones(1, dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE)), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    with pytest.raises(pb.UnsupportedError, match="KahanLi8 takes a velocity that depends on momenta alone"):
        pb.odeint(coupled, start, t, method="KahanLi8", engine="julia", options={"dt": 0.1})


@pytest.mark.julia
def test_progress_of_parts_is_told_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    def explicit(t: Tensor, y: Tensor) -> Tensor:
        time.sleep(2e-4)  # so that there is time to be told on the way
        return torch.sin(50 * t) * y

    parts = pb.Split(lambda t, y: -y, explicit)
    y0, t = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 10.0], dtype=DOUBLE)
    pb.odeint(parts, y0, t, method="KenCarp4", engine="julia", lane="callback", progress=True)
    shown = {part.split("%")[0].split()[-1] for part in capsys.readouterr().err.split("\r") if "%" in part}
    assert len(shown) > 5


@pytest.mark.julia
def test_a_solver_of_the_whole_takes_a_pattern_of_parts() -> None:
    pattern = torch.ones(4, 4)
    q = positions(
        pb.SecondOrder(Spring()), method="Rodas5P", engine="julia", rtol=1e-9, atol=1e-9, jac_sparsity=pattern
    )
    torch.testing.assert_close(q, spring(T), rtol=1e-6, atol=1e-6)
