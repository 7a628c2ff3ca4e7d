"""What is there, what is wrong and what to do about it; starts Julia in a subprocess at most, and installs nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pyode_bridge.engines import ENGINE_VARIABLE
from pyode_bridge.install.environment import JuliaEnvironment, Package, examine, required_packages, version_text
from pyode_bridge.install.julia import can_install, resolved
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, JuliaLocation, locate
from pyode_bridge.install.times import remembered
from pyode_bridge.problem.checks import ENGINES, ISOLATION_VARIABLE, ISOLATIONS

TRIAL_TIMEOUT = 1800.0  # seconds: the first start compiles
INSTALL_ADVICE = (
    "Run `python -m pyode_bridge install`, or `python -m pyode_bridge use --julia EXE --project DIR` for a Julia that "
    "you have."
)
SHOWN_PACKAGES = ("PythonCall", "SciMLSensitivity", "SciMLBase", "OrdinaryDiffEqCore")
SIGNALS, THREADS = "PYTHON_JULIACALL_HANDLE_SIGNALS", "PYTHON_JULIACALL_THREADS"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        value: what was found.
        ok: True if it is fine, False if the Julia engine cannot run with it, None for a remark.
        advice: what to do; empty where nothing has to be done.
    """

    subject: str
    value: str
    ok: bool | None
    advice: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks look at.

    Attributes:
        engine: the value of PYODE_BRIDGE_ENGINE, ``"auto"`` where it is not set.
        location: which Julia is chosen, and by which rule.
        julia: that Julia with its environment, None where there is none.
        obstacle: why there is none and none can be installed; None otherwise.
    """

    engine: str
    location: JuliaLocation
    julia: JuliaEnvironment | None
    obstacle: str | None

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        engine, location = os.environ.get(ENGINE_VARIABLE, "auto"), locate()
        if location.exe or location.project:
            complete = location.exe and location.project
            julia = examine(location.exe or "", location.project or "") if complete else None
            half = None if complete else f"one of {EXE_VARIABLE} and {PROJECT_VARIABLE} is set without the other"
            return cls(engine, location, julia, half)
        found = resolved()
        return cls(engine, location, examine(*found) if found else None, None if found else can_install())


Check = Callable[[Machine], Finding]


def examine_machine(machine: Machine) -> list[Finding]:
    """The findings of every check, in the order of the report."""
    return [check(machine) for check in CHECKS]


def is_usable(machine: Machine, findings: list[Finding]) -> bool:
    """Whether the Julia engine can run, or the embedded one was chosen on purpose."""
    return machine.engine == "embedded" or all(finding.ok is not False for finding in findings)


def python(_: Machine) -> Finding:
    """Python's version and executable."""
    return Finding("Python", f"{platform.python_version()} ({sys.executable})", True)


def distribution(name: str, *, needed: bool = True) -> Check:
    """A check for the installed version of a Python package."""

    def check(_: Machine) -> Finding:
        try:
            return Finding(name, metadata.version(name), True)
        except metadata.PackageNotFoundError:
            return Finding(name, "not installed", False if needed else None, f"Run `pip install {name}`.")

    return check


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


def executable(machine: Machine) -> Finding:
    """The Julia executable and its version."""
    subject, julia = "Julia", machine.julia
    if julia is None:
        why = machine.obstacle or "not installed yet; it can be"
        if machine.location.exe or machine.location.project:
            return Finding(subject, why, False, f"Set both of {EXE_VARIABLE} and {PROJECT_VARIABLE}, or none of them.")
        return Finding(subject, why, False, INSTALL_ADVICE)
    if julia.version is None:
        return Finding(subject, f"{julia.exe} does not run", False, INSTALL_ADVICE)
    return Finding(subject, f"{version_text(julia.version)} ({julia.exe})", True)


