"""Making a system image of the environment's packages, with PackageCompiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.image import IMAGE_VARIABLE, image_file, remember_image
from pyode_bridge.install.julia import resolved
from pyode_bridge.install.location import load_path, locate, package_directory

ALWAYS_LOADED = "SciMLSensitivity", "Zygote"
PROGRESS_INTERVAL = 30.0  # seconds

Say = Callable[[str], None]


def make_image(say: Say) -> Path:
    """Make the image of the Julia that is chosen, and compile earlier sessions' dynamics for it; returns its file.

    Raises:
        EngineUnavailableError: with what failed, and what to do about it.
    """
    location = locate()
    found = (location.exe, location.project) if location.exe and location.project else resolved()
    if found is None:
        raise EngineUnavailableError("There is no Julia yet whose packages could go into an image; install it first.")
    exe, project = found
    _check_compiler(exe, project)
    file = image_file(project)
    with tempfile.TemporaryDirectory() as folder:
        seen, compiled, made = (Path(folder) / name for name in ("seen.jl", "compiled", file.name))
        _run(
            "solving once, to see what Julia compiles",
            [sys.executable, "-m", "pyode_bridge.cli.first_solves", str(compiled)],
            {IMAGE_VARIABLE: "no", "PYTHON_JULIACALL_TRACE_COMPILE": str(seen)},
            say,
        )
        loaded = [*ALWAYS_LOADED, *compiled.read_text(encoding="utf-8").split()]
        scripts, julia = package_directory() / "image", [exe, "--startup-file=no", f"--project={project}"]
        variables = {
            "PYODE_BRIDGE_PATH": os.pathsep.join(load_path()),
            "PYODE_BRIDGE_LOADED": ",".join(loaded),
            "PYODE_BRIDGE_SEEN": str(seen),
            "JULIA_PYTHONCALL_EXE": sys.executable,
            "JULIA_CONDAPKG_BACKEND": "Null",
        }
        _run("making the image", [*julia, str(scripts / "make.jl"), str(made)], variables, say)
        _put_in_place(made, file)
    remember_image(exe, project)
    _run("compiling dynamics", [sys.executable, "-m", "pyode_bridge", "precompile"], {}, say)
    return file


def _check_compiler(exe: str, project: str) -> None:
    """Raise where the environment lacks PackageCompiler."""
    look = 'exit(Base.find_package("PackageCompiler") === nothing ? 3 : 0)'
    code = subprocess.run([exe, "--startup-file=no", f"--project={project}", "-e", look], check=False).returncode
    if code:
        raise EngineUnavailableError(
            f"PackageCompiler, which makes images, is not in the environment {project}. Run "
            f"`{exe} --project={project} -e 'using Pkg; Pkg.add(\"PackageCompiler\")'`."
        )


def _run(what: str, command: Sequence[str], variables: Mapping[str, str], say: Say) -> None:
    """Run a step to its end, while telling that it goes on."""
    begin = time.monotonic()
    say(f"Image: {what}.")
    with subprocess.Popen(command, env={**os.environ, **variables}) as process:
        try:
            while True:
                try:
                    code = process.wait(PROGRESS_INTERVAL)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  still {what}, {time.monotonic() - begin:.0f} s so far")
        except BaseException:
            process.kill()
            raise
    if code != 0:
        raise EngineUnavailableError(
            f"No image was made: {what} ended with exit code {code}; the messages above say why. Without an image "
            "everything works as before."
        )
    say(f"  {what} took {time.monotonic() - begin:.0f} s")


def _put_in_place(made: Path, file: Path) -> None:
    """Put the new image in the place of the old one, from which sessions may be running."""
    beside = file.with_name(f"{file.name}.new")
    shutil.move(made, beside)
    beside.replace(file)
