"""Checks of what is installed: Python's packages, Julia and its packages."""

from __future__ import annotations

import platform
import ssl
import sys
from importlib import metadata

from pyode_bridge.cli.doctor.findings import Check, Finding, Machine
from pyode_bridge.install.environment import Package, required_packages, version_text
from pyode_bridge.install.image import image_for
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE

INSTALL_ADVICE = (
    "Run `python -m pyode_bridge install`, or `python -m pyode_bridge use --julia EXE --project DIR` for a Julia that "
    "you have."
)


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


def image(machine: Machine) -> Finding:
    """Whether there is a system image, and whether it is of the packages as they are."""
    subject, julia = "system image", machine.julia
    found = image_for(julia.exe, julia.project) if julia else None
    if found is None:
        return Finding(
            subject, "none", None, "`python -m pyode_bridge install --image` makes one: starts take seconds."
        )
    if found.changed:
        advice = "Run `python -m pyode_bridge install --image` again; until then sessions start without it."
        return Finding(subject, f"outdated: {found.changed} changed since it was made ({found.file})", None, advice)
    return Finding(subject, f"current ({found.file})", True)


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


def sundials(_: Machine) -> Finding:
    """The optional package of the embedded engine."""
    try:
        return Finding("scikit-sundae", metadata.version("scikit-sundae"), True)
    except metadata.PackageNotFoundError:
        advice = "For CVODE in the embedded engine, run `pip install pyode_bridge[sundials]`."
        return Finding("scikit-sundae", "not installed", None, advice)


def _within(version: str, bounds: str) -> bool:
    from juliapkg.compat import Compat, Version

    try:
        return Version.parse(version) in Compat.parse(bounds)
    except ValueError:
        return False
