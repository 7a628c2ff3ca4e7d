"""Ensembles in one worker and in several, some of which are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines.julia.isolation.pooled import pool_of
from tests.problems import DOUBLE

pytestmark = [
    pytest.mark.julia,
    pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS"),
    pytest.mark.timeout(240),
]

T = torch.linspace(0, 2, 4, dtype=DOUBLE)
SETTINGS: dict[str, Any] = {"method": "Tsit5", "isolation": "process", "rtol": 1e-8, "atol": 1e-10}
K = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)


def decay(t: Tensor, y: Tensor, p: Tensor) -> Tensor:
    return -p * K * y


def long(t: Tensor, y: Tensor, p: Tensor) -> Tensor:
    return -p * torch.sin(500 * t) * y


def inputs(count: int) -> tuple[Tensor, Tensor]:
    y0 = torch.linspace(0.2, 2.0, 2 * count, dtype=DOUBLE).view(count, 2).requires_grad_()
    return y0, torch.linspace(0.5, 1.5, count, dtype=DOUBLE)[:, None].requires_grad_()


@pytest.fixture(scope="module", autouse=True)
def _no_workers_left() -> Iterator[None]:
    yield
    pool_of(2).close()


@pytest.mark.parametrize("workers", [None, 2])
def test_paths_and_their_gradients_are_those_of_their_seeds(workers: int | None) -> None:
    y0, rates = inputs(7)
    walk = pb.SDE(decay, lambda t, y, p: 0.2 * p * K * y, seed=3)
    steps: dict[str, Any] = {"method": "EM", "options": {"dt": 0.01, "adaptive": False}}
    found = []
    for where in ({"isolation": "process", "workers": workers}, {"isolation": "none"}):
        sol = pb.solve_ensemble(walk, y0, T, rates, **steps, **where)
        assert sol.lane == "compiled"
        found.append((sol.y, *torch.autograd.grad(sol.y.square().sum(), (y0, rates, K))))
    for there, here in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("workers", [None, 2])
def test_values_and_gradients_are_those_of_the_closed_form(workers: int | None, capfd: Any) -> None:
    y0, rates = inputs(7)
    sol = pb.solve_ensemble(decay, y0, T, rates, workers=workers, progress=True, **SETTINGS)
    assert (sol.engine, sol.lane) == ("julia", "compiled")
    assert "7/7" in capfd.readouterr().err
    exact = y0 * torch.exp(-rates * K * T[:, None, None])
    torch.testing.assert_close(sol.y, exact, rtol=1e-6, atol=1e-8)
    here = pb.solve_ensemble(decay, y0, T, rates, **{**SETTINGS, "isolation": "none"})
    torch.testing.assert_close(sol.y, here.y, rtol=1e-12, atol=0)
    assert (sol.stats.nfe, sol.stats.accepted) == (here.stats.nfe, here.stats.accepted)
    weights = torch.linspace(1, 2, exact.numel(), dtype=DOUBLE).view(exact.shape)
    found = torch.autograd.grad((sol.y * weights).sum(), (y0, rates, K))
    expected = torch.autograd.grad((exact * weights).sum(), (y0, rates, K))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def kill(place: int) -> None:
    worker = pool_of(2).places[place]._worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)


def test_a_chunk_whose_worker_was_killed_is_done_again() -> None:
    y0, rates = inputs(16)
    times = torch.tensor([0.0, 40.0], dtype=DOUBLE)
    settings = {**SETTINGS, "workers": 2, "options": {"maxiters": 10**8}}
    expected = pb.solve_ensemble(long, y0, times, rates, **settings).y
    began = time.monotonic()
    pb.solve_ensemble(long, y0.detach(), times, rates.detach(), **settings)
    threading.Timer((time.monotonic() - began) / 2, kill, (1,)).start()
    before = pool_of(2).places[1]._worker
    found = pb.solve_ensemble(long, y0, times, rates, **settings).y
    assert torch.equal(found, expected)
    assert pool_of(2).places[1]._worker is not before
    (true,) = torch.autograd.grad(expected.sum(), y0)
    kill(0)  # what it solved is solved again
    (grad,) = torch.autograd.grad(found.sum(), y0)
    torch.testing.assert_close(grad, true, rtol=1e-10, atol=0)


def test_a_worker_that_always_ends_is_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyode_bridge.engines.julia.ensemble import Ensemble

    y0, rates = inputs(4)
    tried = []

    def solve(*args: Any, **kwargs: Any) -> None:
        tried.append(1)
        raise pb.WorkerError("was ended")

    monkeypatch.setattr(Ensemble, "solve", solve)
    with pytest.raises(pb.WorkerError, match="was ended"):
        pb.solve_ensemble(decay, y0, T, rates, workers=1, **SETTINGS)
    assert len(tried) == 3


@pytest.mark.parametrize("workers", [None, 2])
def test_a_trajectory_that_ends_early_is_named_by_its_number(workers: int | None) -> None:
    y0 = torch.full((12, 1), 0.1, dtype=DOUBLE)
    y0[10] = 5.0
    with pytest.raises(pb.SolverError, match=r"Trajectory 10 of 12: Tsit5 stopped at t = 0\.2"):
        pb.solve_ensemble(lambda t, y: y**2, y0, T, workers=workers, **SETTINGS)


@pytest.mark.parametrize("workers", [None, 2])
def test_ctrl_c_ends_it_at_once(workers: int | None) -> None:
    y0, rates = (tensor.detach() for tensor in inputs(8))  # with a gradient, the solution would fill the memory
    times = torch.tensor([0.0, 1e6], dtype=DOUBLE)
    pb.solve_ensemble(long, y0, T, rates, workers=workers, **SETTINGS)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pb.solve_ensemble(long, y0, times, rates, workers=workers, options={"maxiters": 10**9}, **SETTINGS)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("workers", [None, 1])
def test_what_does_not_compile_is_refused(workers: int | None) -> None:
    y0, _ = inputs(3)
    with pytest.raises(pb.UnsupportedError, match=r"takes a Python value out of a tensor.*isolation='none'"):
        pb.solve_ensemble(lambda t, y: -y if y.sum() > 0 else y, y0, T, workers=workers, **SETTINGS)
