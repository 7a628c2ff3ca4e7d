"""Checks of how things are set: the engine, the choice of Julia, juliacall's settings, the process around them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from pyode_bridge.cli.doctor.findings import Finding, Machine
from pyode_bridge.engines import ENGINE_VARIABLE
from pyode_bridge.problem.checks import ENGINES, ISOLATION_VARIABLE, ISOLATIONS

SIGNALS, THREADS = "PYTHON_JULIACALL_HANDLE_SIGNALS", "PYTHON_JULIACALL_THREADS"


def engine(machine: Machine) -> Finding:
    """Which engine `odeint` would choose, and why."""
    subject = "engine"
    if machine.engine not in ENGINES:
        advice = f"Set it to one of {', '.join(ENGINES)}, or unset it."
        return Finding(subject, f"{ENGINE_VARIABLE}={machine.engine} is unknown", False, advice)
    if machine.engine == "embedded":
        return Finding(subject, f"embedded, chosen by {ENGINE_VARIABLE}", True)
    if machine.engine == "julia":
        return Finding(subject, f"julia, chosen by {ENGINE_VARIABLE}", True)
    if machine.julia is not None and not machine.julia.problems:
        return Finding(subject, "julia (auto: it is installed)", True)
    if machine.julia is None and machine.obstacle is None:
        return Finding(subject, "julia (auto: the first solve would install it)", None)
    return Finding(subject, "embedded (auto: Julia cannot start, see below)", None)


def rule(machine: Machine) -> Finding:
    """The rule by which a Julia is chosen."""
    return Finding("chosen by", machine.location.rule, True)


def settings(_: Machine) -> Finding:
    """Settings of juliacall that would end the process, or keep Julia from starting."""
    subject = "juliacall settings"
    signals, threads = os.environ.get(SIGNALS, "yes"), os.environ.get(THREADS, "auto")
    if os.environ.get("PYTHON_JULIACALL_INIT") == "no":
        return Finding(subject, "PYTHON_JULIACALL_INIT=no", False, "Unset it: Julia does not start with it.")
    value = f"{SIGNALS}={signals}, {THREADS}={threads}"
    if signals != "yes" and threads != "1":
        advice = (
            f"Unset {SIGNALS}, or set {THREADS}=1: with several threads, Julia's garbage collector signals by SIGSEGV, "
            "which kills a process where Julia does not handle it."
        )
        return Finding(subject, value, False, advice)
    return Finding(subject, value, True)


def import_order(_: Machine) -> Finding:
    """Whether something imported juliacall before pyode_bridge could choose its settings."""
    if "juliacall" in sys.modules:
        advice = "Import pyode_bridge before juliacall, or its settings and the choice of Julia above do not apply."
        return Finding("import order", "juliacall was imported at start-up", None, advice)
    return Finding("import order", "pyode_bridge before juliacall", True)


def isolation(_: Machine) -> Finding:
    """In which process Julia would run, and whether that is safe."""
    subject, chosen = "isolation", os.environ.get(ISOLATION_VARIABLE)
    if chosen is not None and chosen not in ISOLATIONS:
        advice = f"Set it to one of {', '.join(ISOLATIONS)}, or unset it."
        return Finding(subject, f"{ISOLATION_VARIABLE}={chosen} is unknown", False, advice)
    if chosen == "process":
        return Finding(subject, f"process, chosen by {ISOLATION_VARIABLE}", True)
    if "juliacall" in sys.modules:
        advice = (
            "Solve with isolation='process', the safer one here, or import torch first: symbols of Julia's libraries "
            "may have reached torch's."
        )
        return Finding(subject, "none, but juliacall was imported before torch", None, advice)
    return Finding(subject, "none, which is safe: torch is imported before juliacall", True)


def libstdcxx(machine: Machine) -> Finding:
    """Whether the C++ library that Python has loaded is as new as Julia's own."""
    subject = "libstdc++"
    loaded = _loaded_libstdcxx()
    if loaded is None:
        return Finding(subject, "not a matter here", True)
    own = Path(machine.julia.exe).resolve().parent.parent / "lib/julia/libstdc++.so.6" if machine.julia else None
    if own is not None and own.exists() and _library_version(own) > _library_version(loaded):
        advice = f'If Julia ends with "`ccall` requires the compiler", start Python with LD_PRELOAD={own}.'
        return Finding(subject, f"{loaded} is older than Julia's {own.resolve().name}", None, advice)
    return Finding(subject, str(loaded.resolve()), True)


def _loaded_libstdcxx() -> Path | None:
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    match = re.search(r"(/\S*libstdc\+\+\.so\S*)", maps)
    return Path(match[1]) if match else None


def _library_version(library: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", library.resolve().name))
