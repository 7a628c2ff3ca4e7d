"""The command ``pyode-bridge``, also ``python -m pyode_bridge``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyode_bridge
from pyode_bridge.cli import doctor
from pyode_bridge.cli.ahead import compile_ahead, first_solves
from pyode_bridge.cli.doctor import timing
from pyode_bridge.cli.doctor.findings import Finding, Machine
from pyode_bridge.cli.image import check_compiler, make_image
from pyode_bridge.engines.julia import session
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.errors import BridgeError
from pyode_bridge.install.environment import examine, version_text
from pyode_bridge.install.julia import install
from pyode_bridge.install.location import configuration_file, locate, write_configuration
from pyode_bridge.install.optional import OPTIONAL_PACKAGES, TOOLS
from pyode_bridge.problem.checks import ENGINES
from pyode_bridge.views.solver_table import SolverTable

MARKS = {True: "ok", False: "WRONG", None: "note"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments``, by default those of the process; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough, as `head` has; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BridgeError, OSError) as error:
        print(f"pyode-bridge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pyode-bridge: interrupted.", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyode-bridge", description="Julia's differential equation solvers for PyTorch."
    )
    parser.add_argument("--version", action="version", version=f"pyode_bridge {pyode_bridge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")

    command = add("install", "install Julia and its packages ahead of the first solve")
    command.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help=f"more solvers: any of {', '.join(OPTIONAL_PACKAGES)}"
    )
    command.add_argument(
        "--image",
        action="store_true",
        help="also make a system image, from which Julia starts in a fraction of the time; takes many minutes",
    )
    command.set_defaults(run=_install)

    command = add("use", "use, from now on, a Julia that is already installed")
    command.add_argument("--julia", metavar="EXE", help="the Julia executable")
    command.add_argument("--project", metavar="DIR", help="the folder of a Julia environment that holds the packages")
    command.add_argument("--forget", action="store_true", help="forget the Julia that was chosen")
    command.set_defaults(run=_use, parser=command)

    command = add("doctor", "say what is there, what is wrong, and what to do")
    command.add_argument("--time", action="store_true", help="also start Julia and solve, and say how long each takes")
    command.set_defaults(run=_doctor)

    command = add("precompile", "compile the dynamics of earlier sessions once for all, so that later ones load them")
    command.set_defaults(run=_precompile)

    command = add("solvers", "list the solvers")
    command.add_argument("--engine", choices=ENGINES, help="the engine; default: the one odeint would use")
    command.add_argument("filter", nargs="?", default="", metavar="FILTER", help="text to look for, in any column")
    command.set_defaults(run=_solvers)
    return parser


def _install(options: argparse.Namespace) -> int:
    def say(text: str) -> None:
        print(text, flush=True)

    # A Julia that the user has chosen is the user's to change; there it is looked whether the compiler is there.
    tools = TOOLS if options.image and locate().project is None else ()
    exe, project = install(say, [*options.packages, *tools])
    if options.image:
        check_compiler(exe, project)
    with first_solves(say) as seen:
        compile_ahead(exe, project, seen, say)
        if options.image:
            file = make_image(exe, project, seen, say)
            say(f"Made {file}; sessions start from it from now on, until the packages change.")
    say("Done: the Julia engine is ready. `python -m pyode_bridge doctor --time` tries it.")
    return 0


def _use(options: argparse.Namespace) -> int:
    if options.forget == bool(options.julia or options.project) or bool(options.julia) != bool(options.project):
        options.parser.error("give --julia and --project, or --forget alone")
    if options.forget:
        file = configuration_file()
        existed = file.exists()
        file.unlink(missing_ok=True)
        print(f"Removed {file}." if existed else f"Nothing to forget: there is no {file}.")
        return 0
    exe = shutil.which(Path(options.julia).expanduser()) or options.julia
    project = str(Path(options.project).expanduser().absolute())
    environment = examine(os.path.abspath(exe) if os.path.exists(exe) else exe, project)
    if environment.problems:
        print("pyode-bridge: this Julia cannot be used.", *environment.problems, sep="\n  ", file=sys.stderr)
        return 1
    file = write_configuration(environment.exe, environment.project)
    print(
        f"Julia {version_text(environment.version)} at {environment.exe}, with the environment {environment.project},"
    )
    print(f"will be used from now on; remembered in {file}.")
    location = locate()
    if (location.exe, location.project) != (environment.exe, environment.project):
        print(f"But here and now something else goes first: {location.rule}.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    machine = Machine.here()
    findings = doctor.examine_machine(machine)
    _print_findings(findings)
    usable = doctor.is_usable(machine, findings)
    if options.time:
        timed = [] if machine.engine == "embedded" else [timing.install_time(machine)]
        if usable:
            engine = "embedded" if machine.engine == "embedded" else "julia"
            print(f"Starting the {engine} engine; the first start of Julia may compile for minutes.", flush=True)
            timed += timing.trial(engine)
            usable = all(finding.ok is not False for finding in timed)
        else:
            timed += [Finding("trial", "not made", None, "Mend what is wrong above first.")]
        _print_findings(timed)
    if machine.engine == "embedded":
        print("\nThe embedded engine was chosen: it needs nothing of Julia.")
    else:
        print("\nThe Julia engine can be used." if usable else "\nThe Julia engine cannot be used; see WRONG above.")
    return 0 if usable else 1


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        print(f"{MARKS[finding.ok]:<6}{finding.subject:<22}{finding.value}")
        for line in finding.advice.splitlines():
            print(f"{'':<28}-> {line}")


def _precompile(options: argparse.Namespace) -> int:
    print("Starting Julia.", flush=True)
    began = time.perf_counter()
    julia = session.start()
    with julia_errors("the dynamics of earlier sessions"):
        count = int(julia.compile_aot_cache())
    if not count:
        folder = julia.aot_cache_directory()
        print(f"Nothing to compile: no dynamics are kept in {folder}. Solve with the Julia engine first.")
        return 0
    print(f"Compiled {count} dynamics in {time.perf_counter() - began:.0f} s; sessions from now on load them.")
    return 0


def _solvers(options: argparse.Namespace) -> int:
    wanted = options.filter.lower()
    rows = SolverTable(
        solver
        for solver in pyode_bridge.solvers(options.engine)
        if wanted in f"{solver.name} {solver.source} {solver.family} {solver.summary}".lower()
    )
    if not rows:
        print(
            f"pyode-bridge: no solver has {options.filter!r} in its name, source, family or summary.", file=sys.stderr
        )
        return 1
    print(rows)
    return 0
