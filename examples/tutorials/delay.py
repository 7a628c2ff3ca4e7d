"""ddeint: a population that feels its crowding late, calm or in waves, and an equation that is known in closed form.

Hutchinson's equation dy/dt = r y(t) (1 - y(t - 1)) settles at 1 for r < pi / 2, and swings for ever beyond. It needs
Julia and `python -m pyode_bridge install DelayDiffEq`.
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)

# dy/dt = -y(t - 1) from y = 1 is a polynomial between whole times, by the method of steps.
t = torch.linspace(0.0, 6.0, 61)
y = pb.ddeint(lambda t, y, past: -past[0], torch.ones(1), t, lags=[1.0], method="Tsit5")[:, 0]
exact = sum((1 - k % 2 * 2) * (t - k + 1).clamp(min=0 if k else 1) ** k / math.factorial(k) for k in range(8))
print(f"largest error of y' = -y(t - 1): {(y - exact).abs().max():.1e}")

rates = torch.tensor([0.3, 1.2, 1.5, 1.65, 2.2])
t = torch.linspace(0.0, 200.0, 4001)
waves = pb.ddeint(lambda t, y, past: rates * y * (1 - past[0]), torch.full((5,), 0.5), t, lags=[1.0], method="Tsit5")
late = waves[-1000:]
for r, part in zip(rates, late.T, strict=True):
    fate = "settles at 1" if r < math.pi / 2 else "swings"
    print(f"r = {r:.2f}: from {part.min():.4f} to {part.max():.4f} over the last 50; theory: {fate}")
ups = t[1:][(waves[:-1, 3] < 1) & (waves[1:, 3] >= 1)]
print(f"a wave at r = 1.65 takes {(ups[-1] - ups[-9]) / 8:.3f}; near pi / 2 it is 4 lags, 4")

figure, panels = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
for column, r in enumerate(rates.tolist()):
    panels[0].plot(t[:1001], waves[:1001, column], label=f"r = {r:g}")
    panels[1].plot(waves[-1020:-20, column], waves[-1000:, column], lw=1)
panels[0].set(xlabel="t", ylabel="y", title="Hutchinson's equation")
panels[0].set_ylim(top=4.5)
panels[0].legend(ncols=5, fontsize="small")
panels[1].set(xlabel="y a lag before", ylabel="y", title="The last 50 lags")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/delay.png", dpi=120)
