"""Random modules: compiled and torch agree on the right-hand side, its products and its Jacobian."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.entry_points import memory_size, signatures
from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions
from pyode_bridge.compiled.codegen.workspace_layout import JOINT
from pyode_bridge.engines.julia import session
from pyode_bridge.models import ConcatSquash, ConvDynamics, GatedSum
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted
from tests.compiled.codegen.modules import OfState, modules
from tests.compiled.running import Environment, called

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}
NAMES = ["rhs", "joint", "vjp", "vjp_p", "jacobian"]
S = 0.75


def run_all(dynamics: Dynamics, y: Tensor, v: Tensor) -> dict[str, Tensor]:
    """The results of all compiled functions of dynamics, by name."""
    constants: list[Tensor] = []
    functions = TracedFunctions(Start(dynamics, y, S, 1.0), dynamics.parameters, constants)
    text = "\n".join(functions.text(name) for name in NAMES)
    dtype = str(y.dtype).removeprefix("torch.")
    called_from_c = signatures(NAMES, {})
    found_at = session.start().compile(text, dtype, called_from_c)
    addresses = {name: int(address) for (name, _), address in zip(called_from_c, found_at, strict=True)}
    n, m = dynamics.size, dynamics.parameter_size
    env = Environment([*dynamics.parameters, *constants], functions.work_size, memory_size(n, m, y.dtype))
    found = {
        "rhs": called(addresses["rhs"], n, [y], S, env),
        "vjp": called(addresses["vjp"], n, [v, y], S, env),
        "vjp_p": called(addresses["vjp_p"], m, [v, y], S, env),
        "jacobian": called(addresses["jacobian"], n * n, [y], S, env).view(n, n).mT,
    }
    env.values[JOINT - 1] = 1
    found["joint vjp"] = called(addresses["vjp"], n, [v, y], S, env)
    found["joint vjp_p"] = called(addresses["vjp_p"], m, [v, y], S, env)
    return found


def check(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, sign: float) -> None:
    module = module.to(dtype)
    y = torch.randn(shape, dtype=dtype)
    structure = Structure.of(y)
    dynamics = Dynamics(module, structure, Wanted(tuple(module.parameters())), Direction(sign))
    flat, v = structure.pack(y), torch.randn(structure.size, dtype=dtype)
    found = run_all(dynamics, flat, v)
    to_state, to_parameters = dynamics.vjp(S, flat, v, state=True, parameters=True)
    expected = {
        "rhs": dynamics(S, flat), "vjp": to_state, "joint vjp": to_state, "vjp_p": to_parameters,
        "joint vjp_p": to_parameters, "jacobian": dynamics.jacobian(S, flat),
    }  # fmt: skip
    for name, true in expected.items():
        size = float(true.abs().max()) + 1e-3
        error = float((found[name] - true).abs().max()) if len(true) else 0.0
        assert error <= TOLERANCES[dtype] * size, name


class Wide(nn.Module):
    """With products that are left to BLAS."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 70), nn.Tanh(), nn.Linear(70, 70), nn.ELU(inplace=True), nn.Linear(70, 3))

    def forward(self, t, y):
        return self.net(y) * t


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(1, 4)

    def forward(self, t, y):
        return self.cell(t.expand(len(y), 1), y) - y


class Looked(nn.Module):
    """Rows of the state and of a table by index."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 3)

    def forward(self, t, y):
        places = torch.tensor([2, 0, 2, 4])
        return y[[1, 0, 1, 0]][:2] * self.table(places)[1:3].cumsum(0) + y[torch.tensor([True, True])]


FIXED = {
    "convolutions": (lambda: ConvDynamics(2), (2, 2, 3, 3)),
    "depthwise": (lambda: OfState(nn.Conv1d(4, 4, 3, stride=1, padding=2, dilation=2, groups=2)), (2, 4, 5)),
    "gated sum": (lambda: GatedSum(2, 6), (3, 2)),
    "concat-squash": (lambda: ConcatSquash(2, (8,)), (3, 2)),
    "wide": (Wide, (8, 3)),
    "recurrent": (Recurrent, (2, 4)),
    "indices": (Looked, (2, 3)),
}


@pytest.mark.julia
@pytest.mark.parametrize("case", FIXED)
def test_some_modules(case):
    make, shape = FIXED[case]
    check(make(), shape, torch.float64, 1.0)


CHECKED = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


def check_random_modules(dtype, count):
    @settings(max_examples=count, **CHECKED)
    @given(modules(), st.sampled_from([1.0, -1.0]))
    def agrees(drawn, sign):
        check(*drawn, dtype, sign)

    agrees()


@pytest.mark.julia
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_random_modules(dtype):
    check_random_modules(dtype, 8)


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_many_random_modules(dtype):
    check_random_modules(dtype, 200)
