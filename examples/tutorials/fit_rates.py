"""Rates from measurements: gradients of a solve lead an optimiser to the parameters of predators and their prey.

Lotka-Volterra's equations are solved with known rates, and 30 states of that are what was measured. The fit starts from
other rates. What the dynamics use is found by itself: any tensor that wants a gradient gets one.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
true_rates = torch.tensor([1.3, 0.9, 0.8, 1.8])  # births, eaten, gained, deaths
y0 = torch.tensor([1.2, 1.0])
t = torch.linspace(0.0, 6.0, 30)


def dynamics(rates):
    def change(t, y):
        births, eaten, gained, deaths = rates
        prey, predators = y
        return torch.stack([(births - eaten * predators) * prey, (gained * prey - deaths) * predators])

    return change


measured = pb.odeint(dynamics(true_rates), y0, t)

# Logarithms keep the rates positive, whatever the optimiser tries.
log_rates = torch.tensor([1.0, 1.0, 1.0, 1.0]).log().requires_grad_()
guess = pb.odeint(dynamics(log_rates.exp()), y0, t).detach()
optimizer = torch.optim.LBFGS([log_rates], max_iter=40, line_search_fn="strong_wolfe")
losses = []


def closure():
    optimizer.zero_grad()
    loss = (pb.odeint(dynamics(log_rates.exp()), y0, t) - measured).square().mean()
    loss.backward()
    losses.append(loss.item())
    return loss


optimizer.step(closure)
fitted = log_rates.detach().exp()
print(f"{len(losses)} solves with gradient, mean square from {losses[0]:.2g} to {losses[-1]:.1e}")
for name, value, truth in zip(("births", "eaten", "gained", "deaths"), fitted, true_rates, strict=True):
    print(f"{name:7s} found {value:.6f}, true {truth:.1f}")

figure, (curves, learning) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
curves.plot(t, guess, ":", color="0.6")
for column, (name, color) in enumerate((("prey", "tab:blue"), ("predators", "tab:orange"))):
    curves.plot(t, measured[:, column], "o", color=color, ms=4, label=f"{name}, measured")
    curves.plot(t, pb.odeint(dynamics(fitted), y0, t)[:, column], color=color, label=f"{name}, fitted")
curves.set(xlabel="t", ylabel="count", title="Dotted: with the first guess")
curves.set_ylim(top=5.2)
curves.legend(fontsize="small", ncols=2, loc="upper right")
learning.semilogy(losses)
learning.set(xlabel="solve", ylabel="mean square", title="L-BFGS")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/fit_rates.png", dpi=120)
