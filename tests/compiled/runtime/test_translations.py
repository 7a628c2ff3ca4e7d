"""What a session keeps of compiled dynamics: translations that solves and threads share."""

import sys
import threading

import pytest
import torch

from pyode_bridge.compiled.codegen import traced_functions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.compiled.runtime.backends import TorchBackend, torch_lane
from tests.problems import DOUBLE

Y0 = torch.tensor([0.4, 1.1], dtype=DOUBLE)


def test_threads_that_share_a_translation_never_share_memory():
    translation, backend = Translation(), TorchBackend()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted())
    held, twice, failed = set(), [], []
    begin = threading.Barrier(16)

    def solve():
        begin.wait()
        try:
            for _ in range(500):
                workspace = translation.workspace(dynamics, [Y0], backend)
                if workspace in held:
                    twice.append(workspace)
                held.add(workspace)
                held.discard(workspace)
                translation.workspaces.give_back(workspace)
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
    translation, backend = Translation(), TorchBackend()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted())
    first = translation.workspace(dynamics, [Y0], backend)
    translation.workspaces.give_back(first)
    translation.workspaces.idle = {key: Contested(idle) for key, idle in translation.workspaces.idle.items()}
    assert translation.workspace(dynamics, [Y0], backend) is first


def test_what_served_fewer_functions_is_not_given_to_those_that_read_more():
    """A thread may add functions between another's look at the addresses and its solve's end."""
    translation, backend = Translation(), TorchBackend()
    dynamics = Dynamics(lambda t, y: -y, Structure.of(Y0), Wanted())
    small = translation.workspace(dynamics, [Y0], backend)
    translation.workspaces.grow(4096)
    translation.workspaces.give_back(small)
    larger = translation.workspace(dynamics, [Y0], backend)
    more = translation.workspace(dynamics, [Y0, Y0], backend)
    assert larger is not small
    assert larger.work_size == 4096
    assert more.size == larger.size + 1
    translation.workspaces.give_back(larger)
    assert translation.workspace(dynamics, [Y0], backend) is larger


def test_a_lane_calls_only_functions_that_its_environment_will_do_for():
    backend = TorchBackend(rhs=lambda y: -y, vjp=lambda v, y: -v)
    func = lambda t, y: -y  # noqa: E731
    first = torch_lane(func, Y0, backend, products=False)
    second = torch_lane(func, Y0, backend)
    assert (first.address("vjp"), second.address("vjp")) == (None, 1)
    assert first.workspace is not second.workspace


def broken(*_):
    raise RuntimeError("a lowering is wrong")


def test_what_goes_wrong_in_a_translation_leaves_it_to_the_callbacks(monkeypatch):
    monkeypatch.setattr(traced_functions, "lower", broken)
    backend = TorchBackend(rhs=lambda y: -y)
    for _ in range(2):
        with pytest.raises(UnsupportedDynamicsError, match=r"its translation failed .*a lowering is wrong"):
            torch_lane(lambda t, y: -y, Y0, backend)


def test_a_lane_gives_its_workspace_back_though_the_solve_raises():
    backend = TorchBackend(rhs=lambda y: -y)
    func = lambda t, y: -y  # noqa: E731
    with pytest.raises(ZeroDivisionError), torch_lane(func, Y0, backend) as failed:
        raise ZeroDivisionError
    with torch_lane(func, Y0, backend) as again:
        assert again.workspace is failed.workspace
        assert torch_lane(func, Y0, backend).workspace is not again.workspace


def test_a_lane_that_differs_from_torch_gives_its_workspace_back():
    backend = TorchBackend(rhs=lambda y: -2 * y)
    with pytest.raises(UnsupportedDynamicsError, match="off by"):
        torch_lane(lambda t, y: -y, Y0, backend)
    (translation,) = backend.translations.known.values()
    assert list(map(len, translation.workspaces.idle.values())) == [1]


class Owner:
    pass


def test_a_lane_that_is_kept_gives_its_workspace_back_once_its_owner_is_gone():
    backend = TorchBackend(rhs=lambda y: -y)
    func = lambda t, y: -y  # noqa: E731
    owner = Owner()
    with torch_lane(func, Y0, backend) as kept:
        kept.keep_for(owner)
    with torch_lane(func, Y0, backend) as other:
        assert other.workspace is not kept.workspace
    del owner
    (translation,) = backend.translations.known.values()
    assert kept.workspace in [workspace for idle in translation.workspaces.idle.values() for workspace in idle]
