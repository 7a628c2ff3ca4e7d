"""Ensembles on the workers of executors: the values and gradients of this process, and nothing lost with a worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.ensembles.shipping import Shipped, revived
from tests.problems import DOUBLE

T = torch.linspace(0, 2, 4, dtype=DOUBLE)
METHODS = {"julia": "Tsit5", "embedded": "dopri5"}
GLOBAL = torch.tensor(0.5, dtype=DOUBLE, requires_grad=True)


class Decay(torch.nn.Module):
    """``y' = -p k y`` with a shared ``k``."""

    def __init__(self) -> None:
        super().__init__()
        self.k = torch.nn.Parameter(torch.tensor(0.7, dtype=DOUBLE))

    def forward(self, _t: Tensor, y: Tensor, p: Tensor) -> Tensor:
        return -p * self.k * y


class Deadly(Decay):
    """Ends its process."""

    def forward(self, _t: Tensor, y: Tensor, p: Tensor) -> Tensor:
        if multiprocessing.parent_process() is not None:
            os._exit(3)
        return -p * y


class Slow(Decay):
    """Takes its time, and leaves a trace of each process that it runs in."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def forward(self, t: Tensor, y: Tensor, p: Tensor) -> Tensor:
        (self.folder / str(os.getpid())).touch()
        time.sleep(0.002)
        return super().forward(t, y, p)


def blows_up(_t: Tensor, y: Tensor) -> Tensor:
    return y**2


def uses_a_global(_t: Tensor, y: Tensor) -> Tensor:
    return -GLOBAL * y


def spread(_t: Tensor, y: Tensor, p: Tensor) -> Tensor:
    return 0.2 * p * y


def differentiates_itself(_t: Tensor, y: Tensor) -> Tensor:
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(y.requires_grad_().square().sum(), y, create_graph=True)
        return -slope / 2


def pool(workers: int = 2) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with pool() as found:
        yield found


def problem(count: int) -> tuple[Tensor, Tensor]:
    y0 = torch.linspace(0.2, 2.0, 2 * count, dtype=DOUBLE).view(count, 2).requires_grad_()
    return y0, torch.linspace(0.5, 1.5, count, dtype=DOUBLE)[:, None].requires_grad_()


def check_against_the_closed_form(executor: Any, engine: str, func: Decay, count: int = 7, size: int = 3) -> None:
    y0, rates = problem(count)
    settings = {"method": METHODS[engine], "engine": engine, "rtol": 1e-6, "atol": 1e-8}
    for k in (0.7, 0.9):  # the second is another value of the same tensor, as in a training
        with torch.no_grad():
            func.k.fill_(k)
        sol = pb.solve_ensemble(func, y0, T, rates, executor=executor, chunk_size=size, **settings)
        assert (sol.engine, sol.lane) == (engine, "compiled" if engine == "julia" else "native")
        exact = y0 * torch.exp(-rates * func.k * T[:, None, None])
        torch.testing.assert_close(sol.y, exact, rtol=1e-4, atol=1e-6)
        weights = torch.linspace(1, 2, exact.numel(), dtype=DOUBLE).view(exact.shape)
        found = torch.autograd.grad((sol.y * weights).sum(), (y0, rates, func.k))
        true = torch.autograd.grad((exact * weights).sum(), (y0, rates, func.k))
        for grad, expected in zip(found, true, strict=True):
            torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-6)


def test_processes_give_values_and_gradients(executor: Executor, engine: str) -> None:
    check_against_the_closed_form(executor, engine, Decay())


@pytest.mark.julia
def test_paths_are_those_of_their_seeds_in_whichever_process(executor: Executor) -> None:
    y0, rates = problem(7)
    walk = pb.SDE(Decay(), spread, seed=3)
    steps: dict[str, Any] = {"method": "EM", "options": {"dt": 0.01, "adaptive": False}}
    found = []
    for where in ({"executor": executor, "chunk_size": 3}, {}):
        sol = pb.solve_ensemble(walk, y0, T, rates, engine="julia", **steps, **where)
        found.append((sol.y, *torch.autograd.grad(sol.y.square().sum(), (y0, rates))))
    for there, here in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-10, atol=1e-12)


def test_threads_give_values_and_gradients() -> None:
    with ThreadPoolExecutor(2) as threads:
        check_against_the_closed_form(threads, "embedded", Decay())


def test_loky_gives_values_and_gradients() -> None:
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(1) as workers:
        check_against_the_closed_form(workers, "embedded", Decay())


def test_structured_states_and_closures(executor: Executor) -> None:
    pytest.importorskip("cloudpickle")
    y0 = {"q": torch.ones(3, 2, dtype=DOUBLE), "v": torch.zeros(3, 2, dtype=DOUBLE)}
    stiffness = torch.tensor(4.0, dtype=DOUBLE, requires_grad=True)
    doubled = 2 * stiffness  # the gradient goes on through what made a tensor

    def func(t: Tensor, y: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"q": y["v"], "v": -doubled * y["q"]}

    settings = {"method": "dopri5", "engine": "embedded", "rtol": 1e-6, "atol": 1e-8}
    sol = pb.solve_ensemble(func, y0, T, executor=executor, **settings)
    assert isinstance(sol.y, dict)
    exact = torch.cos(doubled.sqrt() * T)[:, None, None].expand(4, 3, 2)
    torch.testing.assert_close(sol.y["q"], exact, rtol=1e-4, atol=1e-4)
    (found,) = torch.autograd.grad(sol.y["q"].sum(), stiffness, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(exact.sum(), stiffness)[0], rtol=1e-4, atol=1e-4)


def test_without_gradients_nothing_is_recorded(executor: Executor) -> None:
    y0, rates = problem(4)
    with torch.no_grad():
        sol = pb.solve_ensemble(Decay(), y0, T, rates, executor=executor, method="dopri5", engine="embedded")
    assert not sol.y.requires_grad
    assert sol.stats.nfe > 0


def test_the_bar_counts_trajectories(executor: Executor, capsys: pytest.CaptureFixture[str]) -> None:
    y0, rates = problem(5)
    solver = {"method": "dopri5", "engine": "embedded"}
    pb.solve_ensemble(Decay(), y0, T, rates, executor=executor, chunk_size=2, progress=True, **solver)
    assert "5/5" in capsys.readouterr().err


def test_a_solve_that_fails_says_which(executor: Executor) -> None:
    y0 = torch.tensor([[0.1], [0.1], [0.1], [5.0]], dtype=DOUBLE)
    with pytest.raises(pb.SolverError, match="Among trajectories 2 to 3, in a worker") as caught:
        pb.solve_ensemble(blows_up, y0, T, executor=executor, chunk_size=2, method="dopri5", engine="embedded")
    assert 0 < caught.value.t < 2


def test_a_worker_that_dies_is_told_with_what_was_finished() -> None:
    y0, rates = problem(4)
    with pool(1) as mortal, pytest.raises(pb.WorkerError, match=r"; 0 of 2 chunks were, and are lost") as caught:
        pb.solve_ensemble(Deadly(), y0, T, rates, executor=mortal, chunk_size=2, method="dopri5", engine="embedded")
    assert "__main__" in str(caught.value)


def test_a_function_that_cannot_be_pickled_is_refused(executor: Executor) -> None:
    lock = threading.Lock()

    def func(t: Tensor, y: Tensor) -> Tensor:
        with lock:
            return -y

    with pytest.raises(pb.InputError, match="func, or a setting beside it, cannot be sent to another process"):
        pb.solve_ensemble(func, torch.ones(2, 1), T, executor=executor)


def test_a_tensor_that_a_gradient_would_not_reach_is_refused(executor: Executor) -> None:
    with pytest.raises(pb.InputError, match=r"uses a tensor of shape \(\) that requires a gradient and is no part"):
        pb.solve_ensemble(uses_a_global, torch.ones(2, 1, dtype=DOUBLE), T, executor=executor)


def test_a_state_that_is_made_to_require_gradients_is_no_such_tensor(executor: Executor) -> None:
    y0 = torch.ones(2, 1, dtype=DOUBLE)
    sol = pb.solve_ensemble(differentiates_itself, y0, T, executor=executor, method="dopri5", engine="embedded")
    torch.testing.assert_close(sol.y[-1], y0 * torch.exp(T[0] - T[-1]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("given", "message"), [({"executor": 2}, "executor is a int"), ({"chunk_size": 0}, "is 0;")])
def test_unusable_arguments_are_refused(executor: Executor, given: dict[str, Any], message: str) -> None:
    with pytest.raises(pb.InputError, match=message):
        pb.solve_ensemble(blows_up, torch.ones(2, 1), T, **{"executor": executor, **given})


def test_what_is_shipped_stays_the_same_while_values_change() -> None:
    func = Decay()
    before = Shipped.of(func, "func")
    with torch.no_grad():
        func.k.fill_(3.0)
    after = Shipped.of(func, "func")
    assert before.code == after.code
    with revived(after.code, [tensor.detach() for tensor in after.tensors]) as (first, (k,)):
        assert first.k is k
        assert k.item() == 3.0
        assert isinstance(k, torch.nn.Parameter)
    with revived(after.code, [torch.tensor(5.0, dtype=DOUBLE)]) as (again, _):
        assert again is first
        assert k.item() == 5.0


def cluster() -> Any:
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)


def test_nothing_is_lost_with_a_worker_of_dask(tmp_path: Path) -> None:
    y0, rates = problem(24)
    func = Slow(tmp_path)
    own = str(os.getpid())

    def kill_one() -> None:
        while not (seen := {path.name for path in tmp_path.iterdir()} - {own}):
            time.sleep(0.01)
        os.kill(int(seen.pop()), signal.SIGKILL)

    with cluster() as local, local.get_client() as client:
        killer = threading.Thread(target=kill_one)
        killer.start()
        settings = {"method": "dopri5", "engine": "embedded", "rtol": 1e-7, "atol": 1e-9}
        sol = pb.solve_ensemble(func, y0, T, rates, executor=client, chunk_size=2, **settings)
        killer.join()
        exact = y0 * torch.exp(-rates * func.k * T[:, None, None])
        torch.testing.assert_close(sol.y, exact, rtol=1e-5, atol=1e-7)
        found = torch.autograd.grad(sol.y.sum(), (y0, rates, func.k))
        true = torch.autograd.grad(exact.sum(), (y0, rates, func.k))
        for grad, expected in zip(found, true, strict=True):
            torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-6)
    assert len({path.name for path in tmp_path.iterdir()} - {own}) >= 2, "a process took the place of the killed one"
