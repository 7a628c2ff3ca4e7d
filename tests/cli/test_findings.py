"""The doctor's findings on machines made by hand, and what follows from them."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pyode_bridge.cli import doctor
from pyode_bridge.cli.doctor import settings, software, timing, trial
from pyode_bridge.cli.doctor.findings import Finding, Machine
from pyode_bridge.install.environment import JuliaEnvironment, JuliaVersion, Package
from pyode_bridge.install.location import EXE_VARIABLE, PROJECT_VARIABLE, JuliaLocation, write_configuration
from tests.install.conftest import FakeJulia
from tests.install.juliapkg_state import SetUp, write_meta

posix = pytest.mark.skipif(os.name == "nt", reason="the fake executables are shell scripts")
NOWHERE = JuliaLocation(None, None, "juliapkg")
EMPTY = Machine("auto", NOWHERE, None, None)


def machine(
    version: JuliaVersion | None = (1, 10, 8),
    packages: dict[str, Package] | None = None,
    exe: str = "/opt/julia/bin/julia",
    engine: str = "auto",
) -> Machine:
    julia = JuliaEnvironment(exe, "/project", version, packages or {}, ())
    return Machine(engine, JuliaLocation(exe, "/project", "the variables"), julia, None)


@pytest.mark.parametrize(
    ("version", "words"),
    [((1, 9, 4), "too old"), ((1, 10, 1), "#464"), ((1, 10, 2), "#464"), ((1, 12, 3), "needs OpenSSL 3.5")],
)
def test_a_release_that_cannot_work_is_named_with_one_that_does(
    version: JuliaVersion, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl.OPENSSL_VERSION_INFO", (3, 0, 19, 0, 0))
    finding = software.julia_release(machine(version))
    assert words in finding.value
    assert finding.advice.startswith("Use Julia 1.10")
    assert not doctor.is_usable(machine(version), [finding])


@pytest.mark.parametrize("version", [(1, 10, 3), (1, 11, 5)])
def test_releases_between_those_work(version: JuliaVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl.OPENSSL_VERSION_INFO", (3, 0, 19, 0, 0))
    assert software.julia_release(machine(version)).ok is True


def test_a_release_below_the_bound_does_not_pass() -> None:
    assert software.julia_release(machine((1, 10, 0))).ok is False


def test_an_unknown_release_is_a_remark_only() -> None:
    assert software.julia_release(EMPTY).ok is None
    assert software.julia_release(machine(None)).ok is None
    broken = software.executable(machine(None))
    assert broken.ok is False
    assert broken.value == "/opt/julia/bin/julia does not run"


@pytest.mark.parametrize("alone", [EXE_VARIABLE, PROJECT_VARIABLE])
def test_one_variable_alone_is_wrong_whichever_it_is(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(alone, "/somewhere")
    here = Machine.here()
    finding = software.executable(here)
    assert finding.ok is False
    assert EXE_VARIABLE in finding.value
    assert PROJECT_VARIABLE in finding.value
    assert not doctor.is_usable(here, [finding])


def test_one_variable_alone_is_mended_by_setting_both_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXE_VARIABLE, "/somewhere")
    assert PROJECT_VARIABLE in software.executable(Machine.here()).advice


@posix
def test_here_is_what_the_variables_or_the_configuration_name(
    fake_julia: FakeJulia, ready_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exe = str(fake_julia("julia version 1.10.8"))
    write_configuration(exe, str(ready_project))
    by_file = Machine.here()
    assert by_file.julia is not None
    assert (by_file.julia.version, by_file.julia.problems) == ((1, 10, 8), ())
    assert "configuration file" in settings.rule(by_file).value
    monkeypatch.setenv(EXE_VARIABLE, exe)
    monkeypatch.setenv(PROJECT_VARIABLE, str(ready_project / "nowhere"))
    by_variables = Machine.here()
    assert EXE_VARIABLE in settings.rule(by_variables).value
    assert "no Project.toml" in software.environment(by_variables).advice


@posix
def test_here_is_what_juliapkg_has_or_could_have(fake_julia: FakeJulia, fresh_juliapkg: SetUp) -> None:
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="yes")
    nothing = Machine.here()
    assert nothing.julia is None
    assert "PYTHON_JULIAPKG_OFFLINE" in str(nothing.obstacle)
    assert settings.engine(nothing).value == "embedded (auto: Julia cannot start, see below)"
    exe = fake_julia("julia version 1.10.8")
    fresh_juliapkg(str(exe.parent))
    possible = Machine.here()
    assert (possible.julia, possible.obstacle) == (None, None)
    assert settings.engine(possible).value == "julia (auto: the first solve would install it)"
    fresh_juliapkg(PYTHON_JULIAPKG_OFFLINE="no")
    write_meta(exe)
    there = Machine.here()
    assert there.julia is not None
    assert there.julia.exe == str(exe)


def test_juliacall_imported_first_is_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "juliacall", raising=False)
    assert settings.import_order(EMPTY).ok is True
    monkeypatch.setitem(sys.modules, "juliacall", types.ModuleType("juliacall"))
    finding = settings.import_order(EMPTY)
    assert finding.ok is None
    assert "before juliacall" in finding.advice


@pytest.mark.parametrize("threads", ["auto", "2"])
def test_signals_off_with_threads_says_how_to_mend_it(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SIGNALS, "no")
    monkeypatch.setenv(settings.THREADS, threads)
    finding = settings.settings(EMPTY)
    assert finding.ok is False
    assert f"Unset {settings.SIGNALS}, or set {settings.THREADS}=1" in finding.advice
    assert f"{settings.THREADS}={threads}" in finding.value


@pytest.mark.parametrize(
    ("name", "version", "ok"),
    [
        ("SciMLBase", "0.1.0", None),
        ("SciMLBase", "not a version", None),
        ("PythonCall", "0.1.0", True),  # no bound of pyode_bridge's own
    ],
)
def test_versions_outside_the_bounds_are_remarked(name: str, version: str, ok: bool | None) -> None:
    finding = software.package(name)(machine(packages={name: Package("uuid", version)}))
    assert (finding.value, finding.ok) == (version, ok)
    assert bool(finding.advice) is (ok is None)


def test_versions_within_the_bounds_are_fine() -> None:
    bound = software.required_packages()["SciMLBase"]["version"]
    version = bound.split(",")[-1].strip().lstrip("^~=")
    full = ".".join([*version.split("."), "0", "0"][:3])
    assert software.package("SciMLBase")(machine(packages={"SciMLBase": Package("uuid", full)})).ok is True
    assert software.package("SciMLBase")(machine()).value == "not installed"


def test_a_missing_python_package_is_wrong_only_where_it_is_needed() -> None:
    name = "no-such-distribution-of-anyone"
    needed, optional = software.distribution(name)(EMPTY), software.distribution(name, needed=False)(EMPTY)
    assert (needed.ok, optional.ok) == (False, None)
    assert needed.advice == f"Run `pip install {name}`."


@pytest.mark.skipif(settings._loaded_libstdcxx() is None, reason="no libstdc++ is loaded here")
@pytest.mark.parametrize(("release", "ok"), [("6.0.999", None), ("6.0.1", True)], ids=["newer", "older"])
def test_a_newer_libstdcxx_of_julias_is_remarked(release: str, ok: bool | None, tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "julia"
    folder.mkdir(parents=True)
    (folder / f"libstdc++.so.{release}").touch()
    link = folder / "libstdc++.so.6"
    link.symlink_to(f"libstdc++.so.{release}")
    finding = settings.libstdcxx(machine(exe=str(tmp_path / "bin" / "julia")))
    assert finding.ok is ok
    assert (f"LD_PRELOAD={link}" in finding.advice) is (ok is None)


@pytest.mark.parametrize(
    ("engine", "oks", "usable"),
    [
        ("auto", (True, None), True),
        ("auto", (True, False), False),
        ("julia", (False,), False),
        ("embedded", (False,), True),
    ],
)
def test_remarks_do_not_make_julia_unusable(engine: str, oks: tuple[bool | None, ...], usable: bool) -> None:
    findings = [Finding("subject", "value", ok) for ok in oks]
    assert doctor.is_usable(machine(engine=engine), findings) is usable


def test_an_unknown_engine_is_wrong_and_the_known_ones_are_listed() -> None:
    finding = settings.engine(machine(engine="matlab"))
    assert finding.ok is False
    assert "auto, julia, embedded" in finding.advice


def test_a_trial_that_fails_shows_the_last_words() -> None:
    (finding,) = timing.trial("matlab")
    assert finding.ok is False
    assert finding.value == "failed with exit code 1"
    assert "expected one of auto, julia, embedded" in finding.advice


def test_a_trial_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "TRIAL_TIMEOUT", 0.01)
    (finding,) = timing.trial("embedded")
    assert finding.ok is False
    assert "pyode_bridge install" in finding.advice


def test_the_trial_gives_times_for_right_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, ends = trial.solve, []

    def recorded(*args: Any, **options: Any) -> Any:
        solution = solve(*args, **options)
        ends.append(solution.y[-1].item())
        return solution

    monkeypatch.setattr(trial, "solve", recorded)
    found = trial.attempt("embedded")
    assert set(found) == {"start", "first", "second", "algorithm"}
    assert all(float(found[name]) > 0 for name in ("start", "first", "second"))
    assert found["algorithm"] == "DP5"
    assert ends == pytest.approx([2 * 0.6065306597126334] * 2, abs=1e-7)  # 2 exp(-1/2)


def gradient_alone(x: Tensor) -> Tensor:
    return x - x.detach()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda func, y0: (lambda t, y: 1.1 * func(t, y), y0), r"^y\(1\) of"),
        (lambda func, y0: (func, y0 + gradient_alone(y0)), r"^dy\(1\)/dy0 of"),
        (lambda func, y0: (lambda t, y: func(t, y) + gradient_alone(func(t, y.detach())), y0), r"^dy\(1\)/dk of"),
    ],
    ids=["value", "gradient to y0", "gradient to k"],
)
def test_the_trial_knows_wrong_numbers(change: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solve = trial.solve

    def wrong(func: Any, y0: Any, t: Any, **options: Any) -> Any:
        return solve(*change(func, y0), t, **options)

    monkeypatch.setattr(trial, "solve", wrong)
    with pytest.raises(ArithmeticError, match=words):
        trial.attempt("embedded")


def test_the_isolation_that_is_safe_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYODE_BRIDGE_ISOLATION", raising=False)
    monkeypatch.delitem(sys.modules, "juliacall", raising=False)
    finding = settings.isolation(EMPTY)
    assert (finding.ok, finding.advice) == (True, "")
    assert finding.value.startswith("none, which is safe")
    monkeypatch.setitem(sys.modules, "juliacall", types.ModuleType("juliacall"))
    finding = settings.isolation(EMPTY)
    assert finding.ok is None
    assert "isolation='process'" in finding.advice
    monkeypatch.setenv("PYODE_BRIDGE_ISOLATION", "process")
    assert settings.isolation(EMPTY).ok is True
    monkeypatch.setenv("PYODE_BRIDGE_ISOLATION", "thread")
    assert settings.isolation(EMPTY).ok is False
