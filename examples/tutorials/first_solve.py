"""A first solve: dy/dt = -y, its values beside exp(-t), and a derivative."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

y0 = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
t = torch.linspace(0.0, 5.0, 51, dtype=torch.float64)
solution = pb.solve(lambda t, y: -y, y0, t)
solution.y[-1].sum().backward()
print(solution)
print(f"largest error {(solution.y[:, 0] - torch.exp(-t)).abs().max():.1e}")
print(f"dy(5)/dy(0) {y0.grad.item():.8f}, exact {torch.exp(-t[-1]):.8f}")
plt.plot(t, solution.y.detach(), "o", t, torch.exp(-t), "-")
plt.gca().set(xlabel="t", ylabel="y", title="Solved (points) and exp(-t)")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
plt.savefig("results/tutorials/first_solve.png", dpi=120)
