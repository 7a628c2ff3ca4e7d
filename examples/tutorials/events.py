"""Events: a ball bounces, and the time of a bounce has gradients by gravity and by what the floor leaves of its speed.

In closed form the first bounce is at t1 = sqrt(2 h / g), and the second at t2 = t1 (1 + 2 r), where r is the ratio of
the speeds after and before a bounce.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pyode_bridge as pb

torch.set_default_dtype(torch.float64)
gravity = torch.tensor(9.81, requires_grad=True)
ratio = torch.tensor(0.8, requires_grad=True)
y0 = torch.tensor([1.0, 0.0])  # height and velocity
t = torch.linspace(0.0, 3.0, 400)


def fall(t, y):
    return torch.stack([y[1], -gravity])


floor = pb.Event(
    lambda t, y: y[0],  # happens where this crosses zero,
    lambda t, y: torch.stack([torch.zeros_like(y[0]), -ratio * y[1]]),  # and makes this of the state
    direction="falling",
)
flight = pb.solve_events(fall, y0, t, [floor], method="dopri5")
second = flight.events[1].t
by_gravity, by_ratio = torch.autograd.grad(second, (gravity, ratio))

t1 = torch.sqrt(2 / gravity)
exact = t1 * (1 + 2 * ratio)
print(f"{len(flight.events)} bounces in {t[-1]:g} s")
print(f"second bounce at {second:.8f} s, exact {exact:.8f}")
print(f"its derivative by gravity {by_gravity:.8f}, exact {-exact / (2 * gravity):.8f}")
print(f"its derivative by the ratio {by_ratio:.8f}, exact {2 * t1:.8f}")

plt.figure(figsize=(8, 4), layout="constrained")
plt.plot(t, flight.y[:, 0].detach())
plt.plot([event.t.item() for event in flight.events], [0.0] * len(flight.events), "o", color="tab:red")
plt.gca().set(xlabel="time (s)", ylabel="height (m)", title="A bouncing ball; points: events")
Path("results/tutorials").mkdir(parents=True, exist_ok=True)
plt.savefig("results/tutorials/events.png", dpi=120)
