"""What is said of `isolation` and `workers` before any Julia starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

import pyode_bridge as pb
from pyode_bridge.engines import select_engine

Y0, T = torch.ones(3, 1), torch.tensor([0.0, 1.0])


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


@pytest.mark.parametrize("given", ["thread", "", True, 1])
def test_an_unknown_isolation_is_named_with_those_there_are(given: Any) -> None:
    with pytest.raises(pb.InputError, match=r"isolation is .*; expected one of 'none', 'process'"):
        pb.odeint(decay, Y0, T, engine="embedded", isolation=given)
    with pytest.raises(pb.InputError, match="isolation is"):
        pb.solve_ensemble(decay, Y0, T, engine="embedded", isolation=given)
    with pytest.raises(pb.InputError, match="isolation is"):
        pb.NeuralODE(decay, isolation=given)(Y0)


def test_an_unknown_value_of_the_variable_is_named_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ISOLATION", "thread")
    with pytest.raises(pb.InputError, match="PYODE_BRIDGE_ISOLATION is 'thread'"):
        pb.odeint(decay, Y0, T, engine="embedded")
    assert pb.odeint(decay, Y0, T, engine="embedded", isolation="none").shape == (2, 3, 1)


def test_the_embedded_engine_has_no_julia_to_isolate(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pb.UnsupportedError, match="is for Julia, but engine is 'embedded'"):
        pb.odeint(decay, Y0, T, engine="embedded", isolation="process")
    with pytest.raises(pb.UnsupportedError, match="is for Julia, but engine is 'embedded'"):
        pb.solve_events(decay, Y0, T, [pb.Event(lambda t, y: y.sum())], engine="embedded", isolation="process")
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "embedded")
    with pytest.raises(pb.UnsupportedError, match="but PYODE_BRIDGE_ENGINE is 'embedded'"):
        pb.solve(decay, Y0, T, isolation="process")
    monkeypatch.setenv("PYODE_BRIDGE_ISOLATION", "process")  # says where Julia runs, wherever there is one
    assert pb.solve(decay, Y0, T, method="DP5").engine == "embedded"
    assert select_engine().name == "embedded"


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_are_a_number_of_processes(workers: Any) -> None:
    with pytest.raises(pb.InputError, match=r"workers is .*; expected a number of processes"):
        pb.solve_ensemble(decay, Y0, T, isolation="process", workers=workers)


def test_workers_are_for_isolation_and_for_no_executor() -> None:
    with pytest.raises(pb.InputError, match="workers=2 is for isolation='process'"):
        pb.solve_ensemble(decay, Y0, T, workers=2)
    with ThreadPoolExecutor(1) as executor, pytest.raises(pb.InputError, match="workers and executor are both given"):
        pb.solve_ensemble(decay, Y0, T, isolation="process", workers=2, executor=executor)
