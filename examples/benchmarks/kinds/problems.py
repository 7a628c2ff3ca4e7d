"""A problem of each kind of equation, in torch; its twin in Julia, by hand, has the same name in `handwritten.jl`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import pyode_bridge as pb

DOUBLE = torch.float64
POINTS = 64  # of the advection and diffusion along a ring
PATHS = 10_000
BOUNCES = 100
ENSEMBLE, DELAYED, BALLS = 1000, 100, 20  # trajectories
CALLED = "callback"  # the lane
HIDDEN, WIDTH, BATCH = 32, 4, 64  # of the neural stochastic equation


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE)


@dataclass(frozen=True)
class Kind:
    """One problem.

    Attributes:
        name: in the table.
        twin: its name in Julia.
        method: the solver.
        equation: the kind that it is for.
        solve: solves in the lane of a name.
        controls: the twin's tolerances and step, a step of 0 for one that the solver chooses.
        weights: numbers that the twin takes, beside the start.
        error: how far the last values may be from the twin's, relative to the largest; None for random paths.
    """

    name: str
    twin: str
    method: str
    equation: str
    solve: Callable[[str], pb.Solution | pb.EventSolution | pb.EnsembleSolution]
    y0: Tensor
    end: float
    controls: tuple[float, float, float]
    weights: tuple[Tensor, ...] = ()
    error: float | None = 1e-6

    def work(self, lane: str) -> Tensor:
        """The values at the end, flat."""
        sol = self.solve(lane)
        if sol.lane != lane:
            raise RuntimeError(f"{self.name} ran in the lane {sol.lane}: {sol.lane_reason}")
        leaves: Any = sol.y if isinstance(sol.y, tuple) else (sol.y,)
        return torch.cat([leaf[-1].reshape(-1) for leaf in leaves])


def _times(end: float) -> Tensor:
    return vector(0.0, end)


def henon_heiles() -> Kind:
    """Motion of a star about a galaxy's centre (Hénon and Heiles 1964), by a symplectic method."""
    func = pb.SecondOrder(lambda t, q, v: torch.stack([-q[0] - 2 * q[0] * q[1], -q[1] - q[0] ** 2 + q[1] ** 2]))
    start, end, dt = (vector(0.1, 0.0), vector(0.0, 0.5)), 100.0, 0.1

    def solve(lane: str) -> pb.Solution:
        return pb.solve(func, start, _times(end), method="KahanLi8", options={"dt": dt}, engine="julia", lane=lane)  # type: ignore[arg-type]

    return Kind("Henon-Heiles", "henon_heiles", "KahanLi8", "ODE", solve, torch.cat(start), end, (0.0, 0.0, dt))


def advection_diffusion(method: str, dt: float) -> Kind:
    """A wave along a ring that steepens, explicitly, and spreads, implicitly."""
    h = 2 * torch.pi / POINTS
    func = pb.Split(
        lambda t, u: 0.1 / h**2 * (torch.roll(u, 1) - 2 * u + torch.roll(u, -1)),
        lambda t, u: -u * (torch.roll(u, -1) - torch.roll(u, 1)) / (2 * h),
    )
    y0, end, tolerance = 1 + 0.5 * torch.linspace(0, 2 * torch.pi, POINTS + 1, dtype=DOUBLE)[:-1].sin(), 1.0, 1e-6
    options = {"dt": dt} if dt else {}

    def solve(lane: str) -> pb.Solution:
        return pb.solve(
            func,
            y0,
            _times(end),
            method=method,
            options=options,
            rtol=tolerance,
            atol=tolerance,
            engine="julia",
            lane=lane,  # type: ignore[arg-type]
        )

    return Kind(
        f"advection and diffusion, {method}",
        "advection_diffusion",
        method,
        "ODE",
        solve,
        y0,
        end,
        (tolerance, tolerance, dt),
        error=1e-4,
    )


def driven_spin() -> Kind:
    """A spin of 1/2 in a rotating field, as four real numbers, by exponentials of its matrix."""
    turns = torch.tensor([[0.0, 0, 0, -1], [0, 0, -1, 0], [0, 1, 0, 0], [1, 0, 0, 0]], dtype=DOUBLE)
    splits = torch.tensor([[0.0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]], dtype=DOUBLE)
    func = pb.Quasilinear(lambda t, y: t.cos() * turns + t.sin() * splits)
    y0, end, dt = vector(1.0, 0.0, 0.0, 0.0), 10.0, 0.05

    def solve(lane: str) -> pb.Solution:
        return pb.solve(func, y0, _times(end), method="MagnusGL6", options={"dt": dt}, engine="julia", lane=lane)  # type: ignore[arg-type]

    return Kind("driven spin", "driven_spin", "MagnusGL6", "ODE", solve, y0, end, (0.0, 0.0, dt))


