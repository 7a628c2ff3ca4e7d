"""From a user's call to a problem for an engine: every check, once, before any solver runs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.derivatives import captures, hooks
from pyode_bridge.derivatives.parameters import listed_parameters, reached, wanted
from pyode_bridge.derivatives.prepared import Prepared
from pyode_bridge.derivatives.side_effects import called, is_alone
from pyode_bridge.engines import select_engine
from pyode_bridge.engines.protocol import Engine
from pyode_bridge.equations import kept
from pyode_bridge.equations.parts import check_parts, flat_parts
from pyode_bridge.errors import InputError, UnsupportedError
from pyode_bridge.problem import checks, jacobians, levels, predicates, randomness
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamic, Dynamics
from pyode_bridge.problem.forms import Part
from pyode_bridge.problem.grids import Grids, just_after
from pyode_bridge.problem.julia_source import is_written
from pyode_bridge.problem.methods import Method, as_method
from pyode_bridge.problem.norms import AdjointNorm, AdjointState
from pyode_bridge.problem.options import SEMINORM, Norm, StepOptions, heard
from pyode_bridge.problem.problem import Problem, Sensitivity, Settled, SolverSpec, Tolerances
from pyode_bridge.problem.schemes import ScipySolver
from pyode_bridge.problem.settings import IN_ORDER, Algorithm, Settings
from pyode_bridge.problem.sparsity import Sparsity
from pyode_bridge.problem.state import State, Structure, Times
from pyode_bridge.problem.step_callbacks import ADJOINT, StepCallbacks, listens
from pyode_bridge.problem.wanted import Wanted


def prepare(func: Dynamic, y0: State, t: Times, settings: Settings, beside: Sequence[Tensor] = ()) -> Prepared:
    """Check everything and evaluate the dynamics once; raises what `odeint` raises before a solve.

    There may be tensors ``beside``, with respect to which a gradient may be wanted too.
    """
    asked = _names_and_numbers(settings) if not beside else None
    if asked is not None:
        again = kept.prepared(func, y0, t, settings, asked)
        if again is not None:
            return again
    _check_no_transform()
    structure = Structure.of(y0)
    times, values = checks.times(t, structure, least=1)
    direction = Direction.of(values)
    s0 = direction.solver_time(values[0])
    forward, sensitivity = _checked_solvers(settings, structure) if asked is None else _solvers(structure, asked)
    method, tolerances, options = forward.method, forward.tolerances, forward.options
    engine = _engine(settings, method)
    engine.check(method, sensitivity)
    check_parts(func, structure)
    flat_y0 = structure.pack(y0)
    checks.finite(flat_y0, "y0")
    start = flat_y0.detach()
    lane = checks.lane(settings["lane"])
    compiler = engine if engine.compiles and lane != "callback" and settings["adjoint_params"] is None else None
    tried_at = just_after(s0, structure.time_dtype) if options.perturb else s0
    dynamics = _dynamics(func, structure, tried_at, start, direction, settings["adjoint_params"], compiler)
    differentiable = (flat_y0, times, *dynamics.parameters, *dynamics.wanted.unmet, *beside)
    wants_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in differentiable)
    at = levels.plain(times).to("cpu", torch.float64, copy=True)
    problem = Problem(
        dynamics=dynamics,
        y0=start,
        t=direction.solver_time(at),
        method=method,
        tolerances=tolerances,
        options=options,
        sensitivity=sensitivity if wants_grad else None,
        mass_matrix=checks.mass_matrix(settings["mass_matrix"], structure),
        form=flat_parts(func, dynamics, start),
        sparsity=_sparsity(settings["jac_sparsity"], dynamics, s0, start),
        find_sparsity=checks.finds_sparsity(settings["jac_sparsity"]),
        dense=settings["dense"],
        progress=settings["progress"],
        lane=lane,
    )
    if asked is None and compiler is not None:
        problem.predicates = _predicates(problem)
    if method.fixed_step or sensitivity.method.fixed_step or listens(func) or listens(func, ADJOINT):
        _follow_steps(problem, func, y0, at, settings)
    elif asked is not None:
        problem.settled = Settled(asked)
    prepared = Prepared(engine, problem, flat_y0, times, structure)
    if problem.settled is not None:
        kept.keep(prepared, func, y0, t, settings, problem.settled.asked)
    return prepared


def _predicates(problem: Problem) -> dict[str, Part]:
    """Those among the options that do nothing but answer, as they are tried at the start."""
    dynamics, y0 = problem.dynamics, problem.y0
    found = {}
    for name, asked in predicates.given(problem.options).items():
        t = dynamics.time(problem.t[0].item())
        with torch.no_grad():
            predicates.truth(called(asked, t, dynamics.structure.unpack_copy(y0)), t.item())
        if is_alone(asked):
            found[name] = predicates.part_of(asked, dynamics, y0)
    return found


def _engine(settings: Settings, method: Method) -> Engine:
    """The engine that is to solve: SciPy's solvers are at home in one of them."""
    name = "embedded" if isinstance(method.algorithm, ScipySolver) else settings["engine"]
    return select_engine(name, settings["isolation"])


