"""Compiling ahead what first solves need: Julia's code is kept in the image of a package, which sessions load."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.image import PLAIN, START_VARIABLE
from pyode_bridge.install.location import load_path
from pyode_bridge.install.steps import Say, run_step

COMPILE = """
append!(LOAD_PATH, split(ENV["PYODE_BRIDGE_PATH"], Sys.iswindows() ? ';' : ':'))
Base.compilecache(Base.identify_package("PyODESession"))
"""


@dataclass(frozen=True)
class Seen:
    """What first solves were seen to compile.

    Attributes:
        statements: a file of Julia's statements that compile it.
        packages: names of the packages of solvers that are compiled.
    """

    statements: Path
    packages: list[str]


@contextmanager
def first_solves(say: Say) -> Iterator[Seen]:
    """Solve once in a plain session, and give what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        statements, packages = Path(folder) / "seen.jl", Path(folder) / "packages"
        run_step(
            "solving once, to see what Julia compiles",
            [sys.executable, "-m", "pyode_bridge.cli.first_solves", str(packages)],
            {START_VARIABLE: PLAIN, "PYTHON_JULIACALL_TRACE_COMPILE": str(statements)},
            say,
        )
        yield Seen(statements, packages.read_text(encoding="utf-8").split())


def compile_ahead(exe: str, project: str, seen: Seen, say: Say, image: Path | None = None) -> None:
    """Have sessions load what was seen; without it they compile as before, so that a failure is only told.

    Args:
        exe, project: of Julia.
        seen: what to compile.
        say: is told what happens.
        image: the system image that sessions start from, if there is one.
    """
    flags = [f"--project={project}", "--startup-file=no", *([] if image is None else [f"--sysimage={image}"])]
    variables = {**julia_variables(), "PYODE_BRIDGE_SEEN": str(seen.statements)}
    try:
        run_step("compiling what first solves need", [exe, *flags, "-e", COMPILE], variables, say)
    except EngineUnavailableError as error:
        say(f"{error} Sessions compile this anew each time, for some seconds; nothing else is lost.")


def julia_variables() -> dict[str, str]:
    """What a Julia has to know that is not started by juliacall."""
    return {
        "PYODE_BRIDGE_PATH": os.pathsep.join(load_path()),
        "JULIA_PYTHONCALL_EXE": sys.executable,
        "JULIA_CONDAPKG_BACKEND": "Null",
    }
