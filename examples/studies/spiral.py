"""Learn a spiral from noisy points: a small network stands for an unknown vector field (Chen et al. 2018, section 5).

The truth is dy/dt = y^3 A, as in torchdiffeq's demo. A network sees noisy points of one trajectory, never the field: it
is trained to carry short pieces of the trajectory from their first point, noisy as it is, through the next ones, by
Adam; then to carry the true first point through all of them, by L-BFGS. At the end it is solved over all times, and
compared with the truth.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common

A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
FIRST = torch.tensor([2.0, 0.0])
TIMES = torch.linspace(0.0, 6.0, 400)
NOISE = 0.02  # standard deviation of each measured coordinate
BATCH = 256  # pieces of trajectory in one iteration
PIECE = torch.arange(3) * 10  # positions in TIMES of a piece's points, from its start
LEARNING_RATE = 2e-2
TOLERANCES = {"rtol": 1e-4, "atol": 1e-5}  # for the pieces
WHOLE = 0.025  # share of the iterations that fit the whole trajectory, at the end
SEARCHES = 10  # steps of L-BFGS in one of them
TIGHT = {"rtol": 1e-5, "atol": 1e-6}  # for the whole trajectory: a line search needs a loss without jumps
FINE = {"rtol": 1e-7, "atol": 1e-9}  # for the truth


class Spiral(torch.nn.Module):
    """dy/dt = net(y^3)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2))
        for layer in (self.net[0], self.net[2]):
            torch.nn.init.normal_(layer.weight, std=0.1)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.net(y**3)


def true_field(_t: Tensor, y: Tensor) -> Tensor:
    return y**3 @ A


def learning_rate(iteration: int, total: int) -> float:
    """Warm up, then fall to zero along a cosine."""
    return LEARNING_RATE * min(1.0, 10 * (iteration + 1) / total) * 0.5 * (1 + math.cos(math.pi * iteration / total))


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def pieces(data: Tensor) -> tuple[Tensor, Tensor]:
    """Pieces from random starts: their points, of shape (time, batch, 2), and times."""
    starts = torch.randint(0, len(TIMES) - int(PIECE[-1]), (BATCH,))
    return data[PIECE[:, None] + starts], TIMES[PIECE]


