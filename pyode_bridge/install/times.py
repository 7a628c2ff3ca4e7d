"""How long an installation took, remembered within the environment that it made."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "pyode_bridge_install.json"


@dataclass(frozen=True)
class InstallTimes:
    """Seconds that Julia with its packages took, and those for compiling PyODEBridge after that."""

    packages: float
    compiling: float


def remember(times: InstallTimes, project: str) -> None:
    """Keep them in the environment's folder, if it can be written to."""
    with contextlib.suppress(OSError):
        (Path(project) / FILE).write_text(json.dumps(asdict(times)) + "\n")


def remembered(project: str) -> InstallTimes | None:
    """Those of the environment, or None where something else made it."""
    try:
        values = json.loads((Path(project) / FILE).read_text())
        return InstallTimes(float(values["packages"]), float(values["compiling"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
