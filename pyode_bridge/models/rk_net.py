"""A residual block integrated by a Runge-Kutta method, with gradients through its steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pyode_bridge.errors import InputError, near_names
from pyode_bridge.models.blocks import Head, Stem
from pyode_bridge.models.conv_dynamics import ConvDynamics
from pyode_bridge.models.evaluations import Evaluations
from pyode_bridge.models.sizes import positive
from pyode_bridge.problem.schemes import EULER, KUTTA, MIDPOINT, Tableau

TABLEAUS = {"Euler": EULER, "Midpoint": MIDPOINT, "RK4": KUTTA}


def runge_kutta(func: Callable[[Tensor, Tensor], Tensor], y: Tensor, tableau: Tableau, steps: int) -> Tensor:
    """``y(1)`` of ``dy/dt = func(t, y)`` from ``y(0) = y`` in equal steps; autograd follows every stage."""
    h = 1.0 / steps
    for step in range(steps):
        slopes: list[Tensor] = []
        for row, node in zip(tableau.a, tableau.c, strict=True):
            t = torch.tensor((step + node) * h, dtype=y.dtype, device=y.device)
            slopes.append(func(t, _moved(y, h, row, slopes)))
        y = _moved(y, h, tableau.b, slopes)
    return y


def _moved(y: Tensor, h: float, weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    """``y`` after a step by the slopes so far; weights of those to come are zero."""
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            y = y + (h * weight) * slope
    return y


class RKNet(torch.nn.Module):
    """Stem, `ConvDynamics` integrated over [0, 1] in fixed steps, head; memory grows with the number of steps.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: channels of the feature maps.
        downsamplings: halvings of height and width in the stem.
        method: ``"Euler"``, ``"Midpoint"`` or ``"RK4"``, the classical method.
        steps: number of equal steps.

    For images of shape ``(B, in_channels, H, H')``, logits of shape ``(B, classes)``.

    Raises:
        InputError: a size is not a positive whole number, the method is none of these, or the images do not fit.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import RKNet
        >>> logits = RKNet(steps=2)(torch.zeros(5, 1, 28, 28))  # shape (5, 10)

    Source: Chen et al. 2018, section 3.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        *,
        width: int = 64,
        downsamplings: int = 2,
        method: str = "RK4",
        steps: int = 4,
    ) -> None:
        super().__init__()
        positive(steps=steps)
        if method not in TABLEAUS:
            known = ", ".join(TABLEAUS)
            raise InputError(f"method is {method!r}; expected one of {known}.{near_names(str(method), TABLEAUS)}")
        self.method = method
        self.steps = steps
        self.stem = Stem(in_channels, width, downsamplings)
        self.dynamics = ConvDynamics(width)
        self.head = Head(width, classes)

    @property
    def nfe(self) -> Evaluations:
        """Evaluations of the dynamics in each pass: stages times steps, and backpropagation goes through all."""
        count = len(TABLEAUS[self.method].b) * self.steps
        return Evaluations(count, count)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of ``images``."""
        maps = runge_kutta(self.dynamics, self.stem(images), TABLEAUS[self.method], self.steps)
        return self.head(maps)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The integrator's settings."""
        return f"method={self.method!r}, steps={self.steps}"
