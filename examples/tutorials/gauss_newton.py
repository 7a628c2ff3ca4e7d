"""torch.func: a least-squares fit by Gauss and Newton's method, from products with the Jacobian and its transpose.

The prey and predators of Lotka and Volterra, counted at 40 times with noise. J is the derivative of all counts by the
four rates; a step solves (J^T J + damping) step = J^T residual, by products alone (Nocedal & Wright 2006, chapter 10).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from scipy.sparse.linalg import LinearOperator, cg
from torch.func import functional_call, jvp, vjp

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


class Rates(torch.nn.Module):
    def __init__(self, rates):
        super().__init__()
        self.logs = torch.nn.Parameter(torch.tensor(rates).log())

    def forward(self, t, y):
        a, b, c, d = self.logs.exp()
        return torch.stack([y[0] * (a - b * y[1]), y[1] * (c * y[0] - d)])


true, t, start = [1.5, 1.0, 1.0, 3.0], torch.linspace(0.0, 4.0, 41), torch.tensor([1.0, 1.0])
model, spread = Rates([1.3, 1.2, 0.8, 2.6]), 0.1
counts = pb.odeint(Rates(true), start, t).detach() + spread * torch.randn(41, 2)


def residual(logs):
    return (
        (pb.odeint(lambda t, y: functional_call(model, {"logs": logs}, (t, y)), start, t) - counts) / spread
    ).flatten()


logs, damping, path = model.logs.detach(), 1.0, []
off, pull_back = vjp(residual, logs)
while len(path) < 30:
    path.append(off.square().sum().item())

    def product(v, logs=logs, pull_back=pull_back, damping=damping):  # (J^T J + damping) v
        v = torch.as_tensor(v)
        return pull_back(jvp(residual, (logs,), (v,))[1])[0] + damping * v

    step = torch.as_tensor(cg(LinearOperator((4, 4), product, dtype=float), pull_back(off)[0])[0])
    trial, trial_back = vjp(residual, logs - step)
    if trial.square().sum() < off.square().sum():
        off, pull_back, logs, damping = trial, trial_back, logs - step, damping / 10
    else:
        damping *= 10
    if step.abs().max() < 1e-6:
        break
print(f"{len(path)} steps: sum of squares from {path[0]:.0f} to {path[-1]:.1f}, of 82 numbers with noise of 1")
for name, found, rate in zip("abcd", logs.exp().tolist(), true, strict=True):
    print(f"rate {name}: found {found:.4f}, true {rate}")

figure, (curves, fall) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(2, 1), layout="constrained")
fine = torch.linspace(0.0, 4.0, 400)
curves.plot(fine, pb.odeint(model, start, fine).detach(), ":", color="0.6")
curves.plot(fine, pb.odeint(Rates(logs.exp().tolist()), start, fine).detach())
curves.plot(t, counts, ".", color="k", ms=4)
curves.set(xlabel="t", ylabel="prey and predators", title="Counted, guessed (dotted) and fitted")
fall.semilogy(path, "o-")
fall.set(xlabel="step", ylabel="sum of squares")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/gauss_newton.png", dpi=120)
