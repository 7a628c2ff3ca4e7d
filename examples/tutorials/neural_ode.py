"""A neural ODE: a network learns the field of a spiral, which it never sees, from pieces of one trajectory.

The truth is dy/dt = y^3 A (Chen et al. 2018). The study spiral.py learns it from noisy points.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.manual_seed(0)
A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
first = torch.tensor([2.0, 0.0])
t = torch.linspace(0.0, 6.0, 200)
truth = pb.odeint(lambda t, y: y**3 @ A, first, t, rtol=1e-6, atol=1e-8)


class Spiral(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2))

    def forward(self, t, y):
        return self.net(y**3)


model = Spiral()
layer = pb.NeuralODE(
    model, t[:11:5], method="dopri5", rtol=1e-4, atol=1e-5
)  # from a point to the 5th and 10th after it
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
losses = []
for _ in range(600):
    starts = torch.randint(0, len(t) - 10, (128,))
    pieces = layer(truth[starts])  # (3, 128, 2)
    loss = (pieces - torch.stack([truth[starts + 5 * k] for k in range(3)])).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())

with torch.no_grad():
    solution = pb.solve(model, first, t, method="dopri5", rtol=1e-5, atol=1e-6)
print(solution)
print(f"mean error of a piece: {losses[0]:.3f} at first, {losses[-1]:.4f} at last")
print(f"RMSE over the whole spiral, of radius 2: {(solution.y - truth).square().mean().sqrt():.3f}")

figure, (plane, learning) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
plane.plot(*truth.T, color="0.7", lw=4, label="truth")
plane.plot(*solution.y.T, "--", color="tab:red", label="learnt")
plane.set(xlabel="y1", ylabel="y2", aspect="equal")
plane.legend()
learning.semilogy(losses)
learning.set(xlabel="iteration", ylabel="mean error of a piece")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/neural_ode.png", dpi=120)
