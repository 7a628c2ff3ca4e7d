"""Stochastic differential equations: `sdeint`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from pyode_bridge.derivatives import transformed
from pyode_bridge.derivatives.captures import Outside
from pyode_bridge.derivatives.compilation import between_graphs
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.equations.preparation import prepare
from pyode_bridge.equations.products import parameter_product, state_product
from pyode_bridge.equations.solution import Solution
from pyode_bridge.equations.solving import solution_of
from pyode_bridge.errors import InputError
from pyode_bridge.problem import checks, levels
from pyode_bridge.problem.direction import INCREASING
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.forms import Noise, Part
from pyode_bridge.problem.settings import SensealgSettings, complete, with_settings
from pyode_bridge.problem.state import State, Structure, Times, copied
from pyode_bridge.problem.wanted import Wanted

NoiseName: TypeAlias = Literal["diagonal", "scalar", "general"]

# Kinds of noise, each with the solver to take where none is named.
DEFAULT_METHODS = {"diagonal": "SOSRI", "scalar": "SOSRI", "general": "LambaEM"}
TOLERANCE = 1e-2  # of the strong error, relative and absolute, where none is given


@between_graphs
@with_settings
def sdeint(
    drift: Dynamic,
    diffusion: Dynamic,
    y0: State,
    t: Times,
    *,
    noise: NoiseName = "diagonal",
    seed: int | None = None,
    **settings: Unpack[SensealgSettings],
) -> State:
    """Sample ``dy = drift(t, y) dt + diffusion(t, y) dW``, ``y(t[0]) = y0``, at the times ``t``.

    Solved by StochasticDiffEq.jl (``python -m pyode_bridge install StochasticDiffEq``). Itô's or Stratonovich's sense
    is the method's: most, such as ``"SOSRI"`` and ``"EM"``, are Itô's; ``"EulerHeun"`` is Stratonovich's.

    Gradients are those of each path. Its steps are their own gradient, along the noise that was drawn for them
    (``sensealg="DiscreteAdjoint"``, the usual choice; Giles & Glasserman 2006, "Smoking adjoints"): those of
    ``"SOSRI"``, ``"SRIW1"``, ``"EM"``, ``"LambaEM"``, ``"RKMil"``, ``"EulerHeun"``, ``"LambaEulerHeun"`` and other
    explicit methods, whose tableaus are read off the solver. ``sensealg="BacksolveAdjoint"`` (of SciMLSensitivity,
    after Li et al. 2020) runs the paths backwards by ``"EulerHeun"``, with errors in proportion to ``dt``, for fixed
    steps of Stratonovich's methods.

    Args:
        drift: maps a scalar tensor ``t`` and the state to a tensor, tuple or dict as the state is.
        diffusion: likewise; for general noise, over a state of shape ``(*shape)``, to a tensor ``(*shape, m)``.
        y0: initial state, real; a leading dimension of samples shares the steps, each sample with its own noise where
            noise is diagonal.
        t: times, shape ``(T,)``, strictly increasing; steps end at them, since a line between steps is no path.
        noise: ``"diagonal"``: each component its own Wiener process; ``"scalar"``: one process for all; ``"general"``:
            ``m`` processes, mixed by the diffusion.
        seed: fixes the paths; default: drawn from torch's generator, so that `torch.manual_seed` fixes them.
        **settings: ``method`` is any solver of StochasticDiffEq.jl by name: ``"SOSRI"`` (the default for diagonal and
            scalar noise), ``"SRIW1"``, ``"EM"``, ``"LambaEM"`` (the default for general noise), ``"SKenCarp"``
            (additive noise), ...; ``rtol`` and ``atol`` bound the strong error in a step and are 1e-2 by default;
            solvers such as ``"EM"`` need ``dt`` among the ``options``, or step from time to time of ``t``. The rest is
            as for `odeint`, see `SolverSettings`; the Julia engine alone serves it.

    Returns:
        Values at ``t``, as those of `odeint`.

    Raises:
        InputError, UnknownSolverError, SolverError: as for `odeint`.
        UnsupportedError: a gradient is required that the method does not give, or the package is not installed.

    Examples:
        >>> import torch, pyode_bridge as pb
        >>> y = pb.sdeint(lambda t, y: -y, lambda t, y: 0.1 * y, torch.ones(8), torch.linspace(0.0, 1.0, 11), seed=1)
    """
    if levels.active():
        return _transformed(drift, diffusion, y0, t, noise, checked_seed(seed), settings)
    return solution_of(prepared_sde("sdeint", drift, diffusion, y0, t, noise, seed, settings)).y


@between_graphs
@with_settings
def solve_sde(
    drift: Dynamic,
    diffusion: Dynamic,
    y0: State,
    t: Times,
    *,
    noise: NoiseName = "diagonal",
    seed: int | None = None,
    **settings: Unpack[SensealgSettings],
) -> Solution:
    """Sample as `sdeint` does, and return a `Solution`, which says what ran."""
    return solution_of(prepared_sde("solve_sde", drift, diffusion, y0, t, noise, seed, settings))


def prepared_sde(
    function: str,
    drift: Dynamic,
    diffusion: Dynamic,
    y0: State,
    t: Times,
    noise: NoiseName,
    seed: int | None,
    settings: SensealgSettings,
) -> Prepared:
    """Check everything; ``function`` is what the user called."""
    checks.function(drift, "drift")
    checks.function(diffusion, "diffusion")
    if noise not in DEFAULT_METHODS:
        raise InputError(f"noise is {noise!r}; expected one of {', '.join(map(repr, DEFAULT_METHODS))}.")
    rules: SensealgSettings = {"method": DEFAULT_METHODS[noise], "rtol": TOLERANCE, "atol": TOLERANCE}
    chosen = complete(function, SensealgSettings, settings, rules, kind="SDE")
    prepared = prepare(Both(drift, diffusion), y0, t, chosen)
    structure, both = prepared.structure, prepared.problem.dynamics
    wanted = both.wanted.widened()  # that of the drift and the diffusion
    if structure.is_complex or both.direction.decreases or prepared.t.requires_grad:
        raise InputError(f"{function} takes a real state, and increasing times that require no gradient.")
    diffusion_dynamics = (_Matrix if noise == "general" else Dynamics)(
        diffusion, structure, wanted, INCREASING, "diffusion(t, y)"
    )
    s0, start = prepared.problem.t[0].item(), prepared.problem.y0
    dynamics = _Drift(drift, structure, wanted, both)
    dynamics.start = dynamics(s0, start.clone())
    value = diffusion_dynamics(s0, start.clone())
    parts = _parts(diffusion_dynamics, start, len(value), products=prepared.problem.sensitivity is not None)
    form = Noise(*parts, noise, len(value) // structure.size, _seed(seed), (diffusion,))
    return replace(prepared, problem=replace(prepared.problem, dynamics=dynamics, form=form))


def _transformed(
    drift: Dynamic, diffusion: Dynamic, y0: State, t: Times, noise: NoiseName, seed: int, settings: SensealgSettings
) -> State:
    """`sdeint` under torch's function transforms: all of a batch goes along the same noise."""
    structure = Structure.of(y0)
    flat_y0, times = structure.pack(y0), checks.times(t, structure)[0]
    if levels.is_varied(times):
        raise InputError("sdeint takes times that require no gradient, and are no batch.")

    def at_start() -> tuple[Any, ...]:
        return times[0].to(structure.time_dtype), structure.unpack_copy(flat_y0)

    def solve(drift: Dynamic, diffusion: Dynamic, y0: State, t: Tensor) -> State:
        return sdeint(drift, diffusion, y0, t.detach(), noise=noise, seed=seed, **settings)

    functions = [Outside(function, at_start) for function in (drift, diffusion)]
    return transformed.solved(solve, functions, structure, flat_y0, times)


