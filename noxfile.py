#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""The tasks of the project: `nox -l` lists them, `nox -s tests -- -k events` hands arguments on.

`nox` alone does what `tests/run.sh` does, in an environment for each task.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, types and the directions of imports."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, into `site/`; `nox -s docs -- serve` shows it while it changes."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]), env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; those that need Julia skip where none is found."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False, venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The tests with the lowest versions that `pyproject.toml` allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
@nox.parametrize("version", [nox.param("1.10", id="1.10"), nox.param("1", id="1")])
def julia(session: nox.Session, version: str) -> None:
    """A Julia of this version, installed by juliapkg, and the tests that need one."""
    session.install("-e", ".[test]")
    session.run("python", "-c", f"import juliapkg; juliapkg.require_julia('~{version}')")
    session.run("python", "-m", "pyode_bridge", "install")
    session.run("python", "-m", "pyode_bridge", "doctor", "--time")
    session.run("pytest", *(session.posargs or ["-m", "julia and not slow"]))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """The source distribution, and the wheel from it, into `dist/`."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", "dist/*")


if __name__ == "__main__":
    nox.main()
