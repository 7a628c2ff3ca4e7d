"""JuliaDynamics: a model that is written in Julia already, with torch's parameters, beside the same in torch.

Julia's source is a function of state, parameters and time. Julia differentiates it, and gradients reach the tensors.
It needs Julia.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
in_julia = pb.JuliaDynamics(
    """
    function (du, u, p, t)
        prey, predators = u
        births, eaten, gained, deaths = p
        du[1] = (births - eaten * predators) * prey
        du[2] = (gained * prey - deaths) * predators
    end
    """,
    torch.nn.Parameter(torch.tensor([1.3, 0.9, 0.8, 1.8])),
)
rates = torch.tensor([1.3, 0.9, 0.8, 1.8], requires_grad=True)


def in_torch(t, y):
    births, eaten, gained, deaths = rates
    prey, predators = y
    return torch.stack([(births - eaten * predators) * prey, (gained * prey - deaths) * predators])


y0 = torch.tensor([0.5, 1.0])
t = torch.linspace(0.0, 15.0, 301)
for name, func, parameters in (("Julia", in_julia, in_julia.p), ("torch", in_torch, rates)):
    solution = pb.solve(func, y0, t, method="Vern7")
    (gradient,) = torch.autograd.grad(solution.y[-1, 0], parameters)
    print(f"written in {name}: {solution.lane} lane, {solution.lane_reason}")
    print("  d prey(15) / d rates: " + ", ".join(f"{value:.6f}" for value in gradient))

# gained x - deaths log x + eaten y - births log y stays what it is along the exact solution.
prey, predators = solution.y.detach().T
births, eaten, gained, deaths = rates.detach()
kept = gained * prey - deaths * prey.log() + eaten * predators - births * predators.log()
print(f"the constant of motion, {kept[0]:.4f}, is kept within {(kept - kept[0]).abs().max():.1e}")

figure, (curves, cycle) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
curves.plot(t, prey, label="prey")
curves.plot(t, predators, label="predators")
curves.set(xlabel="t", ylabel="count")
curves.set_ylim(top=7.5)
curves.legend(loc="upper right", ncols=2)
cycle.plot(prey, predators)
cycle.set(xlabel="prey", ylabel="predators")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/julia_dynamics.png", dpi=120)