def _follow_steps(problem: Problem, func: Dynamic, y0: State, t: Tensor, settings: Settings) -> None:
    """Say where the steps of fixed ones begin and end, and who hears of steps; ``t`` are the user's times."""
    dynamics, method, wanted = problem.dynamics, settings["method"], problem.sensitivity
    direction, structure = dynamics.direction, dynamics.structure

    def grids(spec: SolverSpec | Problem) -> Grids:
        return Grids(str(spec.method), spec.options, func, y0, direction)

    if problem.method.fixed_step and len(t) > 1 and settings["kind"] != "steady":  # which has no end to step to
        problem.grid = grids(problem).between(t)
    problem.step_callbacks = StepCallbacks.of(func, structure.unpack_copy, direction, method)
    if wanted is None:
        return
    if wanted.method.fixed_step:
        backward = grids(wanted)
        problem.backward_grid = lambda i: backward.between(t[[i + 1, i]])
    whole = AdjointState(structure, dynamics.parameters)
    method = _backward_method(settings)
    problem.backward_callbacks = StepCallbacks.of(
        func, lambda parts: whole.unpack(*parts), direction, method, "_adjoint"
    )


_PLAIN = frozenset({float, int, bool, str, type(None)})
_OPTIONS = ("options", "adjoint_options")
_OF_ADJOINT = ("adjoint_method", "adjoint_rtol", "adjoint_atol", "adjoint_options")

# The settings' values in their order, of options their items, and the types of all: 1, 1.0 and True are equal.
Asked = tuple[tuple[Any, ...], tuple[type, ...]]


def _names_and_numbers(settings: Settings) -> Asked | None:
    """The settings as a key; None where they hold more than names and numbers, or something is to be warned of."""
    given: Any = settings
    values = tuple(given.values())
    kinds = tuple(map(type, values))
    if given["options"] is given["adjoint_options"] is None and _PLAIN.issuperset(kinds):
        return values, kinds
    inner = [given[name] or {} for name in _OPTIONS]
    methods = given["method"], _backward_method(settings)
    if not all(type(options) is dict for options in inner) or not all(map(heard, inner, methods)):
        return None
    kinds = tuple(map(type, chain.from_iterable(options.values() for options in inner)))
    flat = {**given, **{name: tuple(options.items()) for name, options in zip(_OPTIONS, inner, strict=True)}}
    kinds += tuple(type(value) for name, value in flat.items() if name not in _OPTIONS)
    return (tuple(flat.values()), kinds) if _PLAIN.issuperset(kinds) else None


@functools.lru_cache(maxsize=256)
def _solvers(structure: Structure, asked: Asked) -> tuple[SolverSpec, Sensitivity]:
    """How to solve, and how to compute gradients, where names and numbers say it all."""
    settings: Any = dict(zip(IN_ORDER, asked[0], strict=True))
    settings.update((name, dict(settings[name] or ())) for name in _OPTIONS)
    return _checked_solvers(settings, structure)


def _checked_solvers(settings: Settings, structure: Structure) -> tuple[SolverSpec, Sensitivity]:
    options = StepOptions.of(settings["options"], method=settings["method"])
    method = _checked_method(as_method(settings["method"], settings["kind"]), options)
    rtol, atol = (checks.tolerance(settings[name], structure, name) for name in ("rtol", "atol"))
    tolerances = Tolerances(rtol, atol).above_zero(structure.dtype)
    checks.reachable(tolerances.rtol, tolerances.atol, structure)
    if options.norm == SEMINORM:
        raise InputError("options['norm'] is 'seminorm', which is for the backward solve: put it into adjoint_options.")
    forward = SolverSpec(method, tolerances, options)
    return forward, _sensitivity(settings, forward, structure)


def _checked_method(method: Method, options: StepOptions) -> Method:
    """The method; raises UnsupportedError where it is not one of torchdiffeq's, and an option is for these alone."""
    if isinstance(method.algorithm, ScipySolver):
        return replace(method, algorithm=ScipySolver(options.scipy_solver or method.algorithm.solver))
    for subject, served, whom in (
        ("numbers", method.fixed_step, "torchdiffeq's fixed-step names, such as 'rk4'"),
        ("SciPy", False, "'scipy_solver'"),
    ):
        alone = options.set_of(subject)
        if alone and not served:
            raise UnsupportedError(
                f"The options have {', '.join(alone)}, which are for {whom}, alone; leave them out with {method}."
            )
    return method


