"""Right-hand sides for those that know nothing of torch, over numpy or jax.numpy, which is ``xp``."""

from __future__ import annotations

from typing import Any

from examples.support.problems.stiff import hires_rates


def lotka_volterra(xp: Any, y: Any, p: Any = (1.5, 1.0, 1.0, 3.0)) -> Any:
    product = y[0] * y[1]
    return xp.array([p[0] * y[0] - p[1] * product, p[2] * product - p[3] * y[1]])


def lorenz(xp: Any, y: Any) -> Any:
    return xp.array([10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]])


def rober(xp: Any, y: Any) -> Any:
    slow, fast = 0.04 * y[0] - 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
    return xp.array([-slow, slow - fast, fast])


def orego(xp: Any, y: Any) -> Any:
    s, w, q = 77.27, 0.161, 8.375e-6
    return xp.array([s * (y[1] + y[0] * (1 - q * y[0] - y[1])), (y[2] - (1 + y[0]) * y[1]) / s, w * (y[0] - y[2])])


def vdpol(xp: Any, y: Any) -> Any:
    return xp.array([y[1], ((1 - y[0] ** 2) * y[1] - y[0]) / 1e-6])


def kepler(xp: Any, y: Any) -> Any:
    return xp.concatenate([y[2:], -y[:2] / (y[:2] ** 2).sum() ** 1.5])


def hires(xp: Any, y: Any) -> Any:
    return xp.array(hires_rates(y))


def brusselator(xp: Any, y: Any) -> Any:
    points = len(y) // 2
    inner = y.reshape(points, 2)
    edge = xp.array([[1.0, 3.0]])
    padded = xp.concatenate([edge, inner, edge])
    u, v = inner[:, 0], inner[:, 1]
    spread = (points + 1) ** 2 / 50 * (padded[:-2] - 2 * inner + padded[2:])
    reaction = xp.stack([1 + u**2 * v - 4 * u, 3 * u - u**2 * v], -1)
    return (reaction + spread).reshape(2 * points)


def mlp(xp: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return xp.tanh(y @ w1.T + b1) @ w2.T + b2


def spiral(xp: Any, y: Any, *weights: Any) -> Any:
    return mlp(xp, y**3, *weights)
