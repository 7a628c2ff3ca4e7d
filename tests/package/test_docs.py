"""What the documentation says is true: its code runs and prints what it shows, messages are those that are raised.

In the Markdown, `<!-- needs: julia -->` before a block of Python says what it runs with alone: the Julia engine, or a
package by its name, or, with `no-` before it, where there is no such package. A block of text right after one of Python
is what that prints, warns of and raises at its end; before a message that no code of the page provokes,
`<!-- provoked by: ... -->` names what does, in the fixture `provoked`. Dots stand for anything.
"""

from __future__ import annotations

import argparse
import contextlib
import doctest
import functools
import importlib.util
import io
import os
import re
import runpy
import shlex
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import torch

import pyode_bridge as pb
from pyode_bridge import cli, engines, models
from pyode_bridge.engines.julia import session
from pyode_bridge.engines.julia.isolation.messages import SERVICE
from pyode_bridge.engines.julia.isolation.worker import Worker
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.environment import examine
from pyode_bridge.install.julia import INSTALL_TIME
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE
from tests.conftest import julia_finds
from tests.install.conftest import FakeJulia, fake_julia, ready_project
from tests.install.juliapkg_state import SetUp, fresh_juliapkg

__all__ = ["fake_julia", "fresh_juliapkg", "ready_project"]

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "README.md", ROOT / "examples" / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
BLOCK = re.compile(
    r"(?:^<!-- (?P<remark>needs|provoked by): (?P<value>[^\n]*) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$(?:\n\n```text\n(?P<shown>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"`((?:\w+=\S+ )*(?:python|bash|pip) [^`]*)`")  # within a line of words
ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
JULIA_ALONE = {
    f"pyode_bridge.{name}" for name in ("DDE", "Partitioned", "SDE", "daeint", "ddeint", "sdeint", "steady_state")
}  # by their docstrings
Output = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Block:
    """Code of a page, the line before its first, the remark above it, and the text that follows."""

    language: str
    code: str
    line: int
    remark: str | None
    value: str | None
    shown: str | None


def blocks(page: str, language: str) -> list[Block]:
    return [
        Block(line=PAGES[page].count("\n", 0, match.start("code")), **match.groupdict())
        for match in BLOCK.finditer(PAGES[page])
        if match["language"] == language
    ]


def test_every_block_of_a_page_is_found() -> None:
    for page, text in PAGES.items():
        found = [block for language in ("python", "bash", "dockerfile", "text") for block in blocks(page, language)]
        fences = 2 * (len(found) + sum(block.shown is not None for block in found))
        assert len(re.findall("^```", text, re.MULTILINE)) == fences, page
        assert "```" not in "".join(block.code + (block.shown or "") for block in found), page


def can_run(block: Block, engine: str) -> bool:
    needs = {
        "julia": lambda: engine == "julia",
        "diffeqpy": lambda: engine == "julia" and julia_finds("DifferentialEquations"),
        "Sundials": lambda: engine == "julia" and julia_finds("Sundials"),
        "no-Sundials": lambda: engine == "julia" and not julia_finds("Sundials"),
    }
    return all(
        needs[name]() if name in needs else bool(importlib.util.find_spec(name)) for name in (block.value or "").split()
    )


def outcome(run: Callable[[], Any]) -> str:
    """What is printed, warned of and raised, as the pages show it."""
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            run()
            raised = ""
        except pb.BridgeError as error:
            raised = f"{type(error).__name__}: {error}\n"
    kinds = (pb.GradientWarning, pb.OptionWarning, RuntimeWarning)
    told = [f"{one.category.__name__}: {one.message}\n" for one in warned if issubclass(one.category, kinds)]
    return printed.getvalue() + "".join(told) + raised


def assert_shown(shown: str, got: str, where: str) -> None:
    alike = doctest.OutputChecker().check_output(" ".join(shown.split()), " ".join(got.split()), ALIKE)
    assert alike, f"{where} shows\n{shown}\nbut it gives\n{got}"


def on_engines() -> list[Any]:
    """Every page with Python on the embedded engine, and on Julia where some of it needs that."""
    pages = [page for page in PAGES if blocks(page, "python")]
    wants_julia = [page for page in pages if any("julia" in (block.value or "") for block in blocks(page, "python"))]
    on_julia = [pytest.param("julia", page, marks=pytest.mark.julia) for page in wants_julia]
    return [pytest.param("embedded", page) for page in pages] + on_julia


