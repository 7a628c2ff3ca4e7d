"""Making a system image of the environment's packages, with PackageCompiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pyode_bridge.cli.ahead import Seen, compile_ahead, julia_variables
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.image import image_file, remember_image
from pyode_bridge.install.location import package_directory
from pyode_bridge.install.steps import Say, run_step

ALWAYS_LOADED = "SciMLSensitivity", "Zygote"


def make_image(exe: str, project: str, seen: Seen, say: Say) -> Path:
    """Make the image, and compile for it what first solves need and the dynamics of earlier sessions; returns its file.

    Raises:
        EngineUnavailableError: with what failed, and what to do about it.
    """
    file = image_file(project)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / file.name
        variables = {
            **julia_variables(),
            "PYODE_BRIDGE_LOADED": ",".join([*ALWAYS_LOADED, *seen.packages]),
            "PYODE_BRIDGE_SEEN": str(seen.statements),
        }
        script = package_directory() / "image" / "make.jl"
        command = [exe, "--startup-file=no", f"--project={project}", str(script), str(made)]
        run_step("making the image, for many minutes", command, variables, say)
        _put_in_place(made, file)
    remember_image(exe, project)
    compile_ahead(exe, project, seen, say, file)
    run_step("compiling dynamics", [sys.executable, "-m", "pyode_bridge", "precompile"], {}, say)
    return file


def check_compiler(exe: str, project: str) -> None:
    """Raise EngineUnavailableError where the environment lacks PackageCompiler."""
    look = 'exit(Base.find_package("PackageCompiler") === nothing ? 3 : 0)'
    code = subprocess.run([exe, "--startup-file=no", f"--project={project}", "-e", look], check=False).returncode
    if code:
        raise EngineUnavailableError(
            f"PackageCompiler, which makes images, is not in the environment {project}. Run "
            f"`{exe} --project={project} -e 'using Pkg; Pkg.add(\"PackageCompiler\")'`."
        )


def _put_in_place(made: Path, file: Path) -> None:
    """Put the new image in the place of the old one, from which sessions may be running."""
    beside = file.with_name(f"{file.name}.new")
    shutil.move(made, beside)
    beside.replace(file)
