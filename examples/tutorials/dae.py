"""daeint: a pendulum in Cartesian coordinates, whose tension is found from an equation without a derivative.

0 = F(t, y, dy/dt) for y = (x, y, u, v, tension), with the rod along (x, y), of length 1. Released from the horizontal,
it swings in 4 K(1/2) / sqrt(g) = 7.4162987 / sqrt(g), where K is the complete elliptic integral. It needs Julia.
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
gravity = torch.tensor(9.81, requires_grad=True)


def residual(t, state, change):
    x, y, u, v, tension = state
    dx, dy, du, dv, _ = change
    return torch.stack(
        [
            dx - u,
            dy - v,
            du + tension * x,
            dv + tension * y + gravity,
            u**2 + v**2 - gravity * y - tension,  # the rod's length, differentiated twice
        ]
    )


period = 7.4162987 / math.sqrt(9.81)
start = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])  # the tension is a guess: daeint finds it
t = torch.linspace(0.0, period, 101)
with torch.no_grad():
    swing = pb.daeint(residual, start, t, rtol=1e-9, atol=1e-9)  # by DFBDF, a solver for residuals
print(f"after a period at ({swing[-1, 0]:.6f}, {swing[-1, 1]:.6f}), exact (1, 0)")
print(f"the rod's length stays 1 within {(swing[:, :2].norm(dim=-1) - 1).abs().max():.1e}")
print(f"tension at the lowest point {swing[25, 4]:.5f}, exact 3 g = {3 * gravity:.5f}")

# With a solver for mass matrices there are gradients. Time counts in units of 1 / sqrt(g): dx/dg = u t / (2 g).
end = torch.tensor([0.0, 0.3])
state = pb.daeint(residual, start, end, method="Rodas5P", rtol=1e-9, atol=1e-9)[-1]
(by_gravity,) = torch.autograd.grad(state[0], gravity)
print(f"dx(0.3)/dg {by_gravity:.8f}, exact {state[2] * end[-1] / (2 * gravity):.8f}")

figure, (path, force) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
path.plot(*swing[:, :2].T, "o", ms=3)
path.plot(0, 0, "k+")
path.set(xlabel="x", ylabel="y", aspect="equal", title="101 places of one period")
force.plot(t, swing[:, 4])
force.set(xlabel="t", ylabel="tension for a unit of mass and length")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/dae.png", dpi=120)
