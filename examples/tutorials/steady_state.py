"""steady_state: what a stirred tank settles in, for fifty rates of its reaction, and how that depends on each rate.

A flows in and out, and two A become one B: da/dt = (1 - a) / 5 - 2 k a^2. The place where that is zero is the root of a
quadratic; the gradient is one linear system with the Jacobian there, whatever the way was. It needs Julia.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
rates = torch.logspace(-2, 2, 50, requires_grad=True)
residence = 5.0


def tank(t, a):
    return (1 - a) / residence - 2 * rates * a**2


level = pb.steady_state(tank, torch.ones(50))
(by_rate,) = torch.autograd.grad(level.sum(), rates)

k = rates.detach()
root = torch.sqrt(1 + 8 * k * residence)
exact = (root - 1) / (4 * k * residence)
exact_by_rate = 1 / (k * root) - (root - 1) / (4 * k**2 * residence)
print(f"largest error of a level {(level - exact).abs().max():.1e}")
print(f"largest relative error of a gradient {(by_rate / exact_by_rate - 1).abs().max():.1e}")
print(f"at k = {k[25]:.3f}: level {level[25]:.8f}, exact {exact[25]:.8f}")
print(f"            its gradient {by_rate[25]:.8f}, exact {exact_by_rate[25]:.8f}")

times = torch.linspace(0.0, 10.0, 101)
way = pb.odeint(tank, torch.ones(50), times, method="Rodas5P").detach()
figure, (there, settled) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for at in (0, 12, 25, 37, 49):
    there.plot(times, way[:, at], color=plt.cm.viridis(at / 49), label=f"k = {k[at]:.3g}")
    there.plot(times[-1], level[at].detach(), "o", color=plt.cm.viridis(at / 49))
there.set(xlabel="t", ylabel="a", title="On the way; points: steady states")
there.legend(fontsize="small", loc="upper right", bbox_to_anchor=(1.0, 0.58))
settled.loglog(k, level.detach(), label="level")
settled.loglog(k, -by_rate, label="- d level / dk")
settled.loglog(k, exact, "k:", label="exact")
settled.loglog(k, -exact_by_rate, "k:")
settled.set(xlabel="k")
settled.legend()
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/steady_state.png", dpi=120)
