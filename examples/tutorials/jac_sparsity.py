"""jac_sparsity: a wave of growth along a line of 600 points, whose Jacobian has three diagonals: dense, found, given.

Fisher's equation u_t = u_xx + u (1 - u) has a wave in closed form (Ablowitz & Zeppetella 1979): with z = x - 5 t /
sqrt 6, u = (1 + exp(z / sqrt 6))^-2. With differences in the place of u_xx it is a stiff system. It needs Julia.
"""

import math
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
n = 600
x = torch.linspace(-30.0, 70.0, n)
step = (x[1] - x[0]).item()
t = torch.linspace(0.0, 15.0, 6)


def wave(x, t):
    return (1 + torch.exp((x - 5 * t / math.sqrt(6)) / math.sqrt(6))) ** -2


def fisher(t, u):
    ends = torch.ones(1, dtype=u.dtype), torch.zeros(1, dtype=u.dtype)
    padded = torch.cat([ends[0], u, ends[1]])
    return (padded[2:] - 2 * u + padded[:-2]) / step**2 + u * (1 - u)


# Which derivative of which component is not zero: each depends on itself and its two neighbours. Unless told otherwise,
# this is found out from the operations of `fisher`.
pattern = torch.ones(n, n).tril(1).triu(-1)
for name, sparsity in (("dense", "dense"), ("found", None), ("given", pattern)):
    for _ in range(2):  # the first compiles
        began = time.perf_counter()
        solution = pb.solve(fisher, wave(x, t[0]), t, method="FBDF", rtol=1e-6, atol=1e-8, jac_sparsity=sparsity)
        seconds = time.perf_counter() - began
    error = (solution.y[-1] - wave(x, t[-1])).abs().max()
    print(f"{name:5s} Jacobian: {seconds:.3f} s, largest error {error:.1e}; {solution.jacobian or 'a full one'}")
print(f"the differences are of second order, and step^2 is {step**2:.1e}")

plt.figure(figsize=(8, 4), layout="constrained")
for at, time_ in enumerate(t):
    plt.plot(x, solution.y[at], color=plt.cm.viridis(at / 6), label=f"t = {time_:g}")
    plt.plot(x, wave(x, time_), "k:", lw=1)
plt.gca().set(xlabel="x", ylabel="u", title="Fisher's wave; dotted: in closed form")
plt.legend(fontsize="small")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
plt.savefig("results/tutorials/jac_sparsity.png", dpi=120)
