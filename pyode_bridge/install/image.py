"""The system image of an environment: Julia with the packages in it, from which it starts in a fraction of the time.

`python -m pyode_bridge install --image` makes it, beside the environment's own files. It holds the packages as they
were then, so it serves for as long as they are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.environment import environment_folder, julia_version, manifest_file
from pyode_bridge.install.location import package_directory

NAME = "pyode_bridge_image"
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}  # else .so
SYSIMAGE_VARIABLE = "PYTHON_JULIACALL_SYSIMAGE"
START_VARIABLE = "PYODE_BRIDGE_START"
IMAGE, PACKAGES, PLAIN = "image", "packages", "plain"  # from what Julia starts, if it is there


@dataclass(frozen=True)
class Image:
    """An image, with what has changed since it was made: a text such as "PyODEBridge", empty where it is current."""

    file: Path
    changed: str


def image_for(exe: str, project: str) -> Image | None:
    """The image of an environment, or None where there is none, or PYODE_BRIDGE_START says to start without."""
    file = image_file(project)
    try:
        recorded = json.loads(_record(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not file.is_file() or start_from() != IMAGE:
        return None
    now = made_of(exe, project)
    return Image(file, " and ".join(part for part in now if recorded.get(part) != now[part]))


def start_from() -> str:
    """What the variable PYODE_BRIDGE_START says.

    Raises:
        EngineUnavailableError: something else than it may.
    """
    value = os.environ.get(START_VARIABLE, IMAGE)
    if value not in (IMAGE, PACKAGES, PLAIN):
        raise EngineUnavailableError(
            f"{START_VARIABLE}={value} is unknown; expected {IMAGE!r} (the default), {PACKAGES!r} or {PLAIN!r}."
        )
    return value


def remember_image(exe: str, project: str) -> None:
    """Record what the environment's image, just made, is made of."""
    _record(image_file(project)).write_text(json.dumps(made_of(exe, project), indent=2) + "\n", encoding="utf-8")


def image_file(project: str) -> Path:
    """Where the image of an environment lies."""
    return environment_folder(project) / (NAME + SUFFIXES.get(sys.platform, ".so"))


def made_of(exe: str, project: str) -> dict[str, str]:
    """What an image depends on, each with a text that is another one after a change."""
    executable = Path(shutil.which(exe) or exe).resolve()
    found = executable.stat() if executable.is_file() else None
    version = julia_version(exe)
    environment = [manifest_file(project, version), environment_folder(project) / "LocalPreferences.toml"]
    package = package_directory()
    sources = sorted(file for folder in ("src", "ext", "translations") for file in (package / folder).rglob("*.jl"))
    return {
        "Julia": f"{version} {executable} {found.st_size} {found.st_mtime_ns}" if found else "",
        "the environment": _digest([file for file in environment if file and file.is_file()]),
        "PyODEBridge": f"{package} {_digest([package / 'Project.toml', *sources])}",
    }


def _record(file: Path) -> Path:
    return file.with_suffix(".json")


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
