"""What a Julia executable and a Julia environment hold, read from files; Julia itself only says its version."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

PYTHONCALL_UUID = "6099a3de-0909-46bc-b1f4-468b9a2dfc0d"
VERSIONED_MANIFESTS = (1, 10, 8)  # the first Julia that reads Manifest-v1.10.toml and the like
VERSION_TIMEOUT = 60.0  # seconds: juliaup's launcher may have to unpack a Julia first

JuliaVersion = tuple[int, int, int]


class Package(NamedTuple):
    """A package of a Manifest; ``version`` is empty for some standard libraries."""

    uuid: str
    version: str


@dataclass(frozen=True)
class JuliaEnvironment:
    """An executable with a project, as found.

    Attributes:
        exe: path of the executable.
        project: path of the environment's folder.
        version: version of Julia, None if the executable does not run.
        packages: what the environment's Manifest holds, by name.
        lacks: what is wrong with the environment, a sentence each; empty where nothing is.
    """

    exe: str
    project: str
    version: JuliaVersion | None
    packages: Mapping[str, Package]
    lacks: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps PyODEBridge from running there, a sentence each; empty where nothing does."""
        if self.version is not None:
            return self.lacks
        return (f"{self.exe!r} is not a Julia executable that runs (`{self.exe} --version` fails).", *self.lacks)


def examine(exe: str, project: str) -> JuliaEnvironment:
    """Look at an executable and a project: does the first run, and does the second hold what PyODEBridge needs?"""
    version = julia_version(exe)
    lacks: list[str] = []
    folder = environment_folder(project)
    packages: Mapping[str, Package] = {}
    if not (folder / "Project.toml").is_file() and not (folder / "JuliaProject.toml").is_file():
        lacks.append(f"{str(folder)!r} is not a Julia environment: it has no Project.toml.")
    elif (manifest := manifest_file(folder, version)) is None:
        lacks.append(
            f"The environment {str(folder)!r} has no Manifest.toml: its packages were never resolved. Run "
            f"`{exe} --project={folder} -e 'using Pkg; Pkg.instantiate()'`."
        )
    else:
        try:
            packages = read_manifest(manifest)
            lacks += missing_packages(packages, exe, folder)
        except (OSError, ValueError, TOMLKitError) as error:
            lacks.append(f"{str(manifest)!r} cannot be read: {error}.")
    return JuliaEnvironment(exe, str(folder), version, packages, tuple(lacks))


def missing_packages(packages: Mapping[str, Package], exe: str, folder: Path) -> list[str]:
    """What an environment lacks of the packages of juliapkg.json, and whether PythonCall matches juliacall."""
    problems = []
    missing = [name for name, entry in required_packages().items() if not _holds(packages, name, entry["uuid"])]
    if missing:
        names = ", ".join(f'"{name}"' for name in missing)
        problems.append(
            f"The environment {str(folder)!r} lacks {len(missing)} of the packages needed. Run "
            f"`{exe} --project={folder} -e 'using Pkg; Pkg.add([{names}])'`."
        )
    expected = metadata.version("juliacall")
    found = packages["PythonCall"].version if _holds(packages, "PythonCall", PYTHONCALL_UUID) else None
    if found != expected:
        add = f'name="PythonCall", version="{expected}"'
        have = "lacks PythonCall" if found is None else f"has PythonCall {found}"
        problems.append(
            f"The environment {str(folder)!r} {have}, but juliacall {expected} needs exactly PythonCall {expected}. "
            f"Run `{exe} --project={folder} -e 'using Pkg; Pkg.add({add})'`."
        )
    return problems


def required_packages() -> dict[str, dict[str, str]]:
    """UUID and version bounds of each package that PyODEBridge depends on, from pyode_bridge/juliapkg.json.

    Those without bounds are there for their preferences alone: what depends on them brings them.
    """
    packages: dict[str, dict[str, str]] = json.loads(requirements_file().read_text())["packages"]
    return {name: entry for name, entry in packages.items() if "version" in entry}


def requirements_file() -> Path:
    """The file that tells juliapkg what pyode_bridge needs."""
    return Path(__file__).parent.parent / "juliapkg.json"


def julia_version(exe: str) -> JuliaVersion | None:
    """What ``exe --version`` answers, or None where it does not answer as Julia does."""
    path = shutil.which(exe)
    if path is None:
        return None
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True, timeout=VERSION_TIMEOUT
        ).stdout
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError):
        return None
    match = re.match(r"julia version (\d+)\.(\d+)\.(\d+)", answer)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def manifest_file(project: str | Path, version: JuliaVersion | None) -> Path | None:
    """The Manifest that Julia ``version`` would read in a project, or None."""
    folder = environment_folder(project)
    versioned = [f"Manifest-v{version[0]}.{version[1]}.toml"] if version and version >= VERSIONED_MANIFESTS else []
    names = [prefix + name for name in (*versioned, "Manifest.toml") for prefix in ("Julia", "")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_manifest(file: Path) -> dict[str, Package]:
    """The packages of a Manifest, of format 1 or 2; raises OSError, ValueError or TOMLKitError if it is none."""
    table: dict[str, Any] = tomlkit.parse(file.read_text(encoding="utf-8")).unwrap()
    entries = table.get("deps", {}) if "manifest_format" in table else table
    if not isinstance(entries, dict):
        raise ValueError("its deps are no table")
    listed = {name: versions for name, versions in entries.items() if isinstance(versions, list)}
    for name, versions in listed.items():
        if not all(isinstance(entry, dict) for entry in versions):
            raise ValueError(f"{name} is no list of tables")
    return {
        name: Package(str(entry.get("uuid", "")), str(entry.get("version", "")))
        for name, versions in listed.items()
        for entry in versions
    }


def version_text(version: JuliaVersion | None) -> str:
    """The version as Julia writes it."""
    return "unknown" if version is None else ".".join(str(part) for part in version)


def _holds(packages: Mapping[str, Package], name: str, uuid: str) -> bool:
    return name in packages and packages[name].uuid == uuid


def environment_folder(project: str | Path) -> Path:
    """The folder of an environment, which its project file may stand for."""
    path = Path(project)
    return path.parent if path.is_file() else path
