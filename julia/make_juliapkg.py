"""Writes pyode_bridge/juliapkg.json, which tells juliapkg what to install, from Project.toml beside this.

Run it after a bound has changed: `python julia/make_juliapkg.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomlkit

JULIA = Path(__file__).parent
REQUIREMENTS = JULIA.parent / "pyode_bridge" / "juliapkg.json"
STANDARD_LIBRARIES = {"LinearAlgebra", "Logging", "SparseArrays", "TOML"}
TRANSLATIONS = JULIA / "translations"  # a package beside that of this folder, which no registry has

# Packages compile, when they are installed, what a program that calls them directly would run first. Solves of this
# package run other code, for its own types of functions, so that the minutes which these take would be lost.
WITHOUT_WORKLOAD = {
    "ExponentialUtilities": "d4d017d3-3776-5f7e-afef-a10c40355c18",
    "NonlinearSolve": "8913a72c-1f9b-4ce2-8d82-65094dcecaec",
    "NonlinearSolveFirstOrder": "5959db7a-ea39-4486-b5fe-2dd0bf03d60d",
    "NonlinearSolveQuasiNewton": "9a2c21bd-3a47-402d-9113-8faf9a0ee114",
    "NonlinearSolveSpectralMethods": "26075421-4e9a-44e1-8bd1-420ed7ad02b2",
    "OrdinaryDiffEqBDF": "6ad6398a-0878-4a85-9266-38940aa047c8",
    "OrdinaryDiffEqDefault": "50262376-6c5a-4cf5-baba-aaf4f84d72d7",
    "OrdinaryDiffEqLowStorageRK": "b0944070-b475-4768-8dec-fb6eb410534d",
    "OrdinaryDiffEqRosenbrock": "43230ef6-c299-4910-a778-202eb28ce4ce",
    "OrdinaryDiffEqSDIRK": "2d112036-d095-4a1e-ab9a-08536f3ecdbf",
    "OrdinaryDiffEqSSPRK": "669c94d9-1f4b-4b64-b377-1aa079aa2388",
    "OrdinaryDiffEqTsit5": "b1df2697-797e-41e3-8120-5422d3b24e4a",
    "OrdinaryDiffEqVerner": "79d7bb75-1356-48c1-b8c0-6832512096c2",
    "SimpleNonlinearSolve": "727e6d20-b764-4bd8-a329-72de5adea6c7",
    "Zygote": "e88e6eb3-aa80-5325-afca-941959d7151f",
}


def requirements() -> dict[str, Any]:
    """What juliapkg.json says: bounds of Julia and of each package, and preferences."""
    project, translations = (
        tomlkit.parse((folder / "Project.toml").read_text(encoding="utf-8")).unwrap()
        for folder in (JULIA, TRANSLATIONS)
    )
    bounds = {**translations["compat"], **project["compat"]}
    needed = {**translations["deps"], **project["deps"], **project["weakdeps"]}
    here = {*STANDARD_LIBRARIES, translations["name"]}
    packages: dict[str, dict[str, Any]] = {
        name: {"uuid": uuid, "version": bounds[name]} for name, uuid in needed.items() if name not in here
    }
    for name, uuid in WITHOUT_WORKLOAD.items():
        packages.setdefault(name, {"uuid": uuid})["preferences"] = {"precompile_workload": False}
    return {"julia": bounds["julia"], "packages": dict(sorted(packages.items()))}


def text() -> str:
    """The file as it is written."""
    return json.dumps(requirements(), indent=4) + "\n"


if __name__ == "__main__":
    REQUIREMENTS.write_text(text(), encoding="utf-8")
    print(f"Written to {REQUIREMENTS}")
