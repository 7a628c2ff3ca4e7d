"""How long things take: the installation, the start of an engine, a solve."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from pyode_bridge.cli.doctor.findings import Finding, Machine
from pyode_bridge.install.times import remembered

TRIAL_TIMEOUT = 1800.0  # seconds: the first start compiles


def install_time(machine: Machine) -> Finding:
    """How long the environment took to install, where `install` did it."""
    times = remembered(machine.julia.project) if machine.julia else None
    if times is None:
        return Finding("install", "no time on record: `python -m pyode_bridge install` did not make it", None)
    value = f"{times.packages:.0f} s for Julia and its packages, {times.compiling:.0f} s to compile PyODEBridge"
    return Finding("install", value, True)


def trial(engine_name: str) -> list[Finding]:
    """Start an engine in a subprocess and solve there, with the gradient: how long each takes."""
    command = [sys.executable, "-m", "pyode_bridge.cli.doctor.trial", engine_name]
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
