"""What is published: the two distributions are whole, described well, and work where nothing else of the project is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import pyode_bridge

ROOT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "results", "site")
PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"
SOLVE = """
import torch, pyode_bridge as pb
from importlib.metadata import version
rate = torch.tensor(2.0, requires_grad=True)
y = pb.odeint(lambda t, y: -rate * y, torch.ones(3), torch.linspace(0.0, 1.0, 5), method="Tsit5", engine="embedded")
y[-1].sum().backward()
print(pb.__file__, version("pyode_bridge"), y[-1, 0].item(), rate.grad.item())
"""

pytest.importorskip("build", reason="build, which makes the distributions, is not installed")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, target: Path, *which: str) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", *which, "--outdir", target, source, cwd=target)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    build(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_registry_can_show_the_description(built: Path) -> None:
    assert {path.suffix for path in built.iterdir()} == {".gz", ".whl"}
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), cwd=built)


def test_a_checkout_builds_the_wheel_of_the_source_distribution(wheel: Path, tmp_path: Path) -> None:
    build(ROOT, tmp_path, "--wheel")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_what_the_container_is_given_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], context / line[1:]
            shutil.copytree(source, target, ignore=NOT_COPIED) if source.is_dir() else shutil.copy(source, target)
    build(context, tmp_path, "--wheel")
    assert contents(tmp_path / wheel.name) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_julia_package_and_its_requirements(wheel: Path) -> None:
    names = set(contents(wheel))
    sources = {path.relative_to(ROOT / "julia").as_posix() for path in (ROOT / "julia" / "src").rglob("*.jl")}
    assert {f"pyode_bridge/_julia/{name}" for name in sources | {"Project.toml"}} <= names
    assert {"pyode_bridge/juliapkg.json", "pyode_bridge/py.typed"} <= names


def test_the_wheel_alone_solves_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Torch and the other requirements are those of this environment, which a path brings in, without the project."""
    builder = venv.EnvBuilder(symlinks=sys.platform != "win32")
    builder.create(tmp_path / "fresh")
    context = builder.ensure_directories(tmp_path / "fresh")
    python, scripts = Path(context.env_exe), Path(context.bin_path)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    packages = Path(run(python, "-I", "-c", PACKAGES, cwd=tmp_path).strip())
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    where, version, y, gradient = run(python, "-I", "-c", SOLVE, cwd=tmp_path).split()
    assert Path(where).is_relative_to(packages)
    assert version == pyode_bridge.__version__
    assert float(y) == pytest.approx(0.1353353, abs=1e-5)  # exp(-2)
    assert float(gradient) == pytest.approx(-3 * 0.1353353, abs=1e-5)
    assert run(scripts / "pyode-bridge", "--version", cwd=tmp_path) == f"pyode_bridge {version}\n"
