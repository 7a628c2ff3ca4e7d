"""Solves in several threads, garbage that other threads collect, and other users of the same Julia."""

from __future__ import annotations

import gc
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from tests.faults.table import Y0, OfTheUserError, T, at_call, decay, fail
from tests.faults.test_faults import assert_next_solve_is_right
from tests.problems import DOUBLE, SPIRAL, Linear

pytestmark = pytest.mark.timeout(240)
WAIT = 200.0  # seconds for what threads do
REPEATS = {"embedded": 2, "julia": 15}

FAMILIES = {
    "embedded": ["DP5", "RadauIIA5", "QNDF", "lsoda"],
    "julia": ["Tsit5", "DP5", "Vern7", "Rodas5P", "FBDF", "KenCarp4", "RadauIIA5", "VCABM", "ROCK4", None],
}


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """What each returns, each in a thread of its own; raises what one of them raises."""
    futures: list[Future[Any]] = [Future() for _ in works]

    def run(work: Callable[[], Any], future: Future[Any]) -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    for work, future in zip(works, futures, strict=True):
        threading.Thread(target=run, args=(work, future), daemon=True).start()
    return [future.result(WAIT) for future in futures]


def solve_right(engine: str, scale: float, method: str | None, lane: str, times: int = 1) -> None:
    """Solve a spiral of its own speed, with gradient, and compare with the closed form."""
    problem, t = Linear(scale * SPIRAL), torch.linspace(0, 1, 4, dtype=DOUBLE)
    y0 = torch.tensor([1.0, scale], dtype=DOUBLE, requires_grad=True)
    exact = problem.exact(y0, t)
    inputs = (y0, problem.matrix)
    expected = torch.autograd.grad(exact.square().sum(), inputs, retain_graph=True)
    for _ in range(times):
        y = pb.odeint(problem, y0, t, engine=engine, method=method, lane=lane, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(y, exact, rtol=1e-3, atol=1e-4)
        found = torch.autograd.grad(y.square().sum(), inputs)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.fixture(autouse=True)
def _started(engine: str) -> None:
    solve_right(engine, 1.0, "DP5", "auto")  # Julia starts in the main thread


def test_every_thread_gets_its_own_right_answers(engine: str) -> None:
    lanes = ("callback", "auto", "callback", "auto")
    at_once(
        [
            lambda k=k, lane=lane: solve_right(engine, 1 + k / 4, "DP5", lane, REPEATS[engine])
            for k, lane in enumerate(lanes)
        ]
    )
    assert_next_solve_is_right(engine)


def test_every_family_of_solvers_works_in_another_thread(engine: str) -> None:
    lane = "callback"
    at_once([lambda: [solve_right(engine, 1.0, method, lane) for method in FAMILIES[engine]]])


def test_the_backward_pass_may_run_in_another_thread(engine: str) -> None:
    problem, y0 = Linear(SPIRAL), torch.ones(2, dtype=DOUBLE, requires_grad=True)
    inputs = (y0, problem.matrix)
    exact = torch.autograd.grad(problem.exact(y0, T).sum(), inputs)
    for lane in ("callback", "auto"):
        y = pb.odeint(problem, y0, T, engine=engine, method="DP5", lane=lane)
        found = at_once([lambda y=y: torch.autograd.grad(y.sum(), inputs, retain_graph=True)] * 3)
        for grads in found:
            torch.testing.assert_close(grads, exact, rtol=1e-5, atol=1e-6)


def test_a_fault_in_one_thread_is_its_own(engine: str) -> None:
    def faulty() -> None:
        for number in range(2, 22, 3):
            with pytest.raises(OfTheUserError):
                pb.odeint(at_call(number, fail), Y0, T, engine=engine, method="DP5", lane="callback")

    at_once([faulty, lambda: solve_right(engine, 0.5, "DP5", "callback", REPEATS[engine])])


def test_ensembles_in_several_threads(engine: str) -> None:
    t = torch.linspace(0, 1, 3, dtype=DOUBLE)

    def solve(rate: float) -> None:
        y0 = torch.linspace(0.5, 1.5, 4, dtype=DOUBLE)[:, None].requires_grad_()
        p = torch.full((4, 1), rate, dtype=DOUBLE)
        y = pb.solve_ensemble(lambda t, y, p: -p * y, y0, t, p, engine=engine, method="DP5").y
        exact = y0 * torch.exp(-rate * t)[:, None, None]
        torch.testing.assert_close(y, exact, rtol=1e-6, atol=1e-8)
        (grad,) = torch.autograd.grad(y[-1].sum(), y0)
        torch.testing.assert_close(grad, torch.exp(-rate * t[-1]).expand(4, 1), rtol=1e-5, atol=1e-6)

    at_once([lambda rate=rate: [solve(rate) for _ in range(REPEATS[engine])] for rate in (0.5, 2.0)])


def test_dynamics_may_solve_in_threads_of_their_own(engine: str) -> None:
    def mean(t: Tensor, y: Tensor) -> Tensor:
        parts = at_once([lambda part=part: pb.odeint(decay, part, T, engine=engine, method="DP5")[-1] for part in y])
        return -torch.stack(parts) * T[-1].exp()

    y = pb.odeint(mean, Y0, T, engine=engine, method="DP5", rtol=1e-4, atol=1e-6, lane="callback")
    torch.testing.assert_close(y[-1], torch.exp(-T[-1:]) * Y0, rtol=1e-3, atol=1e-4)


def test_solutions_are_let_go_of_in_other_threads(engine: str) -> None:
    kept: list[Any] = []
    ended = threading.Event()

    def let_go() -> None:
        while not ended.wait(0.002):
            if kept:
                kept.pop(0)
            gc.collect(0)

    def fill() -> None:
        try:
            for k in range(60):
                y0 = Y0.clone().requires_grad_()
                lane = "auto" if k % 2 else "callback"
                solution = pb.solve(decay, y0, T, engine=engine, method="DP5", lane=lane, dense=engine == "julia")
                torch.testing.assert_close(solution.y[-1], torch.exp(-T[-1:]) * y0, rtol=1e-6, atol=1e-8)
                kept.append(solution)
        finally:
            ended.set()

    at_once([let_go, let_go, fill])


@pytest.mark.julia
def test_other_users_share_the_session(engine: str) -> None:
    if engine != "julia":
        pytest.skip("only Julia has other users")
    import juliacall
    import numpy as np

    other = juliacall.newmodule("Other")
    other.seval(
        "counts = Int[]; half(x) = (push!(counts, length(x)); x ./ 2); waste() = sum(sum(rand(1000)) for _ in 1:2000)"
    )

    def of_theirs() -> None:
        for k in range(20):
            values = np.arange(k + 1.0)
            np.testing.assert_array_equal(np.asarray(other.half(values)), values / 2)
            assert other.waste() > 0
            juliacall.Main.GC.gc(False)

    def calls_it(t: Tensor, y: Tensor) -> Tensor:
        return -torch.from_numpy(np.asarray(other.half(2 * y.numpy())).copy())

    def of_ours() -> None:
        for _ in range(5):
            y = pb.odeint(calls_it, Y0, T, engine="julia", method="DP5", lane="callback")
            torch.testing.assert_close(y[-1], torch.exp(-T[-1:]) * Y0, rtol=1e-6, atol=1e-8)

    at_once([of_theirs, of_ours, of_theirs])
    of_theirs()
    assert len(other.counts) > 60


@pytest.mark.parametrize("engine", [pytest.param("julia", marks=pytest.mark.julia)], indirect=True)
def test_a_package_that_is_not_compiled_is_compiled_in_the_main_thread_alone(tmp_path: Path) -> None:
    """In another thread, Julia would wait for ever. In the main one it takes a while, and says so."""
    import juliacall

    from pyode_bridge.engines.julia import session

    package = tmp_path / "NeverCompiled"
    (package / "src").mkdir(parents=True)
    (package / "Project.toml").write_text(f'name = "NeverCompiled"\nuuid = "{uuid.uuid4()}"\nversion = "0.1.0"\n')
    (package / "src" / "NeverCompiled.jl").write_text("module NeverCompiled\nconst VALUE = 7\nend\n")
    juliacall.Main.seval("path -> pushfirst!(LOAD_PATH, path)")(str(package))
    try:
        load = session.start().load_package
        with pytest.raises(juliacall.JuliaError, match=r"NeverCompiled is not compiled yet.*in the main thread"):
            at_once([lambda: load("NeverCompiled")])
        heard = juliacall.Main.seval('(f, path) -> open(io -> redirect_stderr(() -> f(), io), path, "w")')
        heard(lambda: load("NeverCompiled"), str(tmp_path / "heard"))
        assert "compiling NeverCompiled, once" in (tmp_path / "heard").read_text()
        assert load("NeverCompiled").VALUE == 7
        (loaded,) = at_once([lambda: load("NeverCompiled")])
        assert loaded.VALUE == 7
    finally:
        juliacall.Main.seval("popfirst!(LOAD_PATH)")