def brownian(paths: int) -> Kind:
    """Geometric Brownian motion, paths as one state."""
    y0, end, dt, growth, spread = torch.ones(paths, dtype=DOUBLE), 1.0, 1e-2, 0.1, 0.3

    def solve(lane: str) -> pb.Solution:
        return pb.solve_sde(
            lambda t, y: growth * y,
            lambda t, y: spread * y,
            y0,
            _times(end),
            method="EM",
            options={"dt": dt},
            seed=1,
            lane=lane,  # type: ignore[arg-type]
        )

    name = f"geometric Brownian motion, {paths:,} path{'s' if paths > 1 else ''}"
    return Kind(name, "brownian", "EM", "SDE", solve, y0, end, (0.0, 0.0, dt), error=None)


class NeuralNoise(nn.Module):
    """A network for the drift, and one for the noise, which is diagonal."""

    def __init__(self) -> None:
        super().__init__()
        self.drift = self._net()
        self.spread = self._net()

    @staticmethod
    def _net() -> nn.Sequential:
        return nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, WIDTH)).to(DOUBLE)


def neural_noise(method: str, dt: float) -> Kind:
    """A neural stochastic equation over a batch."""
    torch.manual_seed(0)
    model, end, tolerance = NeuralNoise(), 1.0, 1e-2
    y0, options = torch.ones(BATCH, WIDTH, dtype=DOUBLE), {"dt": dt} if dt else {}

    def solve(lane: str) -> pb.Solution:
        with torch.no_grad():
            return pb.solve_sde(
                lambda t, y: model.drift(y),
                lambda t, y: 0.1 * model.spread(y),
                y0,
                _times(end),
                method=method,
                options=options,
                seed=1,
                rtol=tolerance,
                atol=tolerance,
                lane=lane,  # type: ignore[arg-type]
            )

    weights = tuple(parameter.detach() for parameter in model.parameters())
    controls = tolerance, tolerance, dt
    return Kind(f"neural noise, {method}", "neural_noise", method, "SDE", solve, y0, end, controls, weights, None)


def mackey_glass() -> Kind:
    """Blood cells with a delay (Mackey and Glass 1977)."""
    y0, end, tolerance = vector(1.2), 300.0, 1e-6

    def solve(lane: str) -> pb.Solution:
        return pb.solve_dde(
            lambda t, y, past: 0.2 * past[0] / (1 + past[0] ** 10) - 0.1 * y,
            y0,
            _times(end),
            lags=[17.0],
            method="MethodOfSteps(Tsit5())",
            rtol=tolerance,
            atol=tolerance,
            lane=lane,  # type: ignore[arg-type]
        )

    controls = tolerance, tolerance, 0.0
    return Kind("Mackey-Glass", "mackey_glass", "MethodOfSteps(Tsit5())", "DDE", solve, y0, end, controls, error=1e-2)


def robertson(method: str) -> Kind:
    """Robertson's reaction as a residual, with its conservation law."""

    def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        slow, fast = 0.04 * y[0] - 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return torch.stack([-slow - dy[0], slow - fast - dy[1], y.sum() - 1])

    y0, dy0, end, rtol, atol = vector(1.0, 0.0, 0.0), vector(-0.04, 0.04, 0.0), 1e4, 1e-6, 1e-8

    def solve(lane: str) -> pb.Solution:
        return pb.solve_dae(residual, y0, _times(end), dy0=dy0, method=method, rtol=rtol, atol=atol, lane=lane)  # type: ignore[arg-type]

    return Kind(
        f"Robertson's residual, {method}", "robertson", method, "DAE", solve, y0, end, (rtol, atol, 0.0), (dy0,), 1e-3
    )


def bouncing_ball() -> Kind:
    """A ball that keeps 97 % of its speed at each of a hundred bounces."""
    floor = pb.Event(
        lambda t, y: y[0],
        lambda t, y: torch.stack([torch.zeros_like(y[0]), -0.97 * y[1]]),
        direction="falling",
    )
    y0, end, tolerance = vector(1.0, 0.0), 28.24, 1e-8

    def solve(lane: str) -> pb.EventSolution:
        found = pb.solve_events(
            lambda t, y: torch.stack([y[1], torch.full_like(y[1], -9.81)]),
            y0,
            _times(end),
            [floor],
            method="Tsit5",
            rtol=tolerance,
            atol=tolerance,
            engine="julia",
            lane=lane,  # type: ignore[arg-type]
        )
        if len(found.events) != BOUNCES:
            raise RuntimeError(f"The ball bounced {len(found.events)} times; expected {BOUNCES}.")
        return found

    solve(CALLED)  # at whose bounces it shows that they do nothing but return a state
    name, controls = f"bouncing ball, {BOUNCES} bounces", (tolerance, tolerance, 0.0)
    return Kind(name, "bouncing_ball", "Tsit5", "ODE", solve, y0, end, controls, error=1e-4)


