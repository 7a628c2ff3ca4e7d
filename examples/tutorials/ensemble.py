"""solve_ensemble: three hundred populations, each with a growth rate and with steps of its own, and their gradients.

dy/dt = r y (1 - y) is known in closed form: y(t) = 1 / (1 + (1 / y0 - 1) exp(-r t)). On Julia, all its threads solve.
"""

import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
rates = torch.linspace(0.2, 4.0, 300, requires_grad=True)
y0 = torch.full((300, 1), 0.05)
t = torch.linspace(0.0, 4.0, 41)


def growth(t, y, r):
    return r * y * (1 - y)


for _ in range(2):  # the first compiles
    began = time.perf_counter()
    solution = pb.solve_ensemble(growth, y0, t, rates[:, None], method="dopri5")
    last = solution.y[-1, :, 0]
    (sensitivity,) = torch.autograd.grad(last.sum(), rates)  # of each population by its own rate
    seconds = time.perf_counter() - began
print(f"{len(rates)} solves and gradients: {seconds:.3f} s, {solution.lane} lane")

exact = 1 / (1 + (1 / 0.05 - 1) * torch.exp(-rates * t[-1])).detach()
exact_sensitivity = (t[-1] * exact * (1 - exact)).detach()
print(f"largest error of the values {(last - exact).abs().max():.1e}")
print(f"largest error of the sensitivities {(sensitivity - exact_sensitivity).abs().max():.1e}")

figure, (curves, by_rate) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for at in range(0, 300, 33):
    curves.plot(t, solution.y[:, at, 0].detach(), color=plt.cm.viridis(at / 300), label=f"r = {rates[at]:.2f}")
curves.set(xlabel="t", ylabel="y", title="Some of the populations")
curves.legend(fontsize="x-small")
by_rate.plot(rates.detach(), exact_sensitivity, color="0.7", lw=5, label="exact")
by_rate.plot(rates.detach(), sensitivity, "--", color="tab:red", label="gradient of the solves")
by_rate.set(xlabel="r", ylabel="dy(4) / dr")
by_rate.legend()
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/ensemble.png", dpi=120)
