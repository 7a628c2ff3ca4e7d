"""Results draw themselves: against the time, in a phase plane, with their events, and an ensemble as bands.

Below left, a ball falls from one metre and keeps 80 % of its speed at each bounce. Below right, populations grow with a
hundred rates, dy/dt = r y (1 - y): the median, and where the middle 90 % of them are.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
figure, grid = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")


def swing(t, y):
    return {"angle": y["speed"], "speed": -torch.sin(y["angle"]) - 0.1 * y["speed"]}


y0 = {"angle": torch.tensor(2.5), "speed": torch.tensor(0.0)}
pendulum = pb.solve(swing, y0, torch.linspace(0.0, 20.0, 21), dense=True)
pendulum.plot(ax=grid[0, 0]).set_title("components")
pendulum.plot(["angle", "speed"], phase=True, ax=grid[0, 1]).set_title("phase plane")
print(pendulum)

floor = pb.Event(lambda t, y: y[0], lambda t, y: torch.stack([0 * y[0], -0.8 * y[1]]), direction="falling")


def fall(t, y):
    return torch.stack([y[1], -9.81 * torch.ones_like(y[1])])


ball = pb.solve_events(fall, torch.tensor([1.0, 0.0]), torch.linspace(0.0, 2.0, 41), [floor])
ball.plot(ax=grid[1, 0]).set_title("events: y[0] height, y[1] speed")
print(f"first bounce at {ball.events[0].t:.6f}, exact {(2 / 9.81) ** 0.5:.6f}")

rates, t = torch.linspace(0.2, 4.0, 101), torch.linspace(0.0, 4.0, 81)
populations = pb.solve_ensemble(lambda t, y, r: r * y * (1 - y), torch.full((101, 1), 0.05), t, rates[:, None])
populations.plot(ax=grid[1, 1]).set_title("an ensemble")
median = populations.to_pandas()["y[0]"].groupby("t").median()
exact = 1 / (1 + (1 / 0.05 - 1) * torch.exp(-rates.median() * t))  # that with the median rate
print(f"median of the populations at t = 2: {median[2.0]:.6f}, exact {exact[40]:.6f}")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/results.png", dpi=120)
