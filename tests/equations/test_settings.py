"""The keyword arguments of every solve: complete wherever they are shown, and checked where they are given."""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pandas
import pytest
import torch
import xarray
from matplotlib.axes import Axes
from torch import Tensor, nn

import pyode_bridge as pb
from pyode_bridge import models
from pyode_bridge.engines import engine_name
from pyode_bridge.problem import checks, settings
from pyode_bridge.problem.settings import AdjointSettings, SensealgSettings, SolverSettings, SteadySettings
from tests.problems import DOUBLE

# What views return comes from packages that are imported when it is asked for: their names are there for type checkers.
ON_DEMAND = {"Axes": Axes, "pandas": pandas, "xarray": xarray}
Y0, T = torch.ones(2, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def delayed(t: Tensor, y: Tensor, past: Any) -> Tensor:
    return -past[0]


def residual(t: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    return dy + y


EVENT = pb.Event(lambda t, y: y[0] - 10)
CALLS: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]]] = {
    "odeint": (pb.odeint, SolverSettings, (decay, Y0, T), {}),
    "solve": (pb.solve, SolverSettings, (decay, Y0, T), {}),
    "solve_events": (pb.solve_events, SolverSettings, (decay, Y0, T, [EVENT]), {}),
    "odeint_event": (pb.odeint_event, SolverSettings, (decay, Y0, T[0]), {"event_fn": EVENT.condition}),
    "solve_ensemble": (pb.solve_ensemble, SolverSettings, (decay, Y0[:, None], T), {}),
    "sdeint": (pb.sdeint, SensealgSettings, (decay, decay, Y0, T), {}),
    "ddeint": (pb.ddeint, AdjointSettings, (delayed, Y0, T), {"lags": [1.0]}),
    "daeint": (pb.daeint, AdjointSettings, (residual, Y0, T), {}),
    "steady_state": (pb.steady_state, SteadySettings, (decay, Y0), {}),
}
CONSTRUCTED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "NeuralODE": (pb.NeuralODE, (decay,), {}),
    "CNF": (models.CNF, (models.GatedSum(2, 8),), {}),
    "ODENet": (models.ODENet.for_images, (), {"width": 8}),
    "ODERNNEncoder": (models.ODERNNEncoder, (2,), {}),
    "LatentODE": (
        models.LatentODE,
        (models.GRUEncoder(2), models.LatentDynamics(4), nn.Linear(4, 2), models.GaussianLikelihood(2, std=0.1)),
        {"latent": 4},
    ),
}


@pytest.mark.parametrize("name", [*CALLS, *CONSTRUCTED])
def test_a_signature_shows_every_setting_with_its_default(name: str) -> None:
    function, takes = CALLS[name][:2] if name in CALLS else (CONSTRUCTED[name][0], SolverSettings)
    shown = inspect.signature(function).parameters
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in shown.values())
    for setting in takes.__optional_keys__:
        assert shown[setting].default is (False if setting == "progress" else None), setting
        assert shown[setting].kind is inspect.Parameter.KEYWORD_ONLY
    order = [setting for setting in shown if setting in ("rtol", "atol", "method", "options")]
    assert order == ["rtol", "atol", "method", "options"]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("wrong", "near"), [("mehtod", "method"), ("a_tol", "atol")])
def test_a_call_refuses_names_that_it_does_not_take(name: str, wrong: str, near: str) -> None:
    function, _, given, own = CALLS[name]
    with pytest.raises(pb.InputError, match=f"{name} has no argument '{wrong}'.*Did you mean.*{near}") as caught:
        function(*given, **own, **{wrong: 1e-3})
    assert isinstance(caught.value, TypeError)  # as Python's own refusal is


@pytest.mark.parametrize(("name", "foreign"), [("sdeint", "adjoint_rtol"), ("daeint", "dense"), ("odeint", "dense")])
def test_a_call_refuses_what_others_take(name: str, foreign: str) -> None:
    function, _, given, own = CALLS[name]
    with pytest.raises(pb.InputError, match=f"{name} has no argument '{foreign}'"):
        function(*given, **own, **{foreign: None})


