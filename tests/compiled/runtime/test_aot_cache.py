"""Translations outlive a session: the command `precompile` compiles them to an image that later sessions load."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.julia

SESSION = """
import json, torch
from juliacall import Main
import pyode_bridge

class Decay(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(FACTOR, dtype=torch.float64))

    def forward(self, t, y):
        return -self.rate * y.sin() * FACTOR

y0 = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
t = torch.tensor([0.0, 1.0], dtype=torch.float64)
solution = pyode_bridge.solve(Decay(), y0, t, method="Tsit5", rtol=1e-8, atol=1e-8, engine="julia")
solution.y[-1].sum().backward()
modules = Main.seval("[string(call.source.module) for call in values(Main.PyODEBridge.TRANSLATIONS)]")
found = {"y": solution.y.tolist(), "grad": y0.grad.tolist(), "lane": solution.lane, "modules": list(modules)}
print(json.dumps(found))
"""


@pytest.fixture
def depot(tmp_path):
    """The environment of processes whose translations are kept in a folder of the test's own."""
    others = os.environ.get("JULIA_DEPOT_PATH", "")  # an empty entry stands for Julia's usual ones
    return {**os.environ, "JULIA_DEPOT_PATH": os.pathsep.join([str(tmp_path), others])}


def run(environment, *command):
    result = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    return result


def solved(environment, factor=1.0):
    code = SESSION.replace("FACTOR", repr(factor))
    return json.loads(run(environment, "-c", code).stdout.splitlines()[-1])


@pytest.mark.slow  # three sessions, two of which compile
def test_an_image_serves_later_sessions_with_the_same_numbers(depot):
    assert "Nothing to compile" in run(depot, "-m", "pyode_bridge", "precompile").stdout
    first = solved(depot)
    assert first["lane"] == "compiled"
    assert set(first["modules"]) == {"Main.Translated"}
    told = run(depot, "-m", "pyode_bridge", "precompile")
    assert "Compiled 1 dynamics" in told.stdout
    assert "compiling 1 of 1" in told.stderr
    later = solved(depot)
    assert set(later.pop("modules")) == {"AOTCache.Translated1"}
    first.pop("modules")
    assert later == first
    # The number is part of the code: these are other dynamics, which the image does not hold.
    assert set(solved(depot, factor=2.0)["modules"]) == {"Main.Translated"}
