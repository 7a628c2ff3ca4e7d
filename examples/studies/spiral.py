"""Learn a spiral from noisy points: a small network stands for an unknown vector field (Chen et al. 2018, section 5).

The truth is dy/dt = y^3 A, as in torchdiffeq's demo. A network sees noisy points of one trajectory, never the field.
The trajectory is cut into pieces, which are solved at once. The network and the points where pieces start are fitted
together, by L-BFGS: to the measured points, and so that each piece ends where the next one starts. This is multiple
shooting (Bock & Plitt 1984): in one long solve, an error early on would spoil all that comes after. At the end the
network is solved over all times from the true first point, and compared with the truth.
"""

from __future__ import annotations

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
PIECE = 19  # intervals of TIMES in a piece
GAPS = 10.0  # weight of the mean squared gap between pieces, beside that of the measured points' distances
SEARCHES = 10  # steps of L-BFGS in one iteration
TOLERANCES = {"rtol": 1e-5, "atol": 1e-6}  # a line search needs a loss without jumps
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


class Pieces(torch.nn.Module):
    """The measured trajectory in pieces, each with a first point that is learnt; that of the trajectory is known.

    The last point of a piece is the first of the next one. Shapes are (time, piece, 2).
    """

    def __init__(self, data: Tensor) -> None:
        super().__init__()
        starts = torch.arange(0, len(TIMES) - 1, PIECE)
        self.measured = data[torch.arange(PIECE + 1)[:, None] + starts]
        self.starts = torch.nn.Parameter(self.measured[0, 1:].clone())

    def first(self) -> Tensor:
        return torch.cat([FIRST[None], self.starts])

    def misfit(self, y: Tensor) -> Tensor:
        """The mean squared distance from the measured points, by coordinates."""
        return (y[1:] - self.measured[1:]).square().mean()

    def gap(self, y: Tensor) -> Tensor:
        """The mean squared distance from the end of a piece to the start of the next one, by coordinates."""
        return (y[-1, :-1] - self.starts).square().mean()


def true_field(_t: Tensor, y: Tensor) -> Tensor:
    return y**3 @ A


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def main() -> None:
    args = common.arguments(__doc__, name="spiral", method="dopri5", iterations=60, quick_iterations=8)
    solver: dict[str, Any] = {**common.solver_settings(args), **TOLERANCES}
    with torch.no_grad():
        truth = pb.odeint(true_field, FIRST, TIMES, **{**solver, **FINE})
    data = truth + NOISE * torch.randn_like(truth)
    model, pieces = Spiral(), Pieces(data)
    lbfgs = torch.optim.LBFGS(
        [*model.parameters(), *pieces.parameters()],
        max_iter=SEARCHES,
        history_size=30,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def step(_iteration: int) -> dict[str, float]:
        tried, nfe = list[tuple[float, float, float]](), 0

        def evaluated() -> Tensor:
            nonlocal nfe
            solution = pb.solve(model, pieces.first(), TIMES[: PIECE + 1], **solver)
            misfit, gap = pieces.misfit(solution.y), pieces.gap(solution.y)
            loss = misfit + GAPS * gap
            lbfgs.zero_grad()
            loss.backward()
            tried.append((loss.item(), misfit.item(), gap.item()))
            nfe += solution.stats.nfe
            return loss

        lbfgs.step(evaluated)
        _, misfit, gap = min(tried)
        return {"loss": misfit**0.5, "gap": gap**0.5, "nfe": nfe}

    training = common.train(step, {"model": model, "pieces": pieces, "lbfgs": lbfgs}, args, every=5)

    solution = pb.solve(model, FIRST, TIMES, **solver)
    fit = solution.y.detach()
    numbers = {
        "error": rms(fit - truth),
        "mean_absolute_error": (fit - truth).abs().mean().item(),
        "rms_to_noisy_data": rms(fit - data),
        "noise": NOISE,
        "last_loss": training["history"][-1]["loss"],
        "last_gap": training["history"][-1]["gap"],
        "nfe_whole_trajectory": solution.stats.nfe,
    }
    print(
        f"Fit to the truth over all times: RMSE {numbers['error']:.4f}, mean absolute error "
        f"{numbers['mean_absolute_error']:.4f} (the noise is {NOISE}, the spiral's radius {FIRST.norm():g} at first)"
    )
    draw(args.output / "spiral.png", truth, data, fit, model, training["history"])
    common.write_results(args, solution, training, numbers)


def draw(path: Path, truth: Tensor, data: Tensor, fit: Tensor, model: Spiral, history: list[dict[str, float]]) -> None:
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

    steps = [SEARCHES * (1 + position) for position in range(len(history))]
    curve.semilogy(steps, [row["loss"] for row in history], color="tab:red", label="from the measured points")
    curve.semilogy(steps, [row["gap"] for row in history], color="tab:blue", label="between the pieces")
    curve.axhline(NOISE, color="k", lw=0.8, ls=":", label="noise")
    curve.set(title="Training", xlabel="step of L-BFGS", ylabel="distance, RMS by coordinate")
    curve.legend(fontsize="small")
    figure.savefig(path, dpi=120, bbox_inches="tight")  # an axis of equal aspect would lose its label
    plt.close(figure)


if __name__ == "__main__":
    main()