UNUSABLE: dict[str, tuple[Any, str]] = {
    "mehtod": ("dopri5", "Did you mean method?"),
    "method": (5, "expected a solver's name"),
    "rtol": (-1e-3, "rtol is -0.001"),
    "atol": ("small", "atol is 'small'"),
    "options": ({"maxiters": 0}, "positive number"),
    "engine": ("matlab", "expected one of auto, julia, embedded"),
    "lane": ("fast", "lane is 'fast'"),
    "isolation": ("docker", "isolation is 'docker'"),
    "sensealg": (3, "sensealg is 3"),
    "adjoint_rtol": (torch.ones(2), "adjoint_rtol is"),
    "adjoint_method": (" ", "empty string"),
    "adjoint_options": ({"isoutofdomain": lambda t, y: False}, "adjoint_options has isoutofdomain"),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
@pytest.mark.parametrize("setting", UNUSABLE)
def test_a_model_refuses_unusable_settings_where_it_is_made(name: str, setting: str) -> None:
    make, given, own = CONSTRUCTED[name]
    value, message = UNUSABLE[setting]
    with pytest.raises((pb.InputError, pb.UnsupportedError), match=message):
        make(*given, **own, **{setting: value})


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_model_takes_what_a_solve_may_take(name: str) -> None:
    make, given, own = CONSTRUCTED[name]
    settings = {"method": "dopri5", "rtol": (1e-3, torch.full((2,), 1e-4)), "atol": {"a": 1e-3}, "options": None}
    make(*given, **own, **settings, lane="auto", engine=None, adjoint_options={"maxiters": 10})


def test_none_leaves_each_setting_to_the_rules() -> None:
    nothing: Any = dict.fromkeys(SolverSettings.__optional_keys__ - {"progress"})
    nothing["engine"] = "embedded"
    torch.testing.assert_close(
        pb.odeint(decay, Y0, T, **nothing), pb.odeint(decay, Y0, T, engine="embedded"), rtol=0, atol=0
    )


def test_each_setting_is_documented_once() -> None:
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    taken = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")]
    seen: list[str] = []
    for body in (node.body for node in taken if node.name != "Settings"):
        for field, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(following, ast.Expr), ast.unparse(field)
                seen.append(ast.unparse(field.target))
    assert sorted(seen) == sorted(SolverSettings.__optional_keys__)


def annotations_of(found: Any) -> dict[str, Any]:
    """The types of what is public of a class or function, resolved."""
    if not inspect.isclass(found):
        return {f"{found.__name__}.{name}": hint for name, hint in get_type_hints(found).items()}
    own = {name: member for name, member in vars(found).items() if not name.startswith("_") or name == "__call__"}
    functions = [
        inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member)) for member in own.values()
    ]
    if inspect.isfunction(found.__init__) and not dataclasses.is_dataclass(found):  # whose fields say it
        functions.append(found.__init__)
    fields = [name for name in vars(found).get("__annotations__", ()) if not name.startswith("_")]
    hints = {f"{found.__name__}.{name}": get_type_hints(found)[name] for name in fields}
    for function in filter(inspect.isfunction, functions):
        more = get_type_hints(function, localns=ON_DEMAND).items()
        hints.update({f"{found.__name__}.{function.__name__}.{name}": hint for name, hint in more})
    return hints


