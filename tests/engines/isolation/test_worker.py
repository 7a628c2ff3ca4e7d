"""Workers without Julia that crash, hang up, talk nonsense or are slow: an exception each, and no waiting for ever."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.engines.julia.isolation.mailbox import LARGEST_KEPT, SMALLEST, Mailbox
from pyode_bridge.engines.julia.isolation.messages import SERVICE
from pyode_bridge.engines.julia.isolation.transfer import Reads, Writes
from pyode_bridge.engines.julia.isolation.worker import SCRIPT, Worker

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="isolation='process' needs Linux or macOS"),
    pytest.mark.timeout(60),
]

STARTS = f"""
import runpy
runpy.run_path({SCRIPT!r})["without_torch"]()
import os, pickle, signal, sys, time
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
sys.path[:] = connection.recv()
def answer(kind, value):
    connection.send_bytes(pickle.dumps((kind, value)))
"""
SERVES = (
    STARTS
    + """
from pyode_bridge.engines.julia.isolation.service import Service
class Plain(Service):
    def _started(self):
        self._objects[0] = self
        assert "torch" not in sys.modules
    notes = []
    def note(self, address, size):
        import ctypes
        self.notes += (ctypes.c_double * size).from_address(address)
    def noted(self):
        return self.notes
    def copied(self, into, address, size):
        import ctypes
        ctypes.memmove(into, address, size)
    def ask_for(self, value):
        return self.listener(value)
    def known(self):
        return len(self._objects)
    def fail(self, what):
        raise {"value": ValueError("on purpose"), "local": type("Local", (Exception,), {})("mine")}[what]
    def nap(self, seconds):
        time.sleep(seconds)
        return seconds
    def lambdas(self):
        return lambda: 0
    def die(self):
        print("dying", flush=True)
        os.abort()
    def count(self, listener, most):
        for value in range(most):
            self._told = 0.0
            self._tell(listener, value)
