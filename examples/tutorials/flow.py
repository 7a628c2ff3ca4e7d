"""A density from samples: `CNF` carries a normal distribution to two moons, and every point's likelihood with it.

The likelihood is exact up to the solver's tolerance, so the learnt density integrates to 1.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.distributions import MultivariateNormal

from pyode_bridge.models import CNF, ClosedFormTrace, FlowDistribution, GatedSum

torch.manual_seed(0)


def draw_moons(count):
    angle, lower = torch.pi * torch.rand(count), torch.rand(count) < 0.5
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
    return 1.5 * torch.where(lower[:, None], -upper, upper) + 0.1 * torch.randn(count, 2)


flow = CNF(GatedSum(dim=2, width=32), trace=ClosedFormTrace(), rtol=1e-4, atol=1e-4)
density = FlowDistribution(flow, MultivariateNormal(torch.zeros(2), torch.eye(2)))
optimizer = torch.optim.Adam(flow.parameters(), lr=2e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
losses = []
for _ in range(600):
    loss = -density.log_prob(draw_moons(256)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())

held_out = draw_moons(2000)
normal = MultivariateNormal(held_out.mean(0), held_out.T.cov())
axis = torch.linspace(-4, 4, 161)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
with torch.no_grad():
    p = density.log_prob(grid.reshape(-1, 2)).exp().view(161, 161)
    samples = density.sample((2000,))
    gained = (density.log_prob(held_out) - normal.log_prob(held_out)).mean().item()
print(f"nats a point above a normal distribution with the same covariance: {gained:.3f}")
print(f"the density integrates to 1 within {abs(p.sum().item() * 0.05**2 - 1):.1e}")
print(f"{flow.nfe.forward} evaluations to draw the samples")

figure, (drawn, shown, learning) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
drawn.plot(*held_out.T, ".", ms=2, color="0.5", label="data")
drawn.plot(*samples.T, ".", ms=2, color="tab:blue", label="samples of the flow")
drawn.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal", xlabel="x1", ylabel="x2")
drawn.legend(loc="upper right")
shown.pcolormesh(axis, axis, p, rasterized=True)
shown.set(title="the learnt density", aspect="equal", xlabel="x1", ylabel="x2")
learning.plot(losses)
learning.set(xlabel="iteration", ylabel="negative log likelihood, nats")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/flow.png", dpi=120)