def _backward_method(settings: Settings) -> str | Algorithm | None:
    """What the user named for the backward solve."""
    named = settings["adjoint_method"]
    return settings["method"] if named is None else named


def _check_no_transform() -> None:
    if levels.active():
        raise UnsupportedError(
            "Of the equations and functions of pyode_bridge, odeint, solve, NeuralODE, sdeint, ddeint and daeint alone "
            "go through torch.func, torch.vmap and forward-mode differentiation; call this one outside of them."
        )
    if captures.within_dynamics():
        raise UnsupportedError("A solve within the dynamics of another does not go through function transforms.")


def _sensitivity(settings: Settings, forward: SolverSpec, structure: Structure) -> Sensitivity:
    """How gradients are computed: as the forward solve, but for what the ``adjoint_`` arguments say."""
    method, tolerances, options = forward.method, forward.tolerances, forward.options
    if settings["adjoint_method"] is not None:
        kind = settings["kind"]
        method = as_method(settings["adjoint_method"], "ODE" if kind == "DAE" else kind)  # which its adjoint is
    if settings["adjoint_options"]:
        options = StepOptions.of_adjoint(settings["adjoint_options"], _backward_method(settings))
    options = replace(options.for_adjoint(), norm=_backward_norm(forward.options.norm, options.norm, structure))
    method = _checked_method(method, options)
    bounds = Tolerances(
        checks.scalar_tolerance(settings["adjoint_rtol"], tolerances.rtol, "adjoint_rtol"),
        checks.scalar_tolerance(settings["adjoint_atol"], tolerances.atol, "adjoint_atol"),
    ).above_zero(structure.dtype)
    given: Mapping[str, Any] = settings
    asked = tuple(name for name in _OF_ADJOINT if given[name] not in (None, {}))
    sensealg = checks.sensealg(settings["sensealg"])
    return Sensitivity(method, bounds, options, sensealg, asked, continuous=settings["continuous"])


def _backward_norm(forward: Norm, backward: Norm, structure: Structure) -> Norm:
    """The norm of the backward solve: what was asked for, or what follows from a function for the forward one."""
    if not callable(forward) or (callable(backward) and backward is not forward):
        return backward
    return AdjointNorm(forward, structure, seminorm=backward == SEMINORM)


def _sparsity(given: Any, dynamics: Dynamics, s0: float, y0: Tensor) -> Sparsity | None:
    """A pattern that is given, tried against the Jacobian at the start: a product with a vector tells both apart."""
    sparsity = Sparsity.of(given, dynamics.structure)
    if sparsity is None:
        return None
    v = jacobians.direction(len(y0), y0)
    with hooks.apart():
        true, _ = dynamics.vjp(s0, y0, v, state=True, parameters=False)
        entries = dynamics.sparse_jacobian(s0, y0, sparsity)
    column = sparsity.missed(entries, v, true)
    if column is not None:
        raise InputError(
            f"jac_sparsity lacks entries that the Jacobian at y0 has, for example in column {column}; set every (row, "
            "column) where a component of the dynamics depends on one of the state."
        )
    return sparsity


def _dynamics(
    func: Dynamic,
    structure: Structure,
    s0: float,
    y0: Tensor,
    direction: Direction,
    adjoint_params: Iterable[Tensor] | None,
    compiler: Engine | None,
) -> Dynamics:
    """The dynamics after one trial evaluation, which checks the output and finds tensors in use.

    Where they were compiled before, and all that they read is known, so is what the trial would find.
    """

    def made(found: Wanted, **known: Any) -> Dynamics:
        return Dynamics(func, structure, found, direction, **known)

    recorded = torch.is_grad_enabled()
    found = reached(func) if compiler is not None or (recorded and adjoint_params is None) else None
    known = None
    if found is not None and compiler is not None:
        known = compiler.recall(found, structure, direction)
    if known is not None:
        return made(known.wanted, cache_hit=known)
    checks.device(structure, func)
    if compiler is not None and is_written(func):
        # What a trial would find, Julia finds, in the process where it runs.
        tensors = [tensor for tensor in func.tensors() if tensor.requires_grad] if recorded else ()
        return made(Wanted(tensors, tensors))
    alone = made(Wanted())
    with hooks.apart():
        with randomness.watched(func):
            value = alone.tried(s0, y0)
        start = value.detach()
        if not recorded:
            return made(Wanted(), start=start)
        if adjoint_params is not None:
            return made(Wanted(listed_parameters(adjoint_params), None), start=start)
        return made(wanted(func, found, value, lambda: alone.evaluate(s0, y0)), start=start)
