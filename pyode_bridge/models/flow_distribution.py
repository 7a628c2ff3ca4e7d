"""A flow and a base density as one distribution of `torch.distributions`."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyode_bridge.errors import InputError

Shape: TypeAlias = torch.Size | list[int] | tuple[int, ...]  # as torch's distributions take it


class Flow(Protocol):
    """An invertible map that knows its log determinant: `CNF`, `PlanarFlow`, `InverseFlow`."""

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` and ``log |det ∂x/∂z|`` of shapes ``(*batch, D)`` and ``(*batch,)``."""

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``z`` and ``log |det ∂z/∂x|``."""


class InverseFlow(torch.nn.Module):
    """A flow run the other way round.

    A planar layer is cheap in one direction only. Maximum likelihood evaluates data, so there the cheap direction must
    lead from data to base: ``FlowDistribution(InverseFlow(PlanarFlow(2, 8)), base)``.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The flow's inverse."""
        return self.flow.inverse(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The flow itself."""
        return self.flow(x)


class FlowDistribution(Distribution):
    """The distribution of ``flow(z)`` for ``z`` drawn from ``base``.

    Args:
        flow: the map; its parameters are those of the distribution.
        base: a distribution over vectors, ``event_shape == (D,)``, such as a ``MultivariateNormal``.
        validate_args: whether `log_prob` refuses values of the wrong shape and values that are not finite. On by
            default here: torch's own default is one switch for the whole process, and `torch.compile` turns it off.

    Raises:
        InputError: the base's events are not vectors.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import FlowDistribution, PlanarFlow
        >>> base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> x = FlowDistribution(PlanarFlow(dim=2, depth=8), base).sample((5,))  # shape (5, 2)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012, as torch declares it
    support = constraints.real_vector

    def __init__(self, flow: Flow, base: Distribution, validate_args: bool = True) -> None:
        if len(base.event_shape) != 1:
            raise InputError(
                f"base has event_shape {tuple(base.event_shape)}; expected one dimension. Wrap it, for example "
                "torch.distributions.Independent(base, 1)."
            )
        self.flow = flow
        self.base = base
        super().__init__(base.batch_shape, base.event_shape, validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether samples carry gradients: as the base says."""
        return self.base.has_rsample

    def expand(self, batch_shape: Shape, _instance: object = None) -> FlowDistribution:
        """The same flow over an expanded base."""
        return FlowDistribution(self.flow, self.base.expand(batch_shape), self._validate_args)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Samples, shape ``(*sample_shape, *batch_shape, D)``, without gradients."""
        with torch.no_grad():
            return self.flow(self.base.sample(torch.Size(sample_shape)))[0]

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Samples with gradients with respect to the flow and the base."""
        return self.flow(self.base.rsample(torch.Size(sample_shape)))[0]

    def rsample_and_log_prob(self, sample_shape: Shape = ()) -> tuple[Tensor, Tensor]:
        """Samples and their log density from one pass of the flow: what a reverse KL divergence needs."""
        z = self.base.rsample(torch.Size(sample_shape))
        x, log_det = self.flow(z)
        return x, self.base.log_prob(z) - log_det

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at ``value`` of shape ``(..., D)``; shape ``(...)``."""
        if self._validate_args:
            self._validate_sample(value)
        z, log_det = self.flow.inverse(value)
        return self.base.log_prob(z) + log_det
