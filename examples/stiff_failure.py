"""Where an explicit solver fails on a stiff problem, what the message says, and an implicit solver that succeeds."""

from __future__ import annotations

import argparse

import torch
from problems.stiff import PROBLEMS

import pyode_bridge as pb

EXPLICIT = "DP5"
IMPLICIT = "RadauIIA5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("auto", "julia", "embedded"))
    parser.add_argument("--maxiters", type=int, default=2000, help="steps allowed to either solver")
    args = parser.parse_args()
    torch.set_num_threads(1)
    problem = next(problem for problem in PROBLEMS if problem.name == "VDPOL")
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    t = torch.tensor([0.0, problem.t_end], dtype=torch.float64)
    for method in (EXPLICIT, IMPLICIT):
        try:
            solution = pb.solve(
                problem.f, y0, t, method=method, engine=args.engine, rtol=1e-6, options={"maxiters": args.maxiters}
            )
        except pb.SolverError as error:
            print(f"{method}: {error.retcode} at t = {error.t:.3g} of {problem.t_end:g}\n  {error}")
        else:
            error = (solution.y[-1] - torch.tensor(problem.y_end, dtype=torch.float64)).abs().max().item()
            print(f"{method}: {solution.retcode}, error {error:.2g}, {solution.stats}")


if __name__ == "__main__":
    main()
