"""A network with a solve in it: `ODENet` around parts of your own tells the inside of a ring from the ring.

In the plane it cannot be done exactly: solutions never cross, so what lies inside stays inside. A third coordinate,
which starts at zero, gives them room (Dupont et al. 2019): the inside is lifted out of the plane.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from pyode_bridge.models import ODENet

torch.manual_seed(0)


def draw_points(count):
    inside = torch.arange(count) % 2 == 0
    radius = torch.where(inside, 0.5 * torch.rand(count).sqrt(), 1.0 + 0.5 * torch.rand(count))
    angle = 2 * torch.pi * torch.rand(count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), inside.long()


class Field(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size + 1, 32), nn.Tanh(), nn.Linear(32, size))

    def forward(self, t, y):
        return self.net(torch.cat([y, t.expand(len(y), 1)], dim=1))


test_points, test_labels = draw_points(1000)
states, errors = {}, {}
for augment in (0, 1):
    model = ODENet(nn.Identity(), Field(2 + augment), nn.Linear(2 + augment, 2), augment=augment, rtol=1e-4, atol=1e-5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        points, labels = draw_points(128)
        loss = nn.functional.cross_entropy(model(points), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        errors[augment] = (model(test_points).argmax(1) != test_labels).float().mean().item()
        work = model.nfe.forward
        states[augment] = model.ode.solve(model.state(test_points), torch.linspace(0, 1, 20)).y
    print(f"{augment} coordinates added: loss {loss:.4f}, {work} evaluations, share of errors {errors[augment]:.4f}")

figure = plt.figure(figsize=(10, 4.6), layout="constrained")
for augment, y in states.items():
    axes = figure.add_subplot(1, 2, augment + 1, projection="3d" if augment else None)
    for label, color in ((0, "tab:orange"), (1, "tab:blue")):
        for path in y[:, test_labels == label][:, :80].unbind(dim=1):
            axes.plot(*path.T, color=color, lw=0.5, alpha=0.5)
        axes.scatter(*y[-1, test_labels == label].T, s=4, color=color)
    axes.set(title=f"{2 + augment} coordinates: {100 * errors[augment]:.1f} % errors", xlabel="y1", ylabel="y2")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
figure.savefig("results/tutorials/ode_net.png", dpi=120)
