"""Starting Julia: import orders, settings, signals and threads, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from tests.engines.interrupting import interrupted

pytestmark = pytest.mark.julia

SOLVE = """
y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
y = pb.odeint(lambda t, y: -y, y0, torch.tensor([0.0, 1.0], dtype=torch.float64), method="Tsit5", engine="julia")
y[-1].sum().backward()
assert (y0.grad - torch.exp(torch.tensor(-1.0))).abs().max() < 1e-6
torch.linalg.svd(torch.rand(50, 50))
torch.nn.functional.conv2d(torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3))
print("solved")
"""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_program_starts_julia_when_it_chooses_and_gradients_come_with_their_own_packages() -> None:
    script = f"""
        import sys, torch
        import pyode_bridge as pb
        assert "juliacall" not in sys.modules
        pb.start_julia()
        from juliacall import Main
        loaded = lambda: Main.seval('any(id -> id.name == "SciMLSensitivity", keys(Base.loaded_modules))')
        pb.start_julia()
        times = torch.tensor([0.0, 1.0])
        pb.odeint(lambda t, y: -y, torch.ones(2), times, method="Tsit5", engine="julia")
        assert not loaded()
        exec({SOLVE!r})
        assert loaded()
    """
    ended = run(script)
    assert ended.stdout == "solved\n", ended.stderr


@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("import pyode_bridge as pb, torch", id="bridge first"),
        pytest.param("import torch, pyode_bridge as pb", id="torch first", marks=pytest.mark.slow),
        pytest.param("import torch, juliacall, pyode_bridge as pb", id="torch, juliacall", marks=pytest.mark.slow),
        pytest.param("import juliacall, torch, pyode_bridge as pb", id="juliacall, torch"),
    ],
)
def test_import_orders(imports: str) -> None:
    # juliacall itself warns about torch; only an import that the bridge makes must stay silent.
    ignored = "import warnings; warnings.simplefilter('ignore') if 'juliacall' in {imports!r} else None\n"
    result = run(ignored.replace("{imports!r}", repr(imports)) + imports + SOLVE, PYTHON_JULIACALL_HANDLE_SIGNALS="yes")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("solved")


def test_an_unsafe_juliacall_is_refused_before_it_can_crash() -> None:
    script = """
    import warnings; warnings.simplefilter("ignore")
    import juliacall, torch, pyode_bridge as pb
    try:
        pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), engine="julia")
    except pb.EngineUnavailableError as error:
        print(error)
    """
    result = run(script, PYTHON_JULIACALL_HANDLE_SIGNALS="no", PYTHON_JULIACALL_THREADS="2")
    assert result.returncode == 0, result.stderr
    assert "PYTHON_JULIACALL_HANDLE_SIGNALS=yes" in result.stdout


def test_importing_the_package_starts_no_julia() -> None:
    result = run("import sys, pyode_bridge; print('juliacall' in sys.modules)")
    assert result.stdout.strip() == "False"


def test_julia_starts_with_signals_and_threads_set() -> None:
    script = """
    import torch, pyode_bridge as pb
    pb.solvers("julia")
    from juliacall import CONFIG, Main
    print(CONFIG["opt_handle_signals"], Main.seval("Threads.nthreads()"))
    """
    result = run(script, PYTHON_JULIACALL_THREADS="2")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["yes", "2"]


def test_another_thread_may_not_start_julia() -> None:
    script = """
    import threading, torch, pyode_bridge as pb
    def work():
        try:
            pb.odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), engine="julia")
        except pb.EngineUnavailableError as error:
            print(error)
    thread = threading.Thread(target=work); thread.start(); thread.join()
    """
    result = run(script)
    assert result.returncode == 0, result.stderr
    assert "main thread" in result.stdout


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_ctrl_c_ends_a_long_solve(phase: str) -> None:
    script = f"""
    import sys, torch, pyode_bridge as pb
    rate = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    slow = False
    def f(t, y):
        if slow:
            print("inside", flush=True)
        return -rate * torch.sin(1000 * t) * y
    t = torch.tensor([0.0, 2000.0], dtype=torch.float64)
    short = torch.tensor([0.0, 1.0], dtype=torch.float64)
    y0 = torch.ones(1, dtype=torch.float64)
    y = pb.odeint(f, y0, short, engine="julia", method="Tsit5")
    try:
        slow = True
        if {phase == "backward"}:
            print("inside", flush=True)
            while True:
                (g,) = torch.autograd.grad(y.sum(), rate, retain_graph=True)
        pb.odeint(f, y0, t, engine="julia", method="Tsit5", options=dict(maxiters=10**9))
    except KeyboardInterrupt:
        slow = False
        y = pb.odeint(f, y0, short, engine="julia", method="Tsit5")
        print("interrupted and solved again", flush=True)
    """
    ended = interrupted(script, "inside", after=0.2)
    assert ended.output.strip().endswith("interrupted and solved again"), ended.errors
    assert ended.returncode == 0, ended.errors


def test_input_that_comes_late_is_waited_for() -> None:
    script = "import pyode_bridge as pb\npb.solvers(engine='julia')\nprint('ready', flush=True)\nprint(input())"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)  # it is reading now, and must not take nothing for the end
        process.stdin.write("late\n")
        process.stdin.flush()
        assert process.stdout.readline() == "late\n"


def test_no_value_of_a_usual_type_makes_julia_run_python() -> None:
    """There another thread could come in between, whose garbage collection waits for ever."""
    result = run(
        """
        import sys
        import numpy as np
        from pyode_bridge.engines import julia_engine
        julia_engine()
        import juliacall
        same, called = juliacall.Main.identity, []
        values = [np.arange(3.0), np.float64(1), 1, 1.5, "a", None, True, (1,), [1], {1: 2}, b"a", 1j, range(3)]
        values += [slice(1), juliacall.Main, same, juliacall.Main.seval("[1.0]"), juliacall.Main.seval("Int")]
        for value in values:
            sys.setprofile(lambda frame, event, arg: called.append((type(value).__name__, frame.f_code.co_name)))
            try:
                same(value)
            finally:
                sys.setprofile(None)
        print([entry for entry in called if entry[1].startswith("__subclass")])
        """
    )
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