def is_open(hint: Any) -> bool:
    """Whether a type holds ``Any``, but for what a function is given as its state, and for the keys of a dict."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is collections.abc.Callable:
        return is_open(inner[1])
    if origin in (dict, collections.abc.Mapping):
        return is_open(inner[1])
    return hint is Any or any(is_open(one) for one in inner if not isinstance(one, str))


PUBLIC = {name: getattr(module, name) for module in (pb, models) for name in module.__all__}


@pytest.mark.parametrize(
    "name",
    [name for name, found in PUBLIC.items() if not (inspect.isclass(found) and issubclass(found, BaseException))],
)
def test_a_public_signature_says_what_it_takes(name: str) -> None:
    assert [where for where, hint in annotations_of(PUBLIC[name]).items() if is_open(hint)] == []


@pytest.mark.parametrize("left_open", [None, "auto"])
def test_none_and_auto_leave_the_choice_alike(left_open: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "embedded")
    monkeypatch.setenv("PYODE_BRIDGE_LANE", "callback")
    solution = pb.solve(decay, Y0.clone().requires_grad_(), T, engine=left_open, sensealg=left_open)
    assert (solution.engine, solution.sensealg) == ("embedded", "TorchAdjoint")
    assert engine_name(left_open) == ("embedded", "PYODE_BRIDGE_ENGINE")
    assert checks.lane(left_open) == "callback"
    assert pb.solvers(left_open) == pb.solvers("embedded")


ORDER = {
    "odeint": ["func", "y0", "t"],
    "solve": ["func", "y0", "t"],
    "solve_events": ["func", "y0", "t", "events"],
    "odeint_event": ["func", "y0", "t0"],
    "solve_ensemble": ["func", "y0", "t", "params"],
    "sdeint": ["drift", "diffusion", "y0", "t"],
    "ddeint": ["func", "y0", "t"],
    "daeint": ["residual", "y0", "t"],
    "steady_state": ["func", "y0"],
}


@pytest.mark.parametrize("name", ORDER)
def test_what_is_solved_comes_first_and_settings_last(name: str) -> None:
    function, takes = CALLS[name][:2]
    shown = inspect.signature(function).parameters
    by_place = [name for name, one in shown.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert by_place == ORDER[name]
    assert set(list(shown)[-len(takes.__optional_keys__) :]) == takes.__optional_keys__


def flow_solution(dtype: torch.dtype) -> pb.Solution:
    flow = models.CNF(models.GatedSum(2, 4), engine="embedded").to(dtype)
    return flow.solve(torch.zeros(3, 2, dtype=dtype))


def net_solution(dtype: torch.dtype) -> pb.Solution:
    net = models.ODENet.for_images(width=4, downsamplings=1, engine="embedded").to(dtype)
    return net.ode.solve(net.state(torch.zeros(2, 1, 4, 4, dtype=dtype)))


DEFAULTS: dict[str, Callable[[torch.dtype], pb.Result]] = {
    "solve": lambda dtype: pb.solve(decay, Y0.to(dtype), T, engine="embedded"),
    "solve_events": lambda dtype: pb.solve_events(decay, Y0.to(dtype), T, [EVENT], engine="embedded"),
    "solve_ensemble": lambda dtype: pb.solve_ensemble(decay, Y0.to(dtype)[:, None], T, engine="embedded"),
    "NeuralODE": lambda dtype: pb.NeuralODE(decay, engine="embedded").solve(Y0.to(dtype)),
    "CNF": flow_solution,
    "ODENet": net_solution,
}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(DOUBLE, 1e-7, 1e-9), (torch.float32, 1e-6, 1e-7)], ids=str)
def test_tolerances_suit_the_dtype(name: str, dtype: torch.dtype, rtol: float, atol: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pb.ToleranceWarning)
        solution = DEFAULTS[name](dtype)
    assert (solution.rtol, solution.atol) == (rtol, atol)


def test_one_tolerance_may_be_left_open() -> None:
    solution = pb.solve(decay, Y0.to(torch.complex64), T, engine="embedded", rtol=1e-3)
    assert (solution.rtol, solution.atol) == (1e-3, 1e-7)
    atol = torch.tensor([1e-4, 1e-5], dtype=DOUBLE)
    assert torch.equal(pb.solve(decay, Y0, T, engine="embedded", atol=atol).atol, atol)