Plain(connection, int(sys.argv[2])).run()
"""
)

Start = Callable[[str], Worker]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    started = []

    def begin(script: str) -> Worker:
        file = tmp_path / f"worker{len(started)}.py"
        file.write_text("from __future__ import annotations\n" + textwrap.dedent(script))
        started.append(Worker(script=str(file)))
        return started[-1]

    yield begin
    for worker in started:
        worker.close()
        assert not Path(f"/proc/{worker.pid}").exists() or sys.platform != "linux"


@pytest.fixture
def worker(start: Start) -> Worker:
    return start(SERVES)


def test_arrays_go_there_and_back(worker: Worker) -> None:
    there, back = torch.arange(5.0), torch.zeros(5)
    worker.call(SERVICE, "copied", Writes(back), Reads(there), 20)
    assert back.tolist() == there.tolist()
    large = torch.rand(LARGEST_KEPT // 8 + 1000, dtype=torch.float64)
    found = torch.empty_like(large)
    worker.call(SERVICE, "copied", Writes(found), Reads(large), 8 * len(large))
    assert torch.equal(found, large)
    worker.call(SERVICE, "copied", Writes(back), Reads(there + 1), 20)
    assert back.tolist() == (there + 1).tolist()
    worker.call(SERVICE, "copied", Writes(torch.empty(0)), Reads(torch.empty(0)), 0)


def test_a_view_crosses_with_what_lies_between_its_values() -> None:
    whole = torch.arange(24.0).view(4, 6)
    assert Reads(whole[1:3, 2:4]).size == 4 * (6 + 1 + 1)
    assert Reads(whole.mT).size == 4 * 24
    assert Reads(torch.ones(3).expand(100, 3)).size == 12
    assert Reads(torch.empty(0, 3)).size == 0


def test_a_mailbox_grows_keeps_what_is_in_it_and_shrinks_again() -> None:
    ours = Mailbox()
    theirs = Mailbox(os.dup(ours.descriptor))
    theirs.follow(ours.size)
    first = ours.take(8)
    torch.frombuffer(ours._memory, dtype=torch.float64, count=1, offset=first).fill_(7.0)
    second = ours.take(LARGEST_KEPT)
    assert ours.size >= second + LARGEST_KEPT > SMALLEST
    theirs.follow(ours.size)
    assert torch.frombuffer(theirs._memory, dtype=torch.float64, count=1, offset=first).item() == 7.0
    ours.clear()
    assert ours.size == LARGEST_KEPT
    assert ours.take(1) == 0
    ours.close()
    theirs.close()


def test_what_the_worker_keeps_is_released_when_nobody_has_it(worker: Worker) -> None:
    before = worker.call(SERVICE, "known")
    made, address = worker.call(SERVICE, "ask_for", 3)
    assert address > 0
    assert worker.call(SERVICE, "known") == before + 1
    del made
    gc.collect()
    worker.call(SERVICE, "nap", 0)  # takes the word of it along
    assert worker.call(SERVICE, "known") == before
    made, _ = worker.call(SERVICE, "ask_for", 3)
    worker.post(made, "__init__", print)  # is still done after nobody has it here
    del made
    assert worker.call(SERVICE, "known") == before + 1
    assert worker.call(SERVICE, "known") == before


def test_exceptions_arrive_as_they_are_or_as_words(worker: Worker) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        worker.call(SERVICE, "fail", "value")
    with pytest.raises(RuntimeError, match="Local: mine"):
        worker.call(SERVICE, "fail", "local")
    with pytest.raises(RuntimeError, match="function"):
        worker.call(SERVICE, "lambdas")
    with pytest.raises(AttributeError, match="unheard_of"):
        worker.call(SERVICE, "unheard_of")
    assert worker.call(SERVICE, "nap", 0) == 0


def test_what_cannot_be_sent_does_the_worker_no_harm(worker: Worker) -> None:
    back = torch.zeros(1)
    with pytest.raises((TypeError, AttributeError)):
        worker.call(SERVICE, "copied", Writes(back), lambda: 0)
    assert worker.call(SERVICE, "nap", 0) == 0
    assert worker.ended() is None


def test_what_is_posted_comes_before_the_next_call(worker: Worker) -> None:
    for values in ([1.0, 2.0], [3.0]):
        worker.post(SERVICE, "note", Reads(torch.tensor(values, dtype=torch.float64)), len(values))
    assert worker.call(SERVICE, "noted") == [1.0, 2.0, 3.0]


def test_a_call_tells_how_far_it_is(worker: Worker) -> None:
    class Ear:
        def __init__(self) -> None:
            self.heard: list[float] = []

        def hear(self, value: float) -> None:
            self.heard.append(value)

    ear = Ear()
    worker.call(SERVICE, "count", worker.listen(ear), 3)
    assert ear.heard == [0, 1, 2]
    number = worker.listen(Ear())  # which nobody has any more
    worker.call(SERVICE, "count", number, 3)


def test_a_crash_says_how_and_what_was_said_last(worker: Worker) -> None:
    with pytest.raises(pb.WorkerError, match=r"(?s)was ended by SIGABRT before it had answered.*dying"):
        worker.call(SERVICE, "die")
    assert worker.ended() == "was ended by SIGABRT"
    for call in (worker.call, worker.post):
        with pytest.raises(pb.WorkerError, match=r"that solved this .* was ended by SIGABRT.*Solve again"):
            call(SERVICE, "nap", 0)


def test_a_kill_in_the_middle_of_a_call(worker: Worker) -> None:
    threading.Timer(0.2, os.kill, (worker.pid, signal.SIGKILL)).start()
    began = time.monotonic()
    with pytest.raises(pb.WorkerError, match="was ended by SIGKILL"):
        worker.call(SERVICE, "nap", 50)
    assert time.monotonic() - began < 5


def test_a_kill_between_calls_is_seen(worker: Worker) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    while worker.ended() is None:
        time.sleep(0.01)
    assert worker.ended_idle
    with pytest.raises(pb.WorkerError, match="SIGKILL"):
        worker.call(SERVICE, "nap", 0)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        ("connection.recv_bytes(); connection.send_bytes(b'nonsense')", "answered with what makes no sense"),
        ("connection.recv_bytes(); answer('a', 'b', 'c')", "ended with exit code 1"),
        ("connection.recv_bytes(); connection.send_bytes(pickle.dumps(7)); time.sleep(99)", "makes no sense"),
        ("connection.recv_bytes(); print('half'); os.write(connection.fileno(), b'abc'); os._exit(0)", "exit code 0"),
    ],
)
def test_other_ends(start: Start, ends: str, words: str) -> None:
    found = start(STARTS + "answer('returned', None)\n" + ends)
    with pytest.raises(pb.WorkerError, match=words):
        _ = [found.call(SERVICE, "nap", 0) for _ in range(2)]


def test_one_that_hangs_up_and_stays_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyode_bridge.engines.julia.isolation.process.SECONDS_TO_END", 0.5)
    found = start(STARTS + "answer('returned', None); connection.recv_bytes(); connection.close(); time.sleep(99)")
    with pytest.raises(pb.WorkerError, match="answered no more"):
        found.call(SERVICE, "nap", 0)


def test_one_that_does_not_start(start: Start) -> None:
    with pytest.raises(pb.WorkerError, match=r"(?s)exit code 1 before it had answered.*no such luck"):
        start("raise SystemError('no such luck')")
    with pytest.raises(pb.EngineUnavailableError, match="not here"):
        start(
            STARTS + "from pyode_bridge.errors import EngineUnavailableError\n"
            "answer('raised', EngineUnavailableError('not here')); connection.recv_bytes()"
        )


def test_threads_take_turns(worker: Worker) -> None:
    found: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            back, there = torch.zeros(3), torch.full((3,), float(number))
            worker.call(SERVICE, "copied", Writes(back), Reads(there), 12)
            assert back.tolist() == there.tolist()
            found.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100


def test_ctrl_c_ends_the_wait_and_the_worker(worker: Worker) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        worker.call(SERVICE, "nap", 50)
    assert time.monotonic() - began < 5
    assert worker.ended() == "was ended by KeyboardInterrupt"


def run_without_julia(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON_JULIA")}
    environment |= {"PYTHON_JULIACALL_EXE": "julia", **variables}  # one of two variables
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=50,
        check=False,
    )


def test_a_worker_without_julia_says_so() -> None:
    script = """
    import torch, pyode_bridge as pb
    y0, t = torch.ones(1), torch.tensor([0.0, 1.0])
    try:
        pb.odeint(lambda t, y: -y, y0, t, isolation="process")
    except pb.EngineUnavailableError as error:
        print(error)
    """
    ended = run_without_julia(script)
    assert ended.returncode == 0, ended.stderr
    assert "Set both of" in ended.stdout
    script = """
    import torch, pyode_bridge as pb
    for _ in range(2):
        print(pb.solve(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), method="DP5").engine)
    """
    ended = run_without_julia(script, PYODE_BRIDGE_ISOLATION="process")
    assert ended.stdout.split() == ["embedded", "embedded"], ended.stderr
    assert ended.stderr.count("so the embedded engine runs") == 1
