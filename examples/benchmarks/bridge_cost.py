"""What the bridge costs: start-up, first and later solves, and each evaluation of the dynamics from inside a solver.

The dynamics are timed alone and inside a Tsit5 (Julia) or DP5 (embedded) solve in turns within one run, so that the
ratios hold whatever else the machine does. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from pyode_bridge.engines import select_engine

METHODS = {"julia": "Tsit5", "embedded": "DP5"}


class Network(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size)).double()

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.layers(y)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def first_times(engine: str) -> dict[str, float]:
    """Seconds of the engine's start, and of the first and second solve with gradient."""
    network, t = Network(2), torch.linspace(0, 1, 5, dtype=torch.float64)

    def solve() -> None:
        y = pb.odeint(network, torch.ones(2, dtype=torch.float64), t, method=METHODS[engine], engine=engine)
        y.square().sum().backward()

    return {
        "cold start": seconds(lambda: select_engine(engine)),
        "first solve and gradient": seconds(solve),
        "second solve and gradient": seconds(solve),
    }


def call_times(engine: str, size: int, rounds: int) -> dict[str, float]:
    """Medians in microseconds: the bare call, the call within a solve, and both for the vector-Jacobian product."""
    network, y0 = Network(size), torch.randn(size, dtype=torch.float64)
    t, scalar = torch.tensor([0.0, 20.0], dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    samples: dict[str, list[float]] = {"bare f": [], "f in a solve": [], "bare vjp": [], "vjp in a solve": []}
    calls = 300

    def bare_f() -> None:
        with torch.no_grad():
            for _ in range(calls):
                network(scalar, y0)

    def bare_vjp() -> None:
        parameters = tuple(network.parameters())
        for _ in range(calls):
            y = y0.detach().requires_grad_()
            torch.autograd.grad(network(scalar, y), (y, *parameters), y0)

    for _ in range(rounds):
        samples["bare f"].append(seconds(bare_f) / calls)
        samples["bare vjp"].append(seconds(bare_vjp) / calls)
        start = time.perf_counter()
        with torch.no_grad():
            solution = pb.solve(network, y0, t, method=METHODS[engine], engine=engine)
        samples["f in a solve"].append((time.perf_counter() - start) / solution.stats.nfe)
        solution = pb.solve(network, y0, t, method=METHODS[engine], engine=engine)
        loss = solution.y[-1].square().sum()
        start = time.perf_counter()
        loss.backward()
        samples["vjp in a solve"].append((time.perf_counter() - start) / solution.adjoint_stats.nvjp)
    return {name: 1e6 * statistics.median(values) for name, values in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["julia", "embedded"], default="julia")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 64, 512])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--output", type=Path, default=Path("results/bridge_cost.json"))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    first = first_times(arguments.engine)
    print(f"{arguments.engine} engine, torch {torch.__version__}, {platform.machine()}, seed 0, one torch thread")
    for name, value in first.items():
        print(f"  {name:28s} {value:8.3f} s")
    header = ["size", "bare f", "f in a solve", "ratio", "bare vjp", "vjp in a solve", "ratio"]
    print("  microseconds a call\n  " + " ".join(f"{name:>14s}" for name in header))
    rows = []
    for size in tqdm(arguments.sizes, desc="sizes"):
        row = call_times(arguments.engine, size, 3 if arguments.quick else 9)
        rows.append({"size": size, **row})
        f, f_in, vjp, vjp_in = row.values()
        values = [f"{size:d}", *(f"{x:.1f}" for x in (f, f_in, f_in / f, vjp, vjp_in, vjp_in / vjp))]
        tqdm.write("  " + " ".join(f"{value:>14s}" for value in values))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"engine": arguments.engine, "seconds": first, "calls": rows}, indent=2))
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
