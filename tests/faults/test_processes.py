"""Forks, spawned workers, signals: each in a process of its own, in which Julia is started or is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals and forks"),
    pytest.mark.timeout(400),
]

PREAMBLE = """
import math, multiprocessing, os, signal, sys, time, warnings
import torch
import pyode_bridge as pb

ENGINE = sys.argv[1]

def solve():
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    y = pb.odeint(lambda t, y: -y, y0, t, method="DP5", engine=ENGINE)
    y[-1].sum().backward()
    return max(abs(found - math.exp(-1)) for found in (*y0.grad.tolist(), *y[-1].tolist()))

class Solves(torch.utils.data.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, place):
        return solve()

class Plain(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, place):
        return torch.full((3,), float(place))

"""


def run(script: str, engine: str, tmp_path: Path, limit: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a script, whose functions processes that it spawns can import."""
    file = tmp_path / "script.py"
    file.write_text(PREAMBLE + textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, str(file), engine], capture_output=True, text=True, timeout=limit, check=False
    )


@pytest.mark.julia
def test_a_fork_of_running_julia_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    script = """
    def told(work):
        try:
            work()
        except pb.EngineUnavailableError as error:
            return str(error)
        return "not refused"

    def child(graph, connection):
        connection.send((told(solve), told(lambda: graph.sum().backward()), torch.ones(3).sum().item()))

    def sleep():
        time.sleep(60)

    if __name__ == "__main__":
        assert solve() < 1e-6
        y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
        graph = pb.odeint(lambda t, y: -y, y0, torch.tensor([0.0, 1.0], dtype=torch.float64), engine=ENGINE)
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        process = fork.Process(target=child, args=(graph, theirs))
        process.start()
        assert ours.poll(60)
        for message in ours.recv()[:2]:
            print(message)
        process.join(60)
        assert process.exitcode == 0
        # One that ends as a process of its own, through the interpreter's exit.
        pid = os.fork()
        if not pid:
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        # One that is asked to end.
        process = fork.Process(target=sleep)
        process.start()
        process.terminate()
        process.join(30)
        assert process.exitcode == -signal.SIGTERM, process.exitcode
        # Workers that read data, and some that solve, too late.
        read = list(torch.utils.data.DataLoader(Plain(), num_workers=2, multiprocessing_context="fork"))
        assert [batch[0, 0].item() for batch in read] == [0, 1, 2, 3]
        try:
            list(torch.utils.data.DataLoader(Solves(), num_workers=1, multiprocessing_context="fork"))
        except pb.EngineUnavailableError as error:
            print("DataLoader:", str(error).splitlines()[0][:40])
        assert solve() < 1e-6
        print("done")
    """
    ended = run(script, "julia", tmp_path)
    assert ended.returncode == 0, ended.stderr
    first, second, *rest = ended.stdout.splitlines()
    for message in (first, second):
        assert "was forked from one in which Julia runs" in message
        assert "multiprocessing_context='spawn'" in message
    assert rest[0].startswith("DataLoader: Caught EngineUnavailableError")
    assert rest[-1] == "done"


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_data_loader_solve(engine: str, context: str, tmp_path: Path) -> None:
    script = f"""
    if __name__ == "__main__":
        loader = torch.utils.data.DataLoader(Solves(), num_workers=1, multiprocessing_context="{context}")
        print(max(error.item() for error in loader))
        if "{context}" == "spawn":
            assert solve() < 1e-6
    """
    ended = run(script, engine, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 1e-6


def test_a_worker_that_is_killed_is_an_exception_and_the_next_one_solves(engine: str, tmp_path: Path) -> None:
    script = """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    def die():
        def f(t, y):
            if t > 0.5:
                os.kill(os.getpid(), signal.SIGKILL)
            return -y
        pb.odeint(f, torch.ones(1), torch.tensor([0.0, 1.0]), method="DP5", engine=ENGINE, lane="callback")

    if __name__ == "__main__":
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            try:
                pool.submit(die).result(200)
            except BrokenProcessPool as error:
                print(type(error).__name__)
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            assert pool.submit(solve).result(200) < 1e-6
        print("solved")
    """
    ended = run(script, engine, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["BrokenProcessPool", "solved"]


@pytest.mark.parametrize("handler", ["none", "own"])
def test_sigterm_ends_a_solve(engine: str, handler: str, tmp_path: Path) -> None:
    script = f"""
    if "{handler}" == "own":
        def leave(number, frame):
            os.write(1, b"leaving\\n")  # the signal may come within a print
            sys.exit(3)
        signal.signal(signal.SIGTERM, leave)
    solve()
    print("ready", flush=True)

    def f(t, y):
        return -torch.sin(1000 * t) * y

    t = torch.tensor([0.0, 1e6], dtype=torch.float64)
    pb.odeint(f, torch.ones(1, dtype=torch.float64), t, method="DP5", engine=ENGINE, options=dict(maxiters=10**9))
    """
    file = tmp_path / "script.py"
    file.write_text(PREAMBLE + textwrap.dedent(script))
    with subprocess.Popen(
        [sys.executable, str(file), engine], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    if handler == "own":
        assert (process.returncode, output) == (3, "leaving\n"), errors
    else:
        assert process.returncode == -signal.SIGTERM, errors
    assert "Traceback" not in errors
