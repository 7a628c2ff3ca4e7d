"""How many solvers can be named, by family, and how many torchdiffeq and diffrax have.

Each library is asked: the engine for its catalogue, torchdiffeq for its table of methods, diffrax for its classes of
solvers. What no installed package has is not counted.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torchdiffeq._impl.odeint import SOLVERS as METHODS

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import print_table
from pyode_bridge.engines import select_engine


def main() -> None:
    args = common.measuring_arguments(__doc__, name="catalogue")
    engine = select_engine(args.engine).name
    solvers = pb.solvers(engine)
    families = {family: counts([each for each in solvers if each.family == family]) for family in names(solvers)}
    print_table(("family", *counts(solvers)), [(family, *map(str, row.values())) for family, row in families.items()])
    libraries = {
        "pyode_bridge": len(solvers),
        "torchdiffeq": len(METHODS),
        "diffrax": solvers_of_diffrax(),
    }
    print(", ".join(f"{name}: {count}" for name, count in libraries.items()))
    numbers = {"libraries": libraries, "families": families, "in all": counts(solvers)}
    common.write_measurements(args, numbers, engine=engine, complete=True)


def names(solvers: Sequence[pb.SolverInfo]) -> list[str]:
    """Families, in the catalogue's order."""
    return list(dict.fromkeys(solver.family for solver in solvers))


def counts(solvers: Sequence[pb.SolverInfo]) -> dict[str, int]:
    """How many there are, and of these with each trait."""
    return {
        "solvers": len(solvers),
        "adaptive": sum(solver.adaptive for solver in solvers),
        "implicit": sum(solver.implicit for solver in solvers),
        "with a known limit": sum(bool(solver.limit) for solver in solvers),
    }


def solvers_of_diffrax() -> int | None:
    """Classes that can be made and are public; those that modify another solver are none. None without diffrax."""
    try:
        import diffrax
    except ImportError:
        return None
    classes = set(subclasses(diffrax.AbstractSolver)) - set(subclasses(diffrax.AbstractWrappedSolver))
    public = [each for each in classes if getattr(diffrax, each.__name__, None) is each]
    return sum(not (inspect.isabstract(each) or each.__name__.startswith("Abstract")) for each in public)


def subclasses(cls: type) -> Iterator[Any]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


if __name__ == "__main__":
    main()
