"""The catalogue, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import pyode_bridge as pb
from pyode_bridge.problem.methods import as_method
from pyode_bridge.problem.schemes import ScipySolver
from pyode_bridge.problem.torchdiffeq import METHODS
from tests.engines.embedded.against import Y0, Forced, T


def test_every_method_of_torchdiffeqs_is_in_the_catalogue() -> None:
    offered = {solver.name: solver for solver in pb.solvers("embedded")}
    for name in METHODS:
        method = as_method(name)
        if not isinstance(method.algorithm, ScipySolver):
            solver = offered[str(method)]
            assert solver.adaptive != method.fixed_step
    assert offered["gl6"].implicit
    assert not offered["rk4"].implicit
    assert offered["Tsit5"].order == 5


@pytest.mark.parametrize(
    ("method", "options", "refused"),
    [
        ("dopri5", {"controller": "PIController()"}, "controller with DP5"),
        ("dopri5", {"isoutofdomain": lambda t, y: False}, "isoutofdomain with DP5"),
        ("dopri5", {"unstable_check": lambda t, y: False}, "unstable_check with DP5"),
        ("RadauIIA5", {"norm": "max"}, "norm with RadauIIA5"),
        ("lsoda", {"tstops": [1.0]}, "tstops with lsoda"),
        ("euler", {"tstops": [1.0]}, "tstops with euler"),
        ("gl4", {"max_order": 4}, "max_order"),
        ("RK4", {}, "with fixed steps only.*adaptive"),
        ("dopri5", {"adaptive": False, "dt": 0.1}, "DP5 with adaptive steps only"),
    ],
)
def test_what_a_solver_would_drop_is_refused(method: str, options: dict[str, Any], refused: str) -> None:
    if method == "gl4":
        with pytest.warns(pb.OptionWarning, match=refused):
            pb.odeint(Forced(), Y0, T, method=method, options=options, engine="embedded")
        return
    with pytest.raises(pb.UnsupportedError, match=refused):
        pb.odeint(Forced(), Y0, T, method=method, options=options, engine="embedded")
