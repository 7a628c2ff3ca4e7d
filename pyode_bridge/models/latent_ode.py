"""`LatentODE`: a generative model of time series whose latent state follows an ODE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from typing_extensions import Unpack

from pyode_bridge.equations.odeint import solve
from pyode_bridge.equations.solution import Solution
from pyode_bridge.errors import InputError
from pyode_bridge.models.encoders import Encoder
from pyode_bridge.models.last_solve import LastSolve
from pyode_bridge.models.likelihood import Likelihood, PersistentLikelihood
from pyode_bridge.models.poisson import PoissonProcess
from pyode_bridge.models.posterior import GaussianPosterior, kl_to_prior
from pyode_bridge.models.series import Series
from pyode_bridge.models.sizes import is_whole
from pyode_bridge.models.union import gather_times, union_of_times
from pyode_bridge.problem.early_checks import check_settings
from pyode_bridge.problem.settings import SolverSettings, with_settings


@dataclass(frozen=True, eq=False, repr=False)
class Elbo:
    """The evidence lower bound of each series, in nats: ``log_likelihood`` and ``kl``, both ``(B,)``.

    Attributes:
        log_likelihood: of the values, and of their times where the model has a Poisson process.
        kl: from the posterior of the initial state to its prior.
        kl_weight: 1 for the bound itself, less while annealing.
        solution: the solve behind it.
    """

    log_likelihood: Tensor
    kl: Tensor
    kl_weight: float
    solution: Solution

    @property
    def value(self) -> Tensor:
        """What to maximise, shape ``(B,)``."""
        return self.log_likelihood - self.kl_weight * self.kl

    def __repr__(self) -> str:
        mean = self.value.mean().item()
        return f"Elbo(mean {mean:g} of {len(self.kl)} series, kl_weight={self.kl_weight:g}, {self.solution})"


class LatentDynamics(nn.Module):
    """``dz/dt``: a network with one hidden layer that does not depend on time (Chen et al. 2018, section 5.1)."""

    def __init__(self, latent: int, units: int = 20) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, units), nn.Tanh(), nn.Linear(units, latent))

    def forward(self, _t: Tensor, z: Tensor) -> Tensor:
        """The derivative at ``z``, of the same shape."""
        return self.net(z)  # type: ignore[no-any-return]


class LatentODE(LastSolve):
    """Encoder, latent ODE and decoder, trained by the evidence lower bound (Chen et al. 2018, section 5).

    Every batch takes one solve, on the union of its series' times.

    Args:
        encoder: maps a `Series` and ``start`` to states ``(B, H)``, and says ``H`` as its ``hidden``: `GRUEncoder`,
            `ODERNNEncoder`, or a module of your own, see `Encoder`.
        dynamics: ``dz/dt`` as a module of ``t`` and ``z``, of shape ``(B, L)``; `LatentDynamics`.
        decoder: maps latent states ``(..., L)`` to means of the values ``(..., D)``.
        likelihood: the distribution of a value around its mean: `GaussianLikelihood`, `OrnsteinUhlenbeckLikelihood`, or
            another `Likelihood`.
        latent: size ``L`` of the latent state.
        arrivals: the likelihood of the times of observation, if they tell something.
        start: the time of the initial latent state; no series begins before it.
        **settings: as for `pyode_bridge.odeint`: ``method``, ``rtol``, ``engine``, ...; see `SolverSettings`.

    Raises:
        InputError: the encoder does not say its size, or a setting is unknown or unusable.

    Examples:
        >>> import torch
        >>> from pyode_bridge.models import GaussianLikelihood, GRUEncoder, Series
        >>> decoder, noise = torch.nn.Linear(4, 2), GaussianLikelihood(2, std=0.1)
        >>> model = LatentODE(GRUEncoder(2), LatentDynamics(4), decoder, noise, latent=4, engine="embedded")
        >>> series = Series.of(torch.linspace(0.0, 1.0, 10), torch.randn(3, 10, 2))
        >>> loss = -model.elbo(series).value.mean()
        >>> loss.backward()
        >>> model.predict(series, torch.linspace(1.0, 2.0, 7)).shape
        torch.Size([3, 7, 2])
    """

    @with_settings
    def __init__(
        self,
        encoder: Encoder,
        dynamics: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        *,
        latent: int,
        arrivals: PoissonProcess | None = None,
        start: float = 0.0,
        **settings: Unpack[SolverSettings],
    ) -> None:
        super().__init__()
        check_settings("LatentODE", SolverSettings, settings)
        if not is_whole(getattr(encoder, "hidden", None), least=1):
            raise InputError(
                f"The encoder, a {type(encoder).__name__}, has no whole number `hidden`; set it to the size H of the "
                "states (B, H) that it returns."
            )
        self.encoder = encoder
        self.posterior_head = GaussianPosterior(encoder.hidden, latent)
        self.dynamics = dynamics
        self.decoder = decoder
        self.likelihood = likelihood
        self.arrivals = arrivals
        self.start = start
        self.solver = settings

    def posterior(self, series: Series) -> Independent[Normal]:
        """``q(z0 | series)`` over ``(L,)`` for each series."""
        return self.posterior_head(self.encoder(series, self.start))  # type: ignore[no-any-return]

    def elbo(
        self, series: Series, targets: Series | None = None, *, kl_weight: float = 1.0, end: float | None = None
    ) -> Elbo:
        """The bound with one sample of the initial state for each series.

        Args:
            series: what the encoder reads.
            targets: what the decoder has to explain; by default ``series`` itself.
            kl_weight: weight of the KL divergence.
            end: the end of the window that the times of observation come from, for a model with ``arrivals``.

        Returns:
            The terms for each series, and the solution.

        Raises:
            InputError: a time before the model's ``start``, or ``arrivals`` without ``end``.
        """
        targets = series if targets is None else targets
        self._forget()
        posterior = self.posterior(series)
        z0 = posterior.rsample()
        if self.arrivals is None:
            z, solution = self._solve_at(z0, targets.t)
            of_times: Tensor | float = 0.0
        else:
            if end is None:
                raise InputError("This model has arrivals; say with end=... until when observations were watched for.")
            window = {"start": self.start, "end": end}
            arrivals = self.arrivals(self.dynamics, z0, targets.t, targets.observed, **window, **self.solver)
            z, solution, of_times = arrivals.z, self._noted(arrivals.solution), arrivals.log_prob
        of_values = self.likelihood.log_prob(self.decoder(z), targets)
        return Elbo(of_values + of_times, kl_to_prior(posterior), kl_weight, solution)

    def predict(self, series: Series, t: Tensor, *, sample: bool = False) -> Tensor:
        """Expected values at times ``t``, shape ``(M,)`` or ``(B, M)``: shape ``(B, M, D)``.

        The initial state is the posterior's mean, or with ``sample`` a draw from it. Where errors last, by the
        likelihood, those of the series are carried on. A fixed-step method steps from the model's ``start`` to the
        first of ``t`` at once, and on from time to time: give it close times or ``dt``.
        """
        if not isinstance(self.likelihood, PersistentLikelihood):
            return self.decoder(self.latent(series, t, sample=sample))  # type: ignore[no-any-return]
        t = t.expand(len(series), t.shape[-1])
        means = self.decoder(self.latent(series, torch.cat([series.t, t], dim=1), sample=sample))
        seen, wanted = means.split([series.t.shape[1], t.shape[1]], dim=1)
        return wanted + self.likelihood.expected_error(seen, series, t)  # type: ignore[no-any-return]

    def latent(self, series: Series, t: Tensor, *, sample: bool = False) -> Tensor:
        """The latent states behind `predict`, shape ``(B, M, L)``."""
        self._forget()
        posterior = self.posterior(series)
        z0 = posterior.rsample() if sample else posterior.mean
        return self._solve_at(z0, t.expand(len(series), t.shape[-1]))[0]

    def _solve_at(self, z0: Tensor, t: Tensor) -> tuple[Tensor, Solution]:
        """The latent states at each series' own times ``(B, N)``, by one solve."""
        grid, position = union_of_times(t, self.start)
        solution = self._noted(solve(self.dynamics, z0, grid.to(z0), **self.solver))
        if not isinstance(solution.y, torch.Tensor):
            raise TypeError("the latent state is one tensor")
        return gather_times(solution.y, position), solution
