"""From the start of a worker to its end, each with a parent of its own: threads, forks, and parents that end or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.julia,
    pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS"),
    pytest.mark.timeout(280),
]

PREAMBLE = """
import math, os, signal, sys, threading, time, warnings
import torch
import pyode_bridge as pb

T = torch.tensor([0.0, 1.0], dtype=torch.float64)

def solve():
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = pb.odeint(lambda t, y: -y, y0, T, method="Tsit5", isolation="process")
    y[-1].sum().backward()
    return max(abs(found - math.exp(-1)) for found in (*y0.grad.tolist(), *y[-1].tolist()))

def swing(**settings):
    return pb.odeint(lambda t, y: -torch.sin(1000 * t) * y, torch.ones(1, dtype=torch.float64), 1e6 * T,
                     method="Tsit5", isolation="process", options=dict(maxiters=10**9), **settings)

def pid():
    from pyode_bridge.engines import isolated_engine
    return isolated_engine()._bridge.worker.pid

"""


def start(script: str, tmp_path: Path) -> subprocess.Popen[str]:
    file = tmp_path / "script.py"
    file.write_text(PREAMBLE + textwrap.dedent(script))
    return subprocess.Popen(
        [sys.executable, "-W", "error::RuntimeWarning", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(script: str, tmp_path: Path) -> list[str]:
    """What a script prints that must end well, with nothing to be said on the way."""
    with start(script, tmp_path) as process:
        output, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert errors == ""
    return output.splitlines()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")  # nobody waited for it


def wait_for_end(pid: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while is_there(pid):
        assert time.monotonic() < end, "the worker outlives its parent"
        time.sleep(0.05)


def test_threads_start_it_and_solve_and_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    script = """
    def segments():
        return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()

    before, found = segments(), []
    threads = [threading.Thread(target=lambda: found.append(solve())) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 4 and max(found) < 1e-6, found
    assert "juliacall" not in sys.modules
    assert segments() == before
    print(pid())
    """
    (pid,) = finished(script, tmp_path)
    assert not is_there(int(pid))


def test_a_fork_gets_a_worker_of_its_own_and_leaves_its_parents_alone(tmp_path: Path) -> None:
    script = """
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
    assert solve() < 1e-6
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = pb.odeint(lambda t, y: -y, y0, T, method="Tsit5", isolation="process")
    ours = pid()
    child = os.fork()
    if not child:
        try:
            y.sum().backward()
        except pb.WorkerError as error:
            print("belongs to the process that this one was forked from" in str(error), flush=True)
        assert solve() < 1e-6
        assert pid() != ours
        print(pid(), flush=True)
        sys.exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    assert pid() == ours
    y.sum().backward()
    assert abs(y0.grad[0].item() - 1 - math.exp(-1)) < 1e-6
    assert solve() < 1e-6
    # One that is ended while its parent solves.
    child = os.fork()
    if not child:
        time.sleep(60)
    assert solve() < 1e-6
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    print(ours)
    """
    refused, theirs, ours = finished(script, tmp_path)
    assert refused == "True"
    assert not is_there(int(theirs))
    assert not is_there(int(ours))


@pytest.mark.parametrize("busy", ["idle", "solving", "in an ensemble"])
def test_a_worker_ends_with_a_parent_that_was_killed(busy: str, tmp_path: Path) -> None:
    script = f"""
    os.environ["PYTHON_JULIACALL_THREADS"] = "1"  # which solves an ensemble and tells how far it is
    solve()
    if "{busy}" != "idle":
        threading.Timer(5.0, lambda: print(pid(), flush=True)).start()
        if "{busy}" == "solving":
            swing()
        pb.solve_ensemble(lambda t, y: -torch.sin(1000 * t) * y, torch.ones(1, 1, dtype=torch.float64), 1e6 * T,
                          method="Tsit5", isolation="process", options=dict(maxiters=10**9))
    print(pid(), flush=True)
    time.sleep(100)
    """
    with start(script, tmp_path) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_there(pid)
        time.sleep(1.0)
        process.kill()
        wait_for_end(pid, 20)


def test_ctrl_c_in_a_terminal_ends_a_solve_and_the_next_one_is_right(tmp_path: Path) -> None:
    script = """
    solve()
    print("ready", flush=True)
    try:
        swing()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    assert solve() < 1e-6
    print("solved")
    """
    with start(script, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(3.0)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 5
        output, errors = process.communicate(timeout=100)
    assert (output, process.returncode) == ("solved\n", 0), errors


def test_a_thread_that_solves_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    script = """
    solve()
    print(pid(), flush=True)
    threading.Thread(target=swing, daemon=True).start()
    time.sleep(3.0)
    """
    began = time.monotonic()
    with start(script, tmp_path) as process:
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert time.monotonic() - began < 100
    assert not is_there(int(output))
