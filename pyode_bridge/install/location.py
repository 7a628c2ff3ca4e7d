"""Which Julia and which environment will be used, and by which rule."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pyode_bridge.errors import EngineUnavailableError

EXE_VARIABLE = "PYTHON_JULIACALL_EXE"
PROJECT_VARIABLE = "PYTHON_JULIACALL_PROJECT"
CONFIG_VARIABLE = "PYODE_BRIDGE_CONFIG"


@dataclass(frozen=True)
class JuliaLocation:
    """A Julia executable with a ready environment; both None where juliapkg is to find or install them.

    ``rule`` says in words how the choice was made.
    """

    exe: str | None
    project: str | None
    rule: str


def locate() -> JuliaLocation:
    """The first that applies: juliacall's environment variables, the user's configuration, juliapkg."""
    exe, project = os.environ.get(EXE_VARIABLE), os.environ.get(PROJECT_VARIABLE)
    if exe or project:
        return JuliaLocation(exe, project, f"the environment variables {EXE_VARIABLE} and {PROJECT_VARIABLE}")
    remembered = read_configuration()
    if remembered is not None and not any(name.startswith("PYTHON_JULIAPKG_") for name in os.environ):
        exe, project = remembered
        return JuliaLocation(exe, project, f"the configuration file {configuration_file()}")
    return JuliaLocation(None, None, "juliapkg (variables PYTHON_JULIAPKG_*), which installs Julia where it is missing")


def configuration_file() -> Path:
    """Where `use` remembers a Julia: PYODE_BRIDGE_CONFIG, else the user's configuration folder."""
    override = os.environ.get(CONFIG_VARIABLE)
    if override:
        return Path(override)
    base = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    return Path(base or Path.home() / ".config") / "pyode_bridge" / "julia.json"


def read_configuration() -> tuple[str, str] | None:
    """The remembered executable and project, or None; a file that cannot be read counts as none."""
    try:
        values = json.loads(configuration_file().read_text())
        exe, project = values["exe"], values["project"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (exe, project) if isinstance(exe, str) and isinstance(project, str) and exe and project else None


def write_configuration(exe: str, project: str) -> Path:
    """Remember an executable and a project; returns the file written."""
    path = configuration_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    location = {"exe": exe, "project": project}
    path.write_text(json.dumps(location, indent=2) + "\n")
    return path


def as_environment(location: JuliaLocation) -> dict[str, str]:
    """The environment variables that make juliacall use ``location``."""
    values = asdict(location)
    names = {"exe": EXE_VARIABLE, "project": PROJECT_VARIABLE}
    return {names[key]: values[key] for key in names if values[key]}


def package_directory() -> Path:
    """The Julia package of this project: inside an installed wheel, or beside the Python package in a checkout."""
    here = Path(__file__).parents[1]
    candidates = [here / "_julia", here.parent / "julia"]
    for candidate in candidates:
        if (candidate / "Project.toml").is_file():
            return candidate
    raise EngineUnavailableError(
        f"The Julia package PyODEBridge is in neither of {[str(path) for path in candidates]}."
    )


def load_path() -> list[str]:
    """The folders of this project's packages, where Julia looks last: each after those that it needs."""
    package = package_directory()
    return [str(folder) for folder in (package / "translations", package, package / "session")]