def main() -> None:
    args = common.arguments(__doc__, name="spiral", method="dopri5", iterations=1000, quick_iterations=80)
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    with torch.no_grad():
        truth = pb.odeint(true_field, FIRST, TIMES, **{**solver, **FINE})
    data = truth + NOISE * torch.randn_like(truth)
    model = Spiral()
    adam = torch.optim.Adam(model.parameters())
    lbfgs = torch.optim.LBFGS(
        model.parameters(),
        max_iter=SEARCHES,
        history_size=30,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    in_pieces = args.iterations - round(WHOLE * args.iterations)

    def fit_pieces(iteration: int) -> dict[str, float]:
        adam.param_groups[0]["lr"] = learning_rate(iteration, in_pieces)
        points, times = pieces(data)
        solution = pb.solve(model, points[0], times, **solver)
        loss = (solution.y[1:] - points[1:]).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return {"loss": loss.item(), "nfe": solution.stats.nfe}

    def fit_whole() -> dict[str, float]:
        losses, nfe = [], 0

        def loss() -> Tensor:
            nonlocal nfe
            solution = pb.solve(model, FIRST, TIMES, **{**solver, **TIGHT})
            loss = (solution.y[1:] - data[1:]).square().mean()
            lbfgs.zero_grad()
            loss.backward()
            losses.append(loss.item())
            nfe += solution.stats.nfe
            return loss

        lbfgs.step(loss)
        if min(losses) >= losses[0]:
            lbfgs.state.clear()  # what it took for the curvature leads nowhere: it starts anew along the gradient
        return {"loss": min(losses) ** 0.5, "nfe": nfe}

    def step(iteration: int) -> dict[str, float]:
        return fit_pieces(iteration) if iteration < in_pieces else fit_whole()

    training = common.train(step, {"model": model, "adam": adam, "lbfgs": lbfgs}, args, every=100)

    solution = pb.solve(model, FIRST, TIMES, **{**solver, **TIGHT})
    fit = solution.y.detach()
    numbers = {
        "error": rms(fit - truth),
        "mean_absolute_error": (fit - truth).abs().mean().item(),
        "rms_to_noisy_data": rms(fit - data),
        "noise": NOISE,
        "last_loss": training["history"][-1]["loss"],
        "nfe_whole_trajectory": solution.stats.nfe,
    }
    print(
        f"Fit to the truth over all times: RMSE {numbers['error']:.4f}, mean absolute error "
        f"{numbers['mean_absolute_error']:.4f} (the noise is {NOISE}, the spiral's radius {FIRST.norm():g} at first)"
    )
    draw(args.output / "spiral.png", truth, data, fit, model, [row["loss"] for row in training["history"]], in_pieces)
    common.write_results(args, solution, training, numbers)


def draw(
    path: Path, truth: Tensor, data: Tensor, fit: Tensor, model: Spiral, losses: list[float], in_pieces: int
) -> None:
    figure, ((plane, time), (field, curve)) = plt.subplots(2, 2, figsize=(12, 10), layout="constrained")
    plane.plot(*data.T, ".", ms=4, color="0.7", label=f"measured (noise {NOISE})")
    plane.plot(*truth.T, color="k", lw=1, label="truth")
    plane.plot(*fit.T, "--", color="tab:red", lw=1.5, label="learnt ODE")
    plane.plot(*FIRST, "o", color="k", ms=7, label="start")
    plane.set(title="The spiral", xlabel="y1", ylabel="y2", aspect="equal")
    plane.legend(loc="center", fontsize="small")

    for row, color in ((0, "tab:blue"), (1, "tab:green")):
        time.plot(TIMES, data[:, row], ".", ms=3, color=color, alpha=0.3)
        time.plot(TIMES, truth[:, row], color=color, lw=1, label=f"y{row + 1}, truth")
        time.plot(TIMES, fit[:, row], "--", color="tab:red", lw=1.3, label="learnt ODE" if row else None)
    time.set(title="The same against time", xlabel="t", ylabel="y1, y2")
    time.legend(loc="upper right", ncols=3)

    axis = torch.linspace(-2.2, 2.2, 23)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    with torch.no_grad():
        learnt, true = model(TIMES[0], places), true_field(TIMES[0], places)
    angle = torch.rad2deg(torch.nn.functional.cosine_similarity(learnt, true, dim=-1).clamp(-1, 1).acos())
    arrows = learnt / learnt.norm(dim=-1, keepdim=True)
    shown = field.quiver(
        places[..., 0], places[..., 1], arrows[..., 0], arrows[..., 1], angle, cmap="viridis_r", clim=(0, 45), scale=28
    )
    field.plot(*truth.T, color="k", lw=0.8, alpha=0.6)
    field.set(title="Learnt field: directions; line: where data were", xlabel="y1", ylabel="y2", aspect="equal")
    figure.colorbar(shown, ax=field, label="angle to the true field (degrees)", extend="max")

    by_pieces, by_whole = losses[:in_pieces], losses[in_pieces:]
    smooth = torch.tensor(by_pieces).unfold(0, min(20, in_pieces), 1).mean(-1)
    curve.semilogy(range(1, in_pieces + 1), by_pieces, color="0.75", lw=0.8, label="pieces, each mini-batch")
    curve.semilogy(range(in_pieces - len(smooth) + 1, in_pieces + 1), smooth, color="tab:red", label="mean of 20")
    steps = [in_pieces + SEARCHES * (1 + i) for i in range(len(by_whole))]
    curve.semilogy(steps, by_whole, ".-", color="tab:blue", label="whole trajectory, RMSE")
    curve.axhline(NOISE, color="k", lw=0.8, ls=":", label="noise")
    curve.set(title="Training", xlabel="step of Adam, then of L-BFGS", ylabel="error against the measured points")
    curve.legend(fontsize="small")
    figure.savefig(path, dpi=120, bbox_inches="tight")  # an axis of equal aspect would lose its label
    plt.close(figure)


if __name__ == "__main__":
    main()