@pytest.mark.parametrize(("engine", "page"), on_engines())
def test_code_runs_and_gives_what_the_page_shows(
    engine: str, page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", engine)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "documentation"}
    runnable = [block for block in blocks(page, "python") if can_run(block, engine)]
    if not runnable:
        pytest.skip("its code needs what is not here")
    for block in runnable:
        run = functools.partial(exec, compile("\n" * block.line + block.code, str(ROOT / page), "exec"), names)
        if block.shown is None:
            run()
        else:
            assert_shown(block.shown, outcome(run), f"{page}, line {block.line},")


PUBLIC = {f"{module.__name__}.{name}": getattr(module, name) for module in (pb, models) for name in module.__all__}
WITH_EXAMPLES = [
    pytest.param(name, marks=pytest.mark.julia if name in JULIA_ALONE else ())
    for name, found in PUBLIC.items()
    if ">>> " in (found.__doc__ or "")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_the_reference_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", "julia" if name in JULIA_ALONE else "embedded")
    finder = doctest.DocTestFinder(recurse=False)
    for test in finder.find(PUBLIC[name], name, module=False, globs=dict(vars(models))):
        report = io.StringIO()
        assert not doctest.DocTestRunner(optionflags=ALIKE).run(test, out=report.write).failed, report.getvalue()


@pytest.mark.parametrize("module", [pb, models], ids=["pyode_bridge", "models"])
def test_the_reference_has_all_that_is_public(module: types.ModuleType) -> None:
    listed = set(re.findall(r"^(?:::: [\w.]+\.| +- )(\w+)$", "\n".join(PAGES[page] for page in PAGES), re.MULTILINE))
    assert set(module.__all__) - {"odeint_adjoint"} <= listed


# Messages that no code of a page provokes.


@pytest.fixture
def provoked(
    fake_julia: FakeJulia, fresh_juliapkg: SetUp, ready_project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Callable[[], None]]:
    """What provokes each of them, by the name that the page gives it."""
    for name in list(os.environ):
        if name.startswith(("PYTHON_JULIACALL_", "PYTHON_JULIAPKG_", "PYODE_BRIDGE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def no_julia() -> None:
        fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
        monkeypatch.setattr(engines, "julia_engine", session.start.__wrapped__)
        monkeypatch.delitem(sys.modules, "juliacall", raising=False)
        engines._auto_engine.__wrapped__()

    def another_thread() -> None:
        raised: list[EngineUnavailableError] = []

        def start() -> None:
            try:
                session.start.__wrapped__()
            except EngineUnavailableError as error:
                raised.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        raise raised[0]

    def juliacall_first() -> None:
        main = types.SimpleNamespace(seval=lambda _: 2)
        juliacall = types.SimpleNamespace(CONFIG={"inited": True, "opt_handle_signals": None}, Main=main)
        monkeypatch.setitem(sys.modules, "juliacall", juliacall)
        session.start.__wrapped__()

    def one_variable() -> None:
        monkeypatch.setenv("PYTHON_JULIACALL_EXE", "julia")
        monkeypatch.delitem(sys.modules, "juliacall", raising=False)
        session.start.__wrapped__()

    def an_empty_environment() -> None:
        file = ready_project / "Manifest.toml"
        head, *packages = file.read_text().split("[[")
        kept = [package for package in packages if package.startswith("deps.PythonCall]]")]
        file.write_text("[[".join([head, *kept]))
        print(*examine(str(fake_julia("julia version 1.10.8")), str(ready_project)).problems, sep="\n")

    def another_pythoncall() -> None:
        file = ready_project / "Manifest.toml"
        file.write_text(re.sub(r'(deps\.PythonCall\]\]\n.*\n)version = ".*"', r'\1version = "0.9.0"', file.read_text()))
        print(*examine(str(fake_julia("julia version 1.10.8")), str(ready_project)).problems, sep="\n")

    def worker_that_ends(at_once: bool) -> Worker:
        script = tmp_path / "worker.py"
        script.write_text(
            "import os, pickle, sys; from multiprocessing.connection import Connection\n"
            "connection = Connection(int(sys.argv[1])); connection.recv()\n"
            f"connection.send_bytes(pickle.dumps(('returned', None))); {at_once} or connection.recv_bytes()\n"
            "os.kill(os.getpid(), 9)"
        )
        return Worker(script=str(script))

    def a_workers_end() -> None:
        worker_that_ends(at_once=False).call(SERVICE, "report")

    def a_worker_that_has_ended() -> None:
        worker = worker_that_ends(at_once=True)
        while worker.ended() is None:
            time.sleep(0.01)
        worker.call(SERVICE, "report")

    return {
        "a worker's end": a_workers_end,
        "a worker that has ended": a_worker_that_has_ended,
        "no Julia": no_julia,
        "another thread": another_thread,
        "juliacall first": juliacall_first,
        "one variable": one_variable,
        "an empty environment": an_empty_environment,
        "another PythonCall": another_pythoncall,
    }


MESSAGES = {block.value: block for page in PAGES for block in blocks(page, "text") if block.remark == "provoked by"}


@pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_those_that_are_given(name: str, provoked: dict[str, Callable[[], None]]) -> None:
    assert_shown(MESSAGES[name].code, outcome(provoked[name]), name)


# Commands, recipes and links.


def commands() -> list[str]:
    found = set()
    for page, text in PAGES.items():
        lines = [line for block in blocks(page, "bash") for line in block.code.splitlines()]
        lines += [
            run for block in blocks(page, "dockerfile") for run in re.findall("^RUN (.*)", block.code, re.MULTILINE)
        ]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        found.update(shlex.join(shlex.split(line, comments=True)) for line in lines)
        found.update(" ".join(command.split()) for command in COMMAND.findall(prose))
    return sorted(found - {""})


class _Parsed(Exception):  # noqa: N818
    """A script has read its command line."""


def _reads(script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script as far as it reads its command line, which ends the process where that is wrong."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_leave(parser: argparse.ArgumentParser, *given: Any) -> None:
        parse(parser, *given)
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_leave)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)  # some bind the process to cores
    dtype = torch.get_default_dtype()
    try:
        with pytest.raises(_Parsed):
            runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        torch.set_default_dtype(dtype)  # some scripts change it first


@pytest.mark.parametrize("command", commands())
def test_commands_exist_and_take_these_options(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    words = shlex.split(command)
    while "=" in words[0]:
        assert re.match("PYODE_BRIDGE_(ENGINE|LANE)=", words[0])
        words = words[1:]
    program, *arguments = words
    if program == "pip":
        extras = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]["optional-dependencies"]
        known = ["pyode_bridge", ".", "/opt/pyode_bridge", *(f"pyode_bridge[{extra}]" for extra in extras)]
        assert arguments[0] == "install"
        assert arguments[-1] in known
    elif program == "bash":
        assert (ROOT / arguments[0]).is_file()
    elif arguments[:2] == ["-m", "pyode_bridge"]:
        cli._parser().parse_args(arguments[2:])
    elif arguments[:2] == ["-m", "pytest"]:
        assert (ROOT / arguments[-1]).is_file()
    elif arguments[0].startswith("examples/tutorials/"):  # they run in tests/examples, and take no options
        assert (ROOT / arguments[0]).is_file()
        assert arguments[1:] == []
    elif arguments[0].startswith("examples/"):
        for package in ("matplotlib", "sklearn", "statsmodels"):
            pytest.importorskip(package)
        _reads(arguments[0], arguments[1:], monkeypatch)
    else:
        assert program == "python"
        assert (ROOT / arguments[0]).is_file()


def test_a_recipe_sets_variables_that_its_page_explains() -> None:
    ((page, recipe),) = [(page, block) for page in PAGES for block in blocks(page, "dockerfile")]
    lines = recipe.code.splitlines()
    assert {line.split(" ", 1)[0] for line in lines} == {"FROM", "ENV", "COPY", "RUN"}
    names = re.findall(r"^ENV (\w+)=\S+$", recipe.code, re.MULTILINE)
    assert len(names) == sum(line.startswith("ENV") for line in lines)
    words = PAGES[page].replace(recipe.code, "")
    assert {name for name in names if name not in words} <= {"PYTHON_JULIAPKG_PROJECT"}
    assert {EXE_VARIABLE, PROJECT_VARIABLE} <= set(names)


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_to_files(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", PAGES[page]):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_first_page_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 100


def test_how_long_an_install_takes_is_said_alike() -> None:
    said = {page: re.findall(r"takes ([^.]*\d minutes)", text) for page, text in PAGES.items()}
    assert {page: found for page, found in said.items() if found} == {
        "README.md": [INSTALL_TIME],
        "docs/julia.md": [INSTALL_TIME],
    }


def test_variables_are_those_of_the_package() -> None:
    source = "".join(path.read_text() for path in (ROOT / "pyode_bridge").rglob("*.py"))
    for name in set(re.findall(r"PYODE_BRIDGE_[A-Z]+", "".join(PAGES.values()))):
        assert f'"{name}"' in source, name