def lindblad() -> Kind:
    """A driven spin of 1/2 that decays: its density matrix, of complex numbers (Lindblad 1976)."""
    lower = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.complex128)
    decay, pairs = 0.3, 0.3 * lower.mH @ lower

    def func(t: Tensor, rho: Tensor) -> Tensor:
        up = 0.5 * torch.exp(2j * t) * lower.mH
        field = up + up.mH
        lost = (pairs @ rho + rho @ pairs) / 2
        return -1j * (field @ rho - rho @ field) + decay * lower @ rho @ lower.mH - lost

    y0, end, tolerance = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.complex128), 50.0, 1e-8

    def solve(lane: str) -> pb.Solution:
        return pb.solve(
            func, y0, _times(end), method="Tsit5", rtol=tolerance, atol=tolerance, engine="julia", lane=lane
        )  # type: ignore[arg-type]

    return Kind("Lindblad", "lindblad", "Tsit5", "ODE", solve, y0, end, (tolerance, tolerance, 0.0))


def ensemble_of_paths() -> Kind:
    """Geometric Brownian motion, each path by a solve and a seed of its own, and with a growth of its own."""
    walk = pb.SDE(lambda t, y, p: p * y, lambda t, y, p: 0.3 * y, seed=1)
    y0, growth = torch.ones(ENSEMBLE, 1, dtype=DOUBLE), torch.linspace(0.05, 0.15, ENSEMBLE, dtype=DOUBLE)[:, None]
    end, dt = 1.0, 1e-2

    def solve(lane: str) -> pb.EnsembleSolution:
        return pb.solve_ensemble(walk, y0, _times(end), growth, method="EM", options={"dt": dt}, lane=lane)  # type: ignore[arg-type]

    name = f"ensemble of {ENSEMBLE:,} paths"
    return Kind(name, "ensemble_of_paths", "EM", "SDE", solve, y0, end, (0.0, 0.0, dt), (growth,), None)


def ensemble_of_delays() -> Kind:
    """Blood cells from several pasts."""
    cells = pb.DDE(lambda t, y, past: 0.2 * past[0] / (1 + past[0] ** 10) - 0.1 * y, [17.0])
    y0, end, tolerance = torch.linspace(0.5, 1.5, DELAYED, dtype=DOUBLE)[:, None], 100.0, 1e-6

    def solve(lane: str) -> pb.EnsembleSolution:
        return pb.solve_ensemble(
            cells,
            y0,
            _times(end),
            method="MethodOfSteps(Tsit5())",
            rtol=tolerance,
            atol=tolerance,
            lane=lane,  # type: ignore[arg-type]
        )

    name, controls = f"ensemble of {DELAYED} with delays", (tolerance, tolerance, 0.0)
    method = "MethodOfSteps(Tsit5())"
    return Kind(name, "ensemble_of_delays", method, "DDE", solve, y0, end, controls, error=1e-3)


def ensemble_of_balls() -> Kind:
    """Balls that keep some of their speed at each of five or more bounces."""
    floor = pb.Event(
        lambda t, y, p: y[0],
        lambda t, y, p: torch.stack([torch.zeros_like(y[0]), -p[0] * y[1]]),
        direction="falling",
    )
    balls = pb.Hybrid(lambda t, y, p: torch.stack([y[1], torch.full_like(y[1], -9.81)]), [floor])
    y0, end, tolerance = vector(1.0, 0.0).repeat(BALLS, 1), 4.0, 1e-8
    kept = torch.linspace(0.85, 0.97, BALLS, dtype=DOUBLE)[:, None]

    def solve(lane: str) -> pb.EnsembleSolution:
        return pb.solve_ensemble(
            balls,
            y0,
            _times(end),
            kept,
            method="Tsit5",
            rtol=tolerance,
            atol=tolerance,
            engine="julia",
            lane=lane,  # type: ignore[arg-type]
        )

    solve("auto")  # at whose bounces it shows that they do nothing but return a state
    name, controls = f"ensemble of {BALLS} bouncing balls", (tolerance, tolerance, 0.0)
    return Kind(name, "ensemble_of_balls", "Tsit5", "ODE", solve, y0, end, controls, (kept,), error=1e-6)


def problems(*, quick: bool) -> Sequence[Kind]:
    some = [henon_heiles(), driven_spin(), robertson("DFBDF"), bouncing_ball()]
    if quick:
        return some
    return [
        *some,
        robertson("IDA"),
        advection_diffusion("KenCarp4", 0.0),
        advection_diffusion("SBDF2", 1e-3),
        brownian(1),
        brownian(PATHS),
        neural_noise("EM", 1e-2),
        neural_noise("SOSRI", 0.0),
        mackey_glass(),
        lindblad(),
        ensemble_of_paths(),
        ensemble_of_delays(),
        ensemble_of_balls(),
    ]
