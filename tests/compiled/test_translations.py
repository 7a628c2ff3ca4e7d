"""What a session keeps of compiled dynamics: translations that solves and threads share."""

import sys
import threading

import pytest
import torch

from pyode_bridge.compiled.codegen import traced_functions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.cache import Translation
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.compiled.homes import TorchHome, entered
from tests.problems import DOUBLE

Y0 = torch.tensor([0.4, 1.1], dtype=DOUBLE)


def test_threads_that_share_a_translation_never_share_memory():
    translation, home = Translation(), TorchHome()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted(), 1.0)
    held, twice, failed = set(), [], []
    begin = threading.Barrier(16)

    def solve():
        begin.wait()
        try:
            for _ in range(500):
                environment = translation.environment(dynamics, [Y0], home)
                if environment in held:
                    twice.append(environment)
                held.add(environment)
                held.discard(environment)
                translation.give_back(environment)
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=solve) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (failed, twice) == ([], [])


class Contested(list):
    """Another thread takes all that is there between a look and what follows."""

    def __len__(self):
        found = super().__len__()
        self.clear()
        return found


def test_nothing_happens_between_a_look_and_the_taking():
    translation, home = Translation(), TorchHome()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted(), 1.0)
    first = translation.environment(dynamics, [Y0], home)
    translation.give_back(first)
    translation.idle = {key: Contested(idle) for key, idle in translation.idle.items()}
    assert translation.environment(dynamics, [Y0], home) is first


def test_what_served_fewer_functions_is_not_given_to_those_that_read_more():
    """A thread may add functions between another's look at the addresses and its solve's end."""
    translation, home = Translation(), TorchHome()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted(), 1.0)
    small = translation.environment(dynamics, [Y0], home)
    translation._work_size = 4096
    translation.give_back(small)
    larger = translation.environment(dynamics, [Y0], home)
    more = translation.environment(dynamics, [Y0, Y0], home)
    assert larger is not small
    assert larger.work_size == 4096
    assert more.size == larger.size + 1
    translation.give_back(larger)
    assert translation.environment(dynamics, [Y0], home) is larger


def test_a_lane_calls_only_functions_that_its_environment_will_do_for():
    home = TorchHome(rhs=lambda y: -y, vjp=lambda v, y: -v)
    func = lambda t, y: -y  # noqa: E731
    first = entered(func, Y0, home, products=False)
    second = entered(func, Y0, home)
    assert (first.address("vjp"), second.address("vjp")) == (None, 1)
    assert first.environment is not second.environment


def broken(*_):
    raise RuntimeError("a lowering is wrong")


def test_what_goes_wrong_in_a_translation_leaves_it_to_the_callbacks(monkeypatch):
    monkeypatch.setattr(traced_functions, "lower", broken)
    home = TorchHome(rhs=lambda y: -y)
    for _ in range(2):
        with pytest.raises(UnsupportedDynamicsError, match=r"its translation failed .*a lowering is wrong"):
            entered(lambda t, y: -y, Y0, home)
