"""One family of results: every solve says the same of what ran, in few words, and travels."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge import models
from tests.problems import DOUBLE

T = torch.linspace(0.0, 1.0, 3, dtype=DOUBLE)
RATE = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)


def y0(size: int = 40) -> Tensor:
    return torch.linspace(0.5, 1.0, size, dtype=DOUBLE)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -RATE * y


def frozen(t: Tensor, y: Tensor) -> Tensor:
    return 1 - y


HALF = pb.Event(lambda t, y: y[0] - 0.4, lambda t, y: 2 * y)
EMBEDDED: dict[str, Any] = {"engine": "embedded", "method": "dopri5"}
JULIA: dict[str, Any] = {"engine": "julia"}
# Each with the package of Julia's that it needs beside; None where it needs no Julia.
SOLVES: dict[str, tuple[Callable[[], pb.Result], str | None]] = {
    "solve": (lambda: pb.solve(decay, y0(), T, **EMBEDDED), None),
    "events": (lambda: pb.solve_events(decay, y0(), T, [HALF], **EMBEDDED), None),
    "ensemble": (lambda: pb.solve_ensemble(decay, y0()[:, None], T, **EMBEDDED), None),
    "solve on Julia": (lambda: pb.solve(decay, y0(), T, **JULIA), ""),
    "events on Julia": (lambda: pb.solve_events(decay, y0(), T, [HALF], **JULIA), ""),
    "compiled ensemble": (
        lambda: pb.solve_ensemble(decay, y0()[:, None], T, method="Tsit5", **JULIA),
        "",
    ),
    "stochastic": (lambda: pb.solve_sde(frozen, frozen, y0(), T, seed=1, **JULIA), "StochasticDiffEq"),
    "delayed": (lambda: pb.solve_dde(lambda t, y, past: -past[0], y0(), T, lags=[0.5], **JULIA), "DelayDiffEq"),
    "residual": (lambda: pb.solve_dae(lambda t, y, dy: dy + y, y0(), T, **JULIA), ""),
    "steady": (lambda: pb.solve_steady_state(frozen, y0(), **JULIA), ""),
}
SAID = ("stats", "adjoint_stats", "retcode", "success", "engine", "algorithm", "lane", "lane_reason", "sensealg",
        "sensealg_reason")  # fmt: skip


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if package is None else pytest.mark.julia) for name, (_, package) in SOLVES.items()
    ]
)
def result(request: pytest.FixtureRequest) -> pb.Result:
    solve, package = SOLVES[request.param]
    if package:
        from juliacall import Main

        if not Main.seval(f'Base.find_package("{package}") !== nothing'):
            pytest.skip(f"{package} is not installed")
    return solve()


def test_every_result_says_the_same(result: pb.Result) -> None:
    assert isinstance(result, pb.Result)
    assert result.success
    assert result.retcode in ("Success", "Terminated")
    assert result.engine in ("embedded", "julia")
    assert result.lane in ("native", "callback", "compiled")
    assert result.algorithm
    assert result.stats.nfe > 0 or result.lane != "native"
    assert (result.sensealg is None) == (result.sensealg_reason is None)
    assert result.sensealg is not None or not result.y.requires_grad


def test_a_result_is_printed_in_a_few_words(result: pb.Result) -> None:
    shown = repr(result)
    assert shown.startswith(f"{type(result).__name__}({result.algorithm}, engine={result.engine}")
    assert "tensor(" not in shown
    assert len(shown) < 400
    assert len(shown.splitlines()) <= 3


def test_every_result_is_shown_drawn_and_put_into_tables(result: pb.Result) -> None:
    shown = result._repr_html_()
    assert all(said in shown for said in (result.algorithm, result.engine, result.lane, result.retcode))
    count = result.t.numel()
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = result.plot([0, -1])
    assert {len(line.get_xdata()) for line in ax.lines if line.get_label().startswith("y[")} <= {count, count + 3}
    assert ax.lines
    pyplot.close(ax.figure)
    pytest.importorskip("pandas")
    frame = result.to_pandas()
    assert frame.shape[0] * frame.shape[1] == result.y.numel()
    pytest.importorskip("xarray")
    assert torch.equal(torch.from_numpy(result.to_xarray()["y"].to_numpy()), result.y.detach())


def test_results_can_be_compared(result: pb.Result) -> None:
    assert result == result
    assert result != replace(result)
    assert len({result, result}) == 1


def test_a_result_travels_without_its_solver(result: pb.Result) -> None:
    for found in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert not found.y.requires_grad
        assert torch.equal(found.y, result.y)
        assert torch.equal(found.t, result.t)
        assert {name: getattr(found, name) for name in SAID} == {name: getattr(result, name) for name in SAID}
        assert repr(found) == repr(result)
    assert copy.copy(result) is result


def test_events_sum_the_work_of_their_pieces(engine: str) -> None:
    solution = pb.solve_events(decay, y0(), T, [HALF], engine=engine, method="dopri5")
    assert len(solution.events) == 1
    assert len(solution.trajectories) == 2
    assert solution.stats.nfe == sum(one.stats.nfe for one in solution.trajectories)
    assert solution.adjoint_stats is None
    solution.y.sum().backward()
    assert solution.adjoint_stats == pb_total(solution)
    assert repr(solution.events[0]).startswith("EventRecord(t=0.")
    assert solution.events[0] != copy.copy(solution.events[0])


def pb_total(solution: pb.EventSolution) -> Any:
    done = [one.pullback.stats for one in solution.trajectories]
    return type(done[0])(sum(one.nfe for one in done), sum(one.nvjp for one in done))


def test_an_end_that_was_asked_for_is_a_success() -> None:
    end = replace(HALF, terminal=True)
    solution = pb.solve_events(decay, y0(), T, [end], **EMBEDDED)
    assert solution.terminated
    assert (solution.retcode, solution.success) == ("Terminated", True)


def test_ensembles_sum_the_work_of_their_trajectories() -> None:
    several = pb.solve_ensemble(decay, y0(3)[:, None], T, **EMBEDDED)
    single = [pb.solve(decay, one[None], T, **EMBEDDED) for one in y0(3)]
    assert several.stats.nfe == sum(one.stats.nfe for one in single)
    several.y.sum().backward()
    assert several.adjoint_stats is not None
    assert several.sensealg == single[0].sensealg


@pytest.mark.julia
def test_what_returns_values_returns_those_of_the_solution() -> None:
    torch.testing.assert_close(pb.steady_state(frozen, y0(), **JULIA), torch.ones(40, dtype=DOUBLE))
    solution = pb.solve_steady_state(frozen, y0(), **JULIA)
    assert (solution.retcode, solution.success, solution.t.item()) == ("Terminated", True, float("inf"))
    residual = lambda t, y, dy: dy + y  # noqa: E731
    assert torch.equal(pb.daeint(residual, y0(), T, **JULIA), pb.solve_dae(residual, y0(), T, **JULIA).y)


def flow() -> Any:
    model = models.CNF(models.GatedSum(2, 4), **EMBEDDED, rtol=1e-3, atol=1e-3)
    return model, lambda: model(torch.zeros(3, 2))[1]


def net() -> Any:
    model = models.ODENet.for_images(width=4, downsamplings=1, **EMBEDDED)
    return model, lambda: model(torch.zeros(2, 1, 8, 8))


def latent() -> Any:
    parts = models.GRUEncoder(2), models.LatentDynamics(4), torch.nn.Linear(4, 2), models.GaussianLikelihood(2, std=0.1)
    model = models.LatentODE(*parts, latent=4, **EMBEDDED, rtol=1e-3, atol=1e-3)
    series = models.Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
    return model, lambda: model.elbo(series).value


@pytest.mark.parametrize("make", [flow, net, latent])
def test_models_report_their_last_solve_alike(make: Callable[[], Any]) -> None:
    model, run = make()
    assert (model.stats, model.adjoint_stats, model.nfe) == (None, None, (None, None))
    value = run()
    assert model.nfe == (model.stats.nfe, None)
    assert model.stats.accepted > 0
    value.sum().backward()
    assert model.nfe.backward == model.adjoint_stats.nvjp > 0
    assert copy.deepcopy(model).stats is None


def test_what_models_return_is_printed_in_a_few_words() -> None:
    model, _ = latent()
    series = models.Series.of(torch.linspace(0.0, 1.0, 5), torch.randn(3, 5, 2))
    elbo = model.elbo(series)
    assert repr(series) == "Series(3 series of 5 times and 2 features, torch.float32)"
    assert "tensor(" not in repr(elbo)
    assert series != series[:]
    assert elbo != model.elbo(series)
