"""A bouncing ball's gravity and restitution, learnt from the times of its first bounces.

Each bounce is an event that turns the velocity round; gradients pass through the times of the events and through what
they do (Chen, Amos & Nickel 2021, "Learning neural event functions"). A ball bounces infinitely often before it comes
to rest, so a solve ends at the last bounce that was observed, whatever parameters the optimiser tries, and the
restitution is kept below 1 by a sigmoid. The closed form makes the measurements and checks the result.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import COLORS

GRAVITY, RESTITUTION, HEIGHT = 9.81, 0.8, 1.0  # m/s², the ratio of speeds after and before a bounce, m
GUESS = {"gravity": 4.0, "restitution": 0.5}
BOUNCES, QUICK_BOUNCES = 5, 3
NOISE = 0.002  # s, standard deviation of the measured times
LONGEST = 60.0  # s; in the weakest gravity that is allowed, the last bounce is earlier
LEAST_GRAVITY = 0.5  # m/s²
TOLERANCES = {"rtol": 1e-8, "atol": 1e-8}


class Ball(torch.nn.Module):
    """Height, velocity, and the number of bounces so far."""

    def __init__(self, gravity: float, restitution: float, bounces: int) -> None:
        super().__init__()
        self.log_gravity = torch.nn.Parameter(torch.tensor(math.log(gravity - LEAST_GRAVITY)))
        self.logit_restitution = torch.nn.Parameter(torch.tensor(restitution).logit())
        self.bounces = bounces

    def gravity(self) -> Tensor:
        return LEAST_GRAVITY + self.log_gravity.exp()

    def restitution(self) -> Tensor:
        return self.logit_restitution.sigmoid()

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([y[1], -self.gravity(), torch.zeros_like(y[2])])

    def bounced(self, _t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(y[0]), -self.restitution() * y[1], y[2] + 1])

    def events(self) -> list[pb.Event]:
        """The last bounce, which ends the solve, and any other."""

        def last_height(_t: Tensor, y: Tensor) -> Tensor:
            return torch.where(y[2] > self.bounces - 1.5, y[0], 1.0)

        return [
            pb.Event(last_height, terminal=True, direction="falling"),
            pb.Event(lambda _t, y: y[0], self.bounced, direction="falling"),
        ]

    def start(self) -> Tensor:
        return torch.tensor([HEIGHT, 0.0, 0.0])

    def bounce_times(self, solver: dict[str, Any]) -> Tensor:
        """When the bounces happen, shape ``(bounces,)``, with autograd."""
        found = pb.solve_events(self, self.start(), torch.tensor([0.0, LONGEST]), self.events(), **solver)
        return torch.stack([record.t for record in found.events])


def closed_form_times(gravity: float, restitution: float, bounces: int) -> np.ndarray[Any, Any]:
    first = math.sqrt(2 * HEIGHT / gravity)
    return first * (1 + 2 * np.cumsum([0.0, *(restitution**k for k in range(1, bounces))]))


def closed_form_height(t: np.ndarray[Any, Any], bounces: int) -> np.ndarray[Any, Any]:
    """The true height at times up to the last bounce."""
    times = closed_form_times(GRAVITY, RESTITUTION, bounces)
    count = np.searchsorted(times, t)
    since = t - np.concatenate([[0.0], times])[count]
    speed = np.where(count > 0, math.sqrt(2 * GRAVITY * HEIGHT) * RESTITUTION**count, 0.0)
    return np.where(count > 0, 0.0, HEIGHT) + speed * since - GRAVITY / 2 * since**2


def closed_form_fit(measured: Tensor) -> tuple[float, float]:
    """Gravity and restitution by least squares over the closed form: what the measurements can tell."""
    found = least_squares(
        lambda x: closed_form_times(x[0], x[1], len(measured)) - measured.numpy(), list(GUESS.values()), xtol=1e-14
    )
    return float(found.x[0]), float(found.x[1])


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.arguments(__doc__, name="bouncing_ball", method="dopri5", iterations=8, quick_iterations=4)
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    bounces = QUICK_BOUNCES if args.quick else BOUNCES
    exact = torch.tensor(closed_form_times(GRAVITY, RESTITUTION, bounces))
    measured = exact + NOISE * torch.randn(bounces)
    model = Ball(**GUESS, bounces=bounces)
    guessed = flight(model, solver)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def step(_iteration: int) -> dict[str, float]:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (model.bounce_times(solver) - measured).square().mean()
            loss.backward()
            return loss

        before = optimizer.step(closure).item() ** 0.5
        return {"rms before (s)": before, "gravity": model.gravity().item(), "restitution": model.restitution().item()}

    training = common.train(step, {"model": model, "optimizer": optimizer}, args, every=1)

    best = closed_form_fit(measured)
    learnt = (model.gravity().item(), model.restitution().item())
    numbers = {
        "gravity": {"true": GRAVITY, "learnt": learnt[0], "closed-form fit": best[0]},
        "restitution": {"true": RESTITUTION, "learnt": learnt[1], "closed-form fit": best[1]},
        "error": max(abs(mine / theirs - 1) for mine, theirs in zip(learnt, best, strict=True)),
        "bounces": bounces,
        "noise_s": NOISE,
    }
    for name in ("gravity", "restitution"):
        print(name + ": " + ", ".join(f"{key} {value:.6f}" for key, value in numbers[name].items()))
    draw(args.output / "bouncing_ball.png", measured, guessed, flight(model, solver), training["history"])
    solution = pb.solve(model, model.start(), torch.tensor([0.0, 0.1]), **solver)  # before the first bounce
    common.write_results(args, solution, training, numbers)


def flight(model: Ball, solver: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Times and heights up to the last bounce."""
    with torch.no_grad():
        end = model.bounce_times(solver)[-1]
        found = pb.solve_events(model, model.start(), torch.linspace(0, end, 300), model.events(), **solver)
    return found.t, found.y[:, 0]


def draw(
    path: Path,
    measured: Tensor,
    guessed: tuple[Tensor, Tensor],
    learnt: tuple[Tensor, Tensor],
    history: list[dict[str, float]],
) -> None:
    blue, red, green = COLORS[:3]
    figure, (height, curve) = plt.subplots(2, 1, figsize=(9, 8), height_ratios=(3, 2), layout="constrained")
    t = np.linspace(0, closed_form_times(GRAVITY, RESTITUTION, len(measured))[-1], 600)
    height.plot(*guessed, ":", color=green, label="first guess")
    height.plot(t, closed_form_height(t, len(measured)), color="0.6", lw=4, label="truth")
    height.plot(*learnt, "--", color=red, label="learnt")
    height.plot(measured, torch.zeros_like(measured), "o", color=blue, label="measured bounces")
    height.set(title="Height of the ball until its last measured bounce", xlabel="t (s)", ylabel="height (m)")
    height.legend(loc="upper right")

    iterations = range(1, len(history) + 1)
    for name, truth, color, marker in (("gravity", GRAVITY, blue, "o"), ("restitution", RESTITUTION, red, "s")):
        off = [abs(row[name] / truth - 1) for row in history]
        curve.semilogy(iterations, off, color=color, marker=marker, label=name)
    curve.set(title="Learning", xlabel="iteration", ylabel="relative distance to the truth")
    curve.xaxis.get_major_locator().set_params(integer=True)
    curve.legend()
    figure.savefig(path, dpi=120)
    figure.savefig(path.with_suffix(".svg"))
    plt.close(figure)


if __name__ == "__main__":
    main()