class Both(nn.Module):
    """The drift, as a module and a function whose parameters are those of the diffusion too."""

    def __init__(self, drift: Dynamic, diffusion: Dynamic) -> None:
        super().__init__()
        self.drift = drift
        self.diffusion = diffusion

    def forward(self, t: Tensor, y: State) -> State:
        """The drift."""
        drift, diffusion = self.drift(t.clone(), copied(y)), self.diffusion(t, y)
        touched = 0 * sum(leaf.sum() for leaf in _tensors(diffusion))
        if isinstance(drift, Mapping):
            return {key: leaf + touched for key, leaf in drift.items()}
        return tuple(leaf + touched for leaf in drift) if isinstance(drift, tuple) else drift + touched


def _tensors(state: Any) -> list[Tensor]:
    leaves = state.values() if isinstance(state, Mapping) else state if isinstance(state, tuple) else (state,)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


class _Drift(Dynamics):
    """The drift; of the tensors that are wanted, the diffusion may use some alone."""

    def __init__(self, drift: Dynamic, structure: Structure, wanted: Wanted, both: Dynamics) -> None:
        super().__init__(drift, structure, wanted)
        self._both = both

    def check_still_uses_leaves(self, s: float, y: Tensor) -> None:
        self._both.check_still_uses_leaves(s, y)


class _Matrix(Dynamics):
    """A diffusion that mixes several Wiener processes: over a state that is one tensor, a column for each."""

    def _flat(self, time: Tensor, value: Any) -> Tensor:
        structure = self.structure
        shape = structure.shapes[0]
        fits = isinstance(value, Tensor) and value.is_floating_point() and value.ndim == len(shape) + 1
        if structure.keys is not None or not fits or value.shape[:-1] != shape or not value.shape[-1]:
            given = f"shape {tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"{self.name} at t = {time:.6g} returned {given}; expected, for general noise over a state that is "
                f"one tensor, shape {(*shape, 'm')}, {structure.dtype}: a column for each Wiener process."
            )
        columns: Tensor = value.to(structure.dtype).reshape(structure.size, -1).mT
        return columns.reshape(-1)


def _parts(diffusion: Dynamics, y0: Tensor, size: int, *, products: bool) -> tuple[Part, Part | None, Part | None]:
    """The diffusion and both its vector-Jacobian products, where they are wanted."""
    value = Part(lambda s, t, y: diffusion.at(t, y), (y0,), size)
    if not products:
        return value, None, None
    return value, state_product(diffusion, y0, size), parameter_product(diffusion, y0, size)


def _seed(given: object) -> int:
    return checked_seed(given) + 1  # Julia takes 0 for none


MOST_SEEDS = 2**62


def checked_seed(given: object, paths: int = 1) -> int:
    """The seed of the first of so many paths, drawn where there is none; raises InputError for what is none."""
    most = MOST_SEEDS - paths
    if given is None:
        return int(torch.randint(most, ()))
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise InputError(f"seed is {given!r}; expected a whole number from 0 to {most}.")
    return given
