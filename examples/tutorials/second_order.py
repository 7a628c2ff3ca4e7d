"""SecondOrder: a planet's orbit by a symplectic method, which keeps the energy, beside one that loses it.

q'' = -q / |q|^3, from the point of an orbit of eccentricity 0.6 that is nearest to the sun. A turn takes 2 pi, and the
energy is -1/2. Both methods take steps of the same length. The symplectic one needs Julia.
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
orbit = pb.SecondOrder(lambda t, q, v: -q / q.norm() ** 3)
eccentricity = 0.6
q0 = torch.tensor([1 - eccentricity, 0.0])
v0 = torch.tensor([0.0, math.sqrt((1 + eccentricity) / (1 - eccentricity))])
turns, each = 50, 60  # steps of a turn, for both
t = 2 * math.pi * torch.linspace(0.0, turns, turns * each + 1)
fixed = {"dt": 2 * math.pi / each, "adaptive": False}

figure, (drift, place) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for method in ("KahanLi6", "Tsit5"):
    q, v = pb.odeint(orbit, (q0, v0), t, method=method, options=fixed)
    error = (v.square().sum(-1) / 2 - 1 / q.norm(dim=-1) + 0.5).abs()[1:].reshape(turns, each).amax(1)
    print(f"{method:8s} energy off by {error[0]:.1e} in the first turn, by {error[-1]:.1e} in the last of {turns}")
    drift.loglog(range(1, turns + 1), error, label=method)
    place.plot(*q[-each - 1 :].T, label=f"{method}, the last turn")
place.plot(0, 0, "o", color="gold", ms=12)
place.set(xlabel="x", ylabel="y", aspect="equal")
place.legend(loc="upper left", fontsize="small")
drift.set(xlabel="turns", ylabel="largest error of the energy within a turn", title=f"{each} steps a turn")
drift.legend()
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/second_order.png", dpi=120)
