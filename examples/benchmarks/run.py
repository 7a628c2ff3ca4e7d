"""Speed beside others: the bridge's lanes, hand-written Julia, torchdiffeq, torchode, diffrax, SciPy and diffeqpy.

Every contestant solves the same case to the same tolerances, with one thread, in turns within one run; only ensembles
take all of Julia's threads. The table shows medians, how they compare with the compiled lane, and errors against tight
references, so that nobody wins by being wrong. What is missing is left out, with the reason.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's and Julia's
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def main() -> None:
    os.environ.update(ONE_THREAD)  # read when the libraries are loaded
    sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository
    from examples.benchmarks.speed.contest import main as contest

    contest(__doc__)


if __name__ == "__main__":
    main()
