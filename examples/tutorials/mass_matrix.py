"""mass_matrix: Robertson's reaction, with the conservation of mass in the place of its third rate.

M dy/dt = f(t, y), where the last row of M is zero: that row of f is an equation without a derivative,
0 = y1 + y2 + y3 - 1. Published values at t = 40 are those that Sundials has in its example for IDA. It needs Julia.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
rates = torch.tensor([0.04, 3e7, 1e4], requires_grad=True)
y0 = torch.tensor([1.0, 0.0, 0.0])
t = torch.cat([torch.zeros(1), torch.logspace(-6, 6, 200), torch.tensor([4e6])])
mass = torch.diag(torch.tensor([1.0, 1.0, 0.0]))
precise = {"method": "Rodas5P", "rtol": 1e-8, "atol": 1e-12}


def reactions(y):
    k1, k2, k3 = rates
    y1, y2, y3 = y
    return k1 * y1, k2 * y2**2, k3 * y2 * y3


def with_balance(t, y):
    first, second, third = reactions(y)
    return torch.stack([third - first, first - second - third, y.sum() - 1])


def with_rates_alone(t, y):
    first, second, third = reactions(y)
    return torch.stack([third - first, first - second - third, second])


solution = pb.solve(with_balance, y0, t, mass_matrix=mass, **precise)
print(solution)
print(f"the balance is kept within {(solution.y.sum(-1) - 1).abs().max():.1e}")

at_40 = torch.tensor([0.0, 40.0])
y = pb.odeint(with_balance, y0, at_40, mass_matrix=mass, **precise)[-1]
print("y(40) found     " + ", ".join(f"{value:.4e}" for value in y))
print("y(40) published 7.1583e-01, 9.1855e-06, 2.8416e-01")

(by_rates,) = torch.autograd.grad(y[0], rates)
(expected,) = torch.autograd.grad(pb.odeint(with_rates_alone, y0, at_40, **precise)[-1, 0], rates)
print("dy1(40)/dk with the matrix   " + ", ".join(f"{value:.6e}" for value in by_rates))
print("dy1(40)/dk with three rates  " + ", ".join(f"{value:.6e}" for value in expected))

plt.figure(figsize=(8, 4), layout="constrained")
for column, (factor, label) in enumerate(((1, "y1"), (1e4, "10⁴ y2"), (1, "y3"))):
    plt.semilogx(t[1:], factor * solution.y[1:, column].detach(), label=label)
plt.gca().set(xlabel="t", ylabel="concentration", title="Robertson's reaction")
plt.legend()
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
plt.savefig("results/tutorials/mass_matrix.png", dpi=120)
