"""sdeint: a price that grows by chance, its mean and spread beside theory, and the gradient of each path.

dy = mu y dt + sigma y dW, in Itô's sense: y(t) = exp((mu - sigma^2 / 2) t + sigma W(t)), whose mean is exp(mu t). It
needs Julia and `python -m pyode_bridge install StochasticDiffEq`.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
mu, sigma = torch.tensor(0.5, requires_grad=True), torch.tensor(0.3, requires_grad=True)
y0 = torch.ones(4000)  # as many paths, each with noise of its own
t = torch.linspace(0.0, 2.0, 41)

with torch.no_grad():
    paths = pb.sdeint(lambda t, y: mu * y, lambda t, y: sigma * y, y0, t, rtol=1e-3, atol=1e-3, seed=1)
mean = torch.exp(mu * t).detach()
spread = mean * torch.sqrt(torch.exp(sigma**2 * t) - 1).detach()
error = spread[-1] / len(y0) ** 0.5
print(f"mean of {len(y0)} paths at t = 2: {paths[-1].mean():.4f}, exact {mean[-1]:.4f}, standard error {error:.4f}")
print(f"their standard deviation: {paths[-1].std():.4f}, exact {spread[-1]:.4f}")

# Gradients are those of each path, by a method in Stratonovich's sense, whose drift is mu - sigma^2 / 2 here.
end = torch.tensor([0.0, 2.0])
last = pb.sdeint(
    lambda t, y: (mu - sigma**2 / 2) * y,
    lambda t, y: sigma * y,
    torch.ones(200),
    end,
    method="EulerHeun",
    options={"dt": 0.01},
    seed=1,
)[-1]
by_mu, by_sigma = torch.autograd.grad(last.square().mean(), (mu, sigma))
wiener = (torch.log(last) - (mu - sigma**2 / 2) * 2) / sigma
print(f"d mean of y^2 / d mu: {by_mu:.4f}, exact for these paths {(4 * last**2).mean():.4f}")
print(
    f"d mean of y^2 / d sigma: {by_sigma:.4f}, exact for these paths {(2 * last**2 * (wiener - 2 * sigma)).mean():.4f}"
)

plt.figure(figsize=(8, 4.5), layout="constrained")
plt.plot(t, paths[:, :40], color="0.8", lw=0.7)
plt.plot(t, paths.mean(1), color="tab:red", label="mean of all paths")
plt.plot(t, mean, "k--", label="exp(mu t)")
plt.fill_between(t, mean - spread, mean + spread, alpha=0.2, label="exact standard deviation")
plt.gca().set(xlabel="t", ylabel="y", title="40 of 4000 paths")
plt.legend(loc="upper left")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
plt.savefig("results/tutorials/stochastic.png", dpi=120)
