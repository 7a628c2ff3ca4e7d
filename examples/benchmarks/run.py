"""Speed beside others: the bridge's lanes, Julia by hand, and libraries of PyTorch, JAX, NumPy, Rust and Julia.

Every contestant solves the same case to the same tolerances, in turns within one run and on the same cores: on one with
one thread, or on as many as --cores with each library's own threads. The table shows medians, how they compare with the
compiled lane, CPU over wall time, and errors against tight references, so that nobody wins by being wrong. With
--equal-error each contestant runs over tolerances of its own, and the times at which it has a given error are compared.
What is missing is left out, with the reason.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository
    os.environ["JAX_PLATFORMS"] = "cpu"
    from examples.benchmarks.speed.cores import bind

    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--cores", type=int, default=1)
    bind(early.parse_known_args()[0].cores)  # before the libraries are loaded
    from examples.benchmarks.speed.contest import main as contest

    contest(__doc__)


if __name__ == "__main__":
    main()
