"""Where an explicit solver fails on a stiff problem, what the message says, and an implicit solver that succeeds.

The problem is van der Pol's oscillator with mu = 1e6, written over slow time. Its solution glides for a long time and
then jumps; meanwhile an explicit solver must take steps of about a millionth to stay stable, however smooth the
solution is. The figure shows the solution, and how far each solver has come after so many evaluations.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import look, save
from examples.support.problems.problem import Problem
from examples.support.problems.stiff import PROBLEMS
from pyode_bridge.engines import select_engine

EXPLICIT = "DP5"
IMPLICIT = "RadauIIA5"
MAXITERS, QUICK_MAXITERS = 20_000, 2000
RTOL = 1e-6


@dataclass(frozen=True)
class Attempt:
    """A solve: how it ended, the time it reached, and its error if it reached the end."""

    method: str
    retcode: str
    t: float
    evaluations: int
    error: float | None
    message: str


class Watched:
    """The dynamics, which note the time of each evaluation."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.reached: list[float] = []

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.reached.append(max(t.item(), self.reached[-1] if self.reached else 0.0))
        return self.problem.f(t, y)


def main() -> None:
    args = common.measuring_arguments(__doc__, name="stiff_failure", own=own_options)
    engine = select_engine(args.engine).name
    maxiters = args.maxiters or (QUICK_MAXITERS if args.quick else MAXITERS)
    problem = next(problem for problem in PROBLEMS if problem.name == "VDPOL")
    t = torch.linspace(0, problem.t_end, 1000, dtype=torch.float64)
    attempts, progress, curve = [], {}, None
    for method in (EXPLICIT, IMPLICIT):
        watched = Watched(problem)
        attempt, solved = attempted(watched, t, method, engine, maxiters)
        print(f"{method}: {attempt.message}")
        attempts.append(attempt)
        progress[method] = watched.reached
        curve = solved if solved is not None else curve
    draw(args.output / "stiff_failure", t, curve, attempts, progress)
    numbers = {"problem": problem.name, "maxiters": maxiters, "attempts": [asdict(attempt) for attempt in attempts]}
    common.write_measurements(args, numbers, engine=engine, complete=True)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--maxiters",
        type=int,
        help=f"steps allowed to either solver; default: {MAXITERS}, or {QUICK_MAXITERS} with --quick",
    )


def attempted(watched: Watched, t: Tensor, method: str, engine: str, maxiters: int) -> tuple[Attempt, Tensor | None]:
    """Solve; returns how that went, and the values at ``t`` if it went well."""
    problem = watched.problem
    try:
        with torch.no_grad():
            solution = pb.solve(
                watched,
                problem.start(),
                t,
                method=method,
                engine=engine,
                rtol=RTOL,
                atol=problem.atol_at(RTOL),
                options={"maxiters": maxiters},
            )
    except pb.SolverError as error:
        return Attempt(method, error.retcode, error.t, len(watched.reached), None, str(error)), None
    error = problem.error(solution.y[-1])
    message = f"{solution.retcode}, relative error {error:.2g}, {solution.stats}"
    return Attempt(method, solution.retcode, problem.t_end, len(watched.reached), error, message), solution.y


def draw(
    path: Path, t: Tensor, curve: Tensor | None, attempts: list[Attempt], progress: dict[str, list[float]]
) -> None:
    figure, (solution, reached) = plt.subplots(2, 1, figsize=(9, 8), layout="constrained")
    if curve is not None:
        solution.plot(t, curve[:, 0], color="0.3", label=f"y1 by {IMPLICIT}")
    for position, attempt in enumerate(attempts):
        style = look(position)
        if attempt.error is None:
            label = f"{attempt.method}: {attempt.retcode} at t = {attempt.t:.2g}"
            solution.axvline(attempt.t, color=style["color"], linestyle="--", label=label)
        times = [time for time in progress[attempt.method] if time > 0]
        before = len(progress[attempt.method]) - len(times)
        label = f"{attempt.method}: {attempt.retcode}"
        reached.loglog(range(before + 1, before + len(times) + 1), times, label=label, markevery=0.1, **style)
    solution.set(title="Van der Pol's oscillator, mu = 1e6", xlabel="t", ylabel="y1")
    solution.legend(loc="center", bbox_to_anchor=(0.597, 0.65))  # between the jumps
    reached.axhline(t[-1].item(), color="0.6", linestyle=":", label="the end")
    reached.set(title="How far each solver comes", xlabel="evaluations of the dynamics", ylabel="time reached")
    reached.legend(loc="lower right")
    save(figure, path)


if __name__ == "__main__":
    main()