def julia_release(machine: Machine) -> Finding:
    """Whether this release of Julia works, and with this Python's OpenSSL."""
    subject = "Julia release"
    version = machine.julia.version if machine.julia else None
    if version is None:
        return Finding(subject, "unknown", None)
    if version in {(1, 10, 1), (1, 10, 2)}:
        return Finding(
            subject, "cannot be embedded in Python (PythonCall.jl #464)", False, "Use Julia 1.10.3 or newer."
        )
    if version < (1, 10, 3):
        return Finding(subject, "too old", False, "Use Julia 1.10.3 or newer.")
    if version >= (1, 12, 0) and ssl.OPENSSL_VERSION_INFO < (3, 5):
        advice = "Use Julia 1.10 or 1.11, or a Python whose ssl.OPENSSL_VERSION is 3.5 or newer."
        return Finding(subject, f"Julia 1.12 needs OpenSSL 3.5, Python has {ssl.OPENSSL_VERSION}", False, advice)
    return Finding(subject, f"works with Python's {ssl.OPENSSL_VERSION}", True)


def environment(machine: Machine) -> Finding:
    """Whether the Julia environment holds the packages."""
    subject, julia = "environment", machine.julia
    if julia is None:
        return Finding(subject, "none", None)
    if julia.lacks:
        return Finding(subject, julia.project, False, "\n".join(julia.lacks))
    return Finding(subject, f"{julia.project}, {len(julia.packages)} packages", True)


def package(name: str) -> Check:
    """A check for the version of a Julia package, held against the bounds that pyode_bridge is tested with."""

    def check(machine: Machine) -> Finding:
        subject = f"{name}.jl"
        found: Package | None = machine.julia.packages.get(name) if machine.julia else None
        if found is None:
            return Finding(subject, "not installed", None)
        bounds = required_packages().get(name, {}).get("version")
        if bounds is None or _within(found.version, bounds):
            return Finding(subject, found.version, True)
        return Finding(subject, found.version, None, f"pyode_bridge is made for {bounds}; other versions may fail.")

    return check


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


def sundials(_: Machine) -> Finding:
    """The optional package of the embedded engine."""
    try:
        return Finding("scikit-sundae", metadata.version("scikit-sundae"), True)
    except metadata.PackageNotFoundError:
        advice = "For CVODE in the embedded engine, run `pip install pyode_bridge[sundials]`."
        return Finding("scikit-sundae", "not installed", None, advice)


CHECKS: tuple[Check, ...] = (
    python,
    distribution("torch"),
    distribution("juliacall"),
    distribution("juliapkg"),
    distribution("diffeqpy", needed=False),
    engine,
    rule,
    executable,
    julia_release,
    environment,
    *(package(name) for name in SHOWN_PACKAGES),
    settings,
    import_order,
    isolation,
    libstdcxx,
    sundials,
)


def install_time(machine: Machine) -> Finding:
    """How long the environment took to install, where `install` did it."""
    times = remembered(machine.julia.project) if machine.julia else None
    if times is None:
        return Finding("install", "no time on record: `python -m pyode_bridge install` did not make it", None)
    value = f"{times.packages:.0f} s for Julia and its packages, {times.compiling:.0f} s to compile PyODEBridge"
    return Finding("install", value, True)


def trial(engine_name: str) -> list[Finding]:
    """Start an engine in a subprocess and solve there, with the gradient: how long each takes."""
    command = [sys.executable, "-m", "pyode_bridge.cli.trial", engine_name]
    begin = time.monotonic()
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT)
    except subprocess.TimeoutExpired:
        advice = "Run `python -m pyode_bridge install`, which compiles ahead of time."
        return [Finding("trial", f"no end within {TRIAL_TIMEOUT:.0f} s", False, advice)]
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines()[-5:]
        return [Finding("trial", f"failed with exit code {process.returncode}", False, "\n".join(lines))]
    times = json.loads(process.stdout.strip().splitlines()[-1])
    start, first, second = times["start"], times["first"], times["second"]
    cold = time.monotonic() - begin - first - second
    what = f"{times['algorithm']} with gradient"
    return [
        Finding("cold start", f"{cold:.1f} s, of which {start:.1f} s to start the engine", True),
        Finding("first solve", f"{first:.2f} s, {what}", True),
        Finding("second solve", f"{1e3 * second:.1f} ms, likewise", True),
    ]


def _within(version: str, bounds: str) -> bool:
    from juliapkg.compat import Compat, Version

    try:
        return Version.parse(version) in Compat.parse(bounds)
    except ValueError:
        return False


def _loaded_libstdcxx() -> Path | None:
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    match = re.search(r"(/\S*libstdc\+\+\.so\S*)", maps)
    return Path(match[1]) if match else None


def _library_version(library: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", library.resolve().name))
