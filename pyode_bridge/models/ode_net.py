"""The ODE-Net: residual blocks without end, integrated by a solver, with adjoint gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Self, Unpack

from pyode_bridge.equations.neural_ode import NeuralODE
from pyode_bridge.errors import InputError
from pyode_bridge.models.blocks import Head, Stem
from pyode_bridge.models.conv_dynamics import ConvDynamics
from pyode_bridge.models.last_solve import LastSolve
from pyode_bridge.models.sizes import is_whole
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, with_settings


class ODENet(LastSolve):
    """A network with a solve in it: a stem makes the state, dynamics move it from time 0 to 1, a head reads it.

    `for_images` makes the paper's. With its adjoint (``sensealg="BacksolveAdjoint"``) memory does not grow with the
    number of evaluations.

    Args:
        stem: maps inputs to states ``(B, C, ...)``: feature maps, or vectors.
        dynamics: ``dy/dt`` as a module of the scalar ``t`` and of ``y``, shape ``(B, C + augment, ...)``.
        head: maps the last state, of that shape, to what the network returns.
        augment: channels of zeros appended to the state (Dupont et al. 2019); 0 is the paper's model.
        **settings: as for `pyode_bridge.odeint`: ``method``, ``engine``, ...; see `SolverSettings`.

    Raises:
        InputError: ``augment`` is not a whole number, or the dynamics do not fit the state.
        SolverError: a solve ended early.

    Examples:
        A classifier of vectors:

        >>> import torch
        >>> from pyode_bridge.models import LatentDynamics, ODENet
        >>> dynamics = LatentDynamics(16, units=32)
        >>> model = ODENet(torch.nn.Linear(30, 16), dynamics, torch.nn.Linear(16, 2), engine="embedded")
        >>> model(torch.rand(5, 30)).shape
        torch.Size([5, 2])

    Source: Chen et al. 2018, section 3; Dupont, Doucet & Teh 2019 for the augmentation.
    """

    @with_settings
    def __init__(
        self,
        stem: torch.nn.Module,
        dynamics: torch.nn.Module,
        head: torch.nn.Module,
        *,
        augment: int = 0,
        **settings: Unpack[SolverSettings],
    ) -> None:
        super().__init__()
        check_settings("ODENet", SolverSettings, settings)
        self.augment = _channels(augment)
        self.stem = stem
        self.ode = NeuralODE(dynamics, **settings)
        self.head = head

    @classmethod
    @with_settings
    def for_images(
        cls,
        in_channels: int = 1,
        classes: int = 10,
        *,
        width: int = 64,
        downsamplings: int = 2,
        augment: int = 0,
        **settings: Unpack[SolverSettings],
    ) -> Self:
        """The paper's classifier of images: `Stem`, `ConvDynamics` and `Head`.

        Args:
            in_channels: channels of the images.
            classes: number of logits.
            width: channels of the feature maps.
            downsamplings: halvings of height and width in the stem.
            augment: channels of zeros appended to the state.
            **settings: as for `ODENet`. The paper's tolerances are ``rtol=1e-3, atol=1e-3``.

        Returns:
            A model that maps images ``(B, in_channels, H, H')``, float32 or float64 as the parameters, to logits
            ``(B, classes)``.

        Raises:
            InputError: a size is not a whole number in range; at a call, images that do not fit.

        Examples:
            >>> import torch
            >>> from pyode_bridge.models import ODENet
            >>> model = ODENet.for_images(width=8, rtol=1e-3, atol=1e-3, engine="embedded")
            >>> logits = model(torch.rand(5, 1, 28, 28))  # shape (5, 10); model.nfe.forward counts evaluations
        """
        channels = width + _channels(augment)
        stem, head = Stem(in_channels, width, downsamplings), Head(channels, classes)
        return cls(stem, ConvDynamics(channels), head, augment=augment, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """What the head makes of the state at time 1."""
        self._forget()
        solution = self._noted(self.ode.solve(self.state(x)))
        return self.head(solution.y[-1])  # type: ignore[no-any-return]

    def state(self, x: Tensor) -> Tensor:
        """The initial state: what the stem makes of ``x``, and the channels of zeros, ``(B, C + augment, ...)``."""
        y0: Tensor = self.stem(x)
        if not self.augment:
            return y0
        return torch.cat([y0, y0.new_zeros(len(y0), self.augment, *y0.shape[2:])], dim=1)

    def extra_repr(self) -> str:
        """The augmentation."""
        return f"augment={self.augment}"


def _channels(augment: int) -> int:
    if not is_whole(augment, least=0):
        raise InputError(f"augment is {augment!r}; expected a whole number of channels, 0 for none.")
    return augment
