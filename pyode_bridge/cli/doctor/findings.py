"""What the doctor looks at, and what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from pyode_bridge.engines import ENGINE_VARIABLE
from pyode_bridge.install.environment import JuliaEnvironment, examine
from pyode_bridge.install.julia import can_install, resolved
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, JuliaLocation, locate


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
