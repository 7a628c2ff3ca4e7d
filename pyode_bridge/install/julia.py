"""Installing Julia and its packages ahead of time, through juliapkg."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import tomlkit

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.environment import JuliaEnvironment, examine, required_packages
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, JuliaLocation, locate, package_directory
from pyode_bridge.install.optional import request, withdraw
from pyode_bridge.install.steps import Say, exit_code
from pyode_bridge.install.times import InstallTimes, remember

INSTALL_TIME = "10 to 40 minutes"  # README.md and docs/julia.md say the same
DOWNLOAD_URL = "https://julialang-s3.julialang.org/bin/versions.json"
REACH_TIMEOUT = 5.0  # seconds
START_SCRIPT = "from pyode_bridge.engines.julia.session import start; start().load_extension()"
REMEDY = (
    "Where a Julia with the packages is on this machine already, run `python -m pyode_bridge use --julia EXE "
    "--project DIR`; to do without Julia, set PYODE_BRIDGE_ENGINE=embedded, which uses the solvers of PyPI."
)


def can_install() -> str | None:
    """Whether juliapkg can provide Julia now: None if it can, else the reason in a sentence.

    Asks the network for `REACH_TIMEOUT` seconds at most, and only where juliapkg itself would have to download Julia.
    """
    try:
        from juliapkg.state import STATE
    except Exception as error:  # a bad setting makes the import itself raise
        return f"juliapkg cannot be used ({error})."
    if resolved() is not None:
        return None
    try:
        found = _julia_at_hand()
    except Exception as error:
        return f"juliapkg finds no usable set of requirements: {error}."
    override = STATE.get("override_executable")
    if override:
        return None if found else f"PYTHON_JULIAPKG_EXE={override} is not a Julia executable."
    if STATE.get("offline"):
        return None if found else "There is no suitable Julia here, and PYTHON_JULIAPKG_OFFLINE forbids downloads."
    # juliapkg asks for a newer version of the Julia that it installed itself, so that one needs the network too.
    if found and not Path(found).is_relative_to(STATE.get("install", "")):
        return None
    return _unreachable(_download_url())


def resolved() -> tuple[str, str] | None:
    """Executable and project of a finished, current installation by juliapkg, or None; changes nothing."""
    try:
        from juliapkg import deps
        from juliapkg.state import STATE

        with contextlib.redirect_stdout(io.StringIO()):
            meta = deps.can_skip_resolve()
        return (str(meta["executable"]), str(STATE["project"])) if meta else None
    except Exception:  # private functions of juliapkg, and files that anything may have written
        return None


def chosen() -> tuple[str, str] | None:
    """Executable and project that a session starts with; None where they would have to be installed first."""
    location = locate()
    return (location.exe, location.project) if location.exe and location.project else resolved()


def install_packages() -> None:
    """Have juliapkg install Julia and the packages, and compile those that most solves need; logs what it does.

    Packages of further solvers are compiled when one of these is first named.

    Raises:
        EngineUnavailableError: with what failed.
    """
    import juliapkg

    try:
        juliapkg.resolve(julia_args=["-L", str(package_directory() / "install" / "without_compiling.jl")])
        found = resolved()
        if found is not None:
            _compile(*found)
    except (Exception, SystemExit) as error:
        raise EngineUnavailableError(f"Installing Julia failed. {_cause(error)} {REMEDY}") from error


def _compile(exe: str, project: str) -> None:
    names = ", ".join(f'"{name}"' for name in needed_packages())
    code = f"import Pkg; Pkg.precompile([{names}])"
    environment = {**os.environ, "JULIA_PYTHONCALL_EXE": sys.executable}
    subprocess.run([exe, "--startup-file=no", f"--project={project}", "-e", code], check=True, env=environment)


def needed_packages() -> list[str]:
    """The packages that every session loads, or every one with a gradient."""
    project = tomlkit.parse((package_directory() / "Project.toml").read_text(encoding="utf-8")).unwrap()
    registered = required_packages()
    triggers = {name for names in project["extensions"].values() for name in names}
    return ["PythonCall", *sorted(name for name in {*project["deps"], *triggers} if name in registered)]


def install(say: Say = print, optional: Sequence[str] = ()) -> tuple[str, str]:
    """Install Julia and its packages, and compile PyODEBridge; returns Julia's executable and project.

    ``say`` is told what happens.

    ``optional`` names packages with more solvers, see `OPTIONAL_PACKAGES`.

    Where the environment variables or the configuration name a Julia, nothing is installed: it is checked instead.

    Raises:
        EngineUnavailableError: with what is wrong and what to do about it.
    """
    location = locate()
    added = request(optional, location)
    if location.exe or location.project:
        say(f"Nothing has to be installed: {location.rule} names a Julia. Checking it.")
        environment = examine_location(location)
        say(f"Julia {environment.exe} with the environment {environment.project} holds every package needed.")
        _precompile(say)
        return environment.exe, environment.project
    try:
        packages = _resolve(say)
    except BaseException:
        withdraw(added)  # or the installation that is there would no longer count as finished
        raise
    compiling = _precompile(say)
    found = resolved()
    if found is None:
        raise EngineUnavailableError("juliapkg's installation changed while PyODEBridge was compiled; install again.")
    if packages is not None:
        remember(InstallTimes(packages, compiling), found[1])
    return found


def examine_location(location: JuliaLocation) -> JuliaEnvironment:
    """The environment at a location with executable and project; raises EngineUnavailableError if it is unfit."""
    if not (location.exe and location.project):
        raise EngineUnavailableError(f"Set both of {EXE_VARIABLE} and {PROJECT_VARIABLE}, or none of them.")
    environment = examine(location.exe, location.project)
    if environment.problems:
        raise EngineUnavailableError("\n".join(environment.problems))
    return environment


def _julia_at_hand() -> str | None:
    """A suitable Julia that juliapkg finds without downloading anything."""
    from juliapkg.deps import find_requirements
    from juliapkg.find_julia import find_julia
    from juliapkg.state import STATE

    with contextlib.redirect_stdout(io.StringIO()):
        compat, _ = find_requirements()
        try:
            exe, _ = find_julia(compat=compat, prefix=STATE["install"])
        except Exception:  # juliapkg raises plain exceptions
            return None
    return str(exe)


def _download_url() -> str:
    try:
        from juliapkg import install_julia

        return str(getattr(install_julia, "_julia_versions_url", DOWNLOAD_URL))
    except ImportError:
        return DOWNLOAD_URL


def _unreachable(url: str) -> str | None:
    """Why ``url`` cannot be read, or None; waits no longer than `REACH_TIMEOUT`, looking the name up included."""
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=REACH_TIMEOUT) as answer:
                answer.read(1)
            outcome.append(None)
        except Exception as error:
            outcome.append(str(getattr(error, "reason", None) or error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_TIMEOUT)
    reason = outcome[0] if outcome else f"no answer within {REACH_TIMEOUT:.0f} s"
    if reason is None:
        return None
    return f"There is no suitable Julia here, and {url}, where it would come from, cannot be reached ({reason})."


def _resolve(say: Say) -> float | None:
    """Seconds that it took; None where everything was there."""
    from juliapkg.state import STATE

    if (found := resolved()) is not None:
        say(f"Julia is installed already: {found[0]} with the environment {found[1]}.")
        return None
    reason = can_install()
    if reason is not None:
        raise EngineUnavailableError(f"Julia cannot be installed. {reason} {REMEDY}")
    say(
        f"Installing Julia and its packages, which takes {INSTALL_TIME} and a few GB of disk.\n"
        f"  Julia, if there is none:  {STATE['install']} (a download of about 150 MB)\n"
        f"  the environment:          {STATE['project']}\n"
        f"  packages, compiled code:  {STATE['depot']}\n"
        "What follows is juliapkg's and Julia's own log; a finished step is not repeated if you start again."
    )
    begin = time.monotonic()
    install_packages()
    seconds = time.monotonic() - begin
    say(f"Installed in {seconds:.0f} s.")
    return seconds


def _cause(error: BaseException) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"Julia's package manager ended with exit code {error.returncode}; its messages above say why."
    return f"{type(error).__name__}: {error}."


def _precompile(say: Say) -> float:
    """Start the session once in a process of its own, which leaves PyODEBridge's compiled code behind; its seconds."""
    say("Compiling PyODEBridge, which takes minutes the first time and seconds afterwards.")
    begin = time.monotonic()
    code = exit_code("compiling", [sys.executable, "-c", START_SCRIPT], {}, say)
    if code != 0:
        raise EngineUnavailableError(
            f"Julia is installed, but PyODEBridge did not start (exit code {code}); the messages above say why. "
            "`python -m pyode_bridge doctor` looks for known causes."
        )
    return time.monotonic() - begin
