"""What is there, what is wrong and what to do about it; starts Julia in a subprocess at most, and installs nothing."""

from __future__ import annotations

from pyode_bridge.cli.doctor import settings, software
from pyode_bridge.cli.doctor.findings import Check, Finding, Machine

SHOWN_PACKAGES = ("PythonCall", "SciMLSensitivity", "SciMLBase", "OrdinaryDiffEqCore")

CHECKS: tuple[Check, ...] = (
    software.python,
    software.distribution("torch"),
    software.distribution("juliacall"),
    software.distribution("juliapkg"),
    software.distribution("diffeqpy", needed=False),
    settings.engine,
    settings.rule,
    software.executable,
    software.julia_release,
    software.environment,
    *(software.package(name) for name in SHOWN_PACKAGES),
    software.image,
    settings.settings,
    settings.import_order,
    settings.isolation,
    settings.libstdcxx,
    software.sundials,
)


def examine_machine(machine: Machine) -> list[Finding]:
    """The findings of every check, in the order of the report."""
    return [check(machine) for check in CHECKS]


def is_usable(machine: Machine, findings: list[Finding]) -> bool:
    """Whether the Julia engine can run, or the embedded one was chosen on purpose."""
    return machine.engine == "embedded" or all(finding.ok is not False for finding in findings)
