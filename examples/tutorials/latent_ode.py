"""Irregular series: `LatentODE` reads swings seen at a few times of their own, and says how they go on.

Each series is a damped oscillation with a phase and an amplitude of its own, of which 20 noisy points of the first half
are seen. Encoder, dynamics and decoder are modules: yours may stand in the place of each.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from pyode_bridge.models import GaussianLikelihood, GRUEncoder, LatentDynamics, LatentODE, Series

torch.manual_seed(0)
NOISE, END = 0.05, 10.0


def swing(count, t):
    amplitude, phase = 0.5 + torch.rand(count, 1), 2 * torch.pi * torch.rand(count, 1)
    return amplitude * torch.exp(-0.1 * t) * torch.sin(2 * t + phase)


def draw_series(count):
    t = torch.linspace(0.0, END, 101)
    truth = swing(count, t)
    seen = torch.rand(count, 51).argsort(dim=1)[:, :20].sort(dim=1).values
    x = truth.gather(1, seen) + NOISE * torch.randn(count, 20)
    return t, truth, Series.of(t[seen], x[..., None])


encoder, dynamics, decoder = GRUEncoder(1, hidden=32), LatentDynamics(4, units=32), nn.Linear(4, 1)
noise = GaussianLikelihood(1, std=0.3, learned=True)
model = LatentODE(encoder, dynamics, decoder, noise, latent=4, rtol=1e-4, atol=1e-5)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 800)
for iteration in range(800):
    loss = -model.elbo(draw_series(128)[2], kl_weight=min(1.0, iteration / 200)).value.mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 100.0)
    optimizer.step()
    schedule.step()

t, truth, series = draw_series(200)
with torch.no_grad():
    found = model.predict(series, t)[..., 0]
error = (found - truth).square().mean(0).sqrt()
print(f"noise learnt {noise.std.item():.4f}, of the data {NOISE}")
print(f"RMSE in the half that was seen {error[:51].mean():.3f}, in the half after it {error[51:].mean():.3f}")

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained", sharey=True)
for row, ax in enumerate(axes):
    ax.plot(t, truth[row], color="0.7", lw=4, label="truth")
    ax.plot(series.t[row], series.x[row], "o", color="tab:green", ms=4, label="seen")
    ax.plot(t, found[row], "--", color="tab:red", label="latent ODE")
    ax.set(xlabel="t")
axes[0].legend()
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/latent_ode.png", dpi=120)
