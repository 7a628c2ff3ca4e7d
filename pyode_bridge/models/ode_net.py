"""The ODE-Net: residual blocks without end, integrated by a solver, with adjoint gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Unpack

from pyode_bridge.equations.neural_ode import NeuralODE
from pyode_bridge.errors import InputError
from pyode_bridge.models.blocks import Head, Stem
from pyode_bridge.models.conv_dynamics import ConvDynamics
from pyode_bridge.models.last_solve import LastSolve
from pyode_bridge.models.sizes import is_whole
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, with_settings


class ODENet(LastSolve):
    """Stem, `ConvDynamics` solved from time 0 to 1, head.

    With the paper's adjoint (``sensealg="BacksolveAdjoint"``) memory does not grow with
    the number of evaluations.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: channels of the feature maps.
        downsamplings: halvings of height and width in the stem.
        augment: channels of zeros appended to the state (Dupont et al. 2019); 0 is the paper's model.
        **settings: as for `pyode_bridge.odeint`: ``method``, ``engine``, ...; see `SolverSettings`. The paper's
            tolerances are ``rtol=1e-3, atol=1e-3``.

    For images of shape ``(B, in_channels, H, H')``, float32 or float64 as the parameters, logits ``(B, classes)``.

    Raises:
        InputError: a size is not a whole number in range, or the images do not fit.
        SolverError: a solve ended early.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import ODENet
        >>> model = ODENet(width=8, rtol=1e-3, atol=1e-3, engine="embedded")
        >>> logits = model(torch.rand(5, 1, 28, 28))  # shape (5, 10); model.nfe.forward counts evaluations

    Source: Chen et al. 2018, section 3; Dupont, Doucet & Teh 2019 for the augmentation.
    """

    @with_settings
    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        *,
        width: int = 64,
        downsamplings: int = 2,
        augment: int = 0,
        **settings: Unpack[SolverSettings],
    ) -> None:
        super().__init__()
        if not is_whole(augment, least=0):
            raise InputError(f"augment is {augment!r}; expected a whole number of channels, 0 for none.")
        self.augment = augment
        self.stem = Stem(in_channels, width, downsamplings)
        check_settings("ODENet", SolverSettings, settings)
        self.ode = NeuralODE(ConvDynamics(width + augment), **settings)
        self.head = Head(width + augment, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of ``images``."""
        self._forget()
        solution = self._noted(self.ode.solve(self.state(images)))
        return self.head(solution.y[-1])  # type: ignore[no-any-return]

    def state(self, images: Tensor) -> Tensor:
        """The initial state: the stem's maps and the channels of zeros, shape ``(B, width + augment, h, h')``."""
        maps = self.stem(images)
        if not self.augment:
            return maps  # type: ignore[no-any-return]
        return torch.cat([maps, maps.new_zeros(len(maps), self.augment, *maps.shape[2:])], dim=1)

    def extra_repr(self) -> str:
        """The augmentation."""
        return f"augment={self.augment}"
